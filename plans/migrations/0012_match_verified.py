"""New plans verify; those that are there keep what they were saved with."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('plans', '0011_plan_context'),
    ]

    operations = [
        migrations.AlterField(
            model_name='plan',
            name='match',
            field=models.CharField(choices=[('verified', "The verifier's score: whether both questions have the same answer"), ('cosine', 'The cosine of the embeddings: whether both questions are about the same')], default='verified', max_length=16),
        ),
    ]
