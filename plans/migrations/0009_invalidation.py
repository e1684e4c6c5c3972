"""Answers that were forgotten, revisions that no later history repeats, and new plans whose entries do not expire at once.

The revision is now raised to the clock's milliseconds where those are ahead: a database restored from a backup would otherwise count
through numbers that stored answers of the lost history carry already, and forgetting would not reach those.
"""

import django.db.models.deletion
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import migrations, models

RAISE = """
CREATE OR REPLACE FUNCTION plans_raise_revision() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
BEGIN
    INSERT INTO plans_revision (id, value) VALUES (1, now_ms)
    ON CONFLICT (id) DO UPDATE SET value = {raised};
    RETURN NULL;
END $$;
"""
TRIGGER = """
CREATE TRIGGER raise_revision BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON plans_invalidation
FOR EACH STATEMENT EXECUTE FUNCTION plans_raise_revision();
"""


class Migration(migrations.Migration):
    dependencies = [("plans", "0008_cache_trust")]

    operations = [
        migrations.CreateModel(
            "Invalidation",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("tag", models.CharField(blank=True, max_length=64)),
                ("generation", models.BigIntegerField(default=0)),
                ("at", models.DateTimeField()),
                (
                    "plan",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="invalidations", to="plans.plan"),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="plans.tenant"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("plan", "tenant", "tag"), name="one_invalidation_per_tag", nulls_distinct=False)
                ],
            },
        ),
        migrations.RunSQL(
            RAISE.format(raised="greatest(plans_revision.value + 1, now_ms)"), RAISE.format(raised="plans_revision.value + 1")
        ),
        migrations.AlterField(
            "plan",
            "ttl_jitter",
            models.FloatField(default=0.1, validators=[MinValueValidator(0), MaxValueValidator(0.5)]),
        ),
        migrations.RunSQL(TRIGGER, "DROP TRIGGER raise_revision ON plans_invalidation;"),
    ]
