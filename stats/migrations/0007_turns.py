"""Which turn of its chat a request was."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('stats', '0006_shadow'),
    ]

    operations = [
        migrations.AddField(
            model_name='requestevent',
            name='turns',
            field=models.PositiveIntegerField(default=0),
        ),
    ]
