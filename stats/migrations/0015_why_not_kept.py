"""What the provider calls a request, and why its answer was not kept."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("stats", "0014_tally_indexes")]

    operations = [
        migrations.AddField("requestevent", "not_kept", models.CharField(max_length=32, blank=True, default=""), preserve_default=False),
        migrations.AddField(
            "requestevent", "upstream_request_id", models.CharField(max_length=200, blank=True, default=""), preserve_default=False
        ),
    ]
