"""Where a bill comes from, parts of its tokens that have prices of their own, and how many are unknown."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("stats", "0016_switch_per_tenant")]

    operations = [
        migrations.AddField("requestevent", "bill", models.CharField(max_length=8, blank=True, default=""), preserve_default=False),
        migrations.AddField("requestevent", "token_details", models.JSONField(default=dict, blank=True)),
        migrations.AddField("rollup", "bill_unknown", models.BigIntegerField(default=0)),
    ]
