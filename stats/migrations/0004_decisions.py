"""What else was decided about a request: the score, the entry served, what shadow and samples would have served."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('stats', '0003_written_tokens'),
    ]

    operations = [
        migrations.AddField(
            model_name='requestevent',
            name='collapsed',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='requestevent',
            name='entry_id',
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name='requestevent',
            name='sample',
            field=models.CharField(blank=True, max_length=16),
        ),
        migrations.AddField(
            model_name='requestevent',
            name='score',
            field=models.FloatField(null=True),
        ),
        migrations.AddField(
            model_name='requestevent',
            name='stale',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='requestevent',
            name='would',
            field=models.CharField(blank=True, max_length=16),
        ),
    ]
