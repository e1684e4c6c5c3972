"""Requests that asked for a plan which does not exist are few, and looked for on every visit of the dashboard."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("stats", "0017_bills"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="requestevent",
            index=models.Index(condition=models.Q(("reason", "unknown-plan")), fields=["at"], name="event_unknown_plan"),
        ),
    ]
