"""What recalibration found for each plan, and the threshold it proposes."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("stats", "0018_unknown_plans"),
    ]

    operations = [
        migrations.CreateModel(
            name="Recalibration",
            fields=[
                ("plan_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("measured_at", models.DateTimeField()),
                ("target", models.FloatField()),
                ("threshold", models.FloatField()),
                ("right", models.PositiveIntegerField(default=0)),
                ("wrong", models.PositiveIntegerField(default=0)),
                ("unclear", models.PositiveIntegerField(default=0)),
                ("note", models.CharField(blank=True, max_length=200)),
                ("proposed", models.FloatField(null=True)),
                ("proposed_at", models.DateTimeField(null=True)),
                ("basis", models.CharField(blank=True, max_length=16)),
                ("fresh", models.PositiveIntegerField(default=0)),
                ("fresh_wrong", models.PositiveIntegerField(default=0)),
                ("fresh_unclear", models.PositiveIntegerField(default=0)),
                ("held", models.BooleanField(default=False)),
                ("applied", models.FloatField(null=True)),
                ("applied_at", models.DateTimeField(null=True)),
                ("replaced_threshold", models.FloatField(null=True)),
                ("replaced_strictness", models.CharField(max_length=16, null=True)),
                ("counted_since", models.DateTimeField(null=True)),
            ],
        ),
    ]
