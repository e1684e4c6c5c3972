"""For when a key was used last. Made beside whoever reads and writes."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("stats", "0019_recalibration"),
    ]

    operations = [
        AddIndexConcurrently(
            "rollup", models.Index(fields=["key_id", "grain", "at"], condition=models.Q(cut="full"), name="rollup_key_at")
        ),
    ]
