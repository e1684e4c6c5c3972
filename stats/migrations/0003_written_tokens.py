"""How many prompt tokens the provider wrote into its prefix cache."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("stats", "0002_spool_cursor")]

    operations = [migrations.AddField("requestevent", "written_tokens", models.PositiveBigIntegerField(default=0))]
