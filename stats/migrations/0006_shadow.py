"""Requests of plans that only watched, with what they would have saved; cached answers that somebody said were wrong."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('stats', '0005_cache_entries'),
    ]

    operations = [
        migrations.AddField(
            model_name='requestevent',
            name='shadow',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='requestevent',
            name='would_saved',
            field=models.DecimalField(decimal_places=12, max_digits=20, null=True),
        ),
        migrations.AddField(
            model_name='requestevent',
            name='would_tokens',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='requestevent',
            name='wrong',
            field=models.BooleanField(default=False),
        ),
    ]
