"""A model may judge what a plan's error budget samples."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('plans', '0012_match_verified'),
    ]

    operations = [
        migrations.AddField(
            model_name='plan',
            name='judge_model',
            field=models.CharField(blank=True, max_length=128, null=True),
        ),
    ]
