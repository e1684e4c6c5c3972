"""For durations and reasons over long periods, and over one plan's. Made beside whoever reads and writes."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("stats", "0013_imprints"),
    ]

    operations = [
        AddIndexConcurrently("tally", models.Index(fields=["what", "grain", "at"], name="tally_what_at")),
        AddIndexConcurrently("tally", models.Index(fields=["plan_id", "what", "grain", "at"], name="tally_plan_at")),
    ]
