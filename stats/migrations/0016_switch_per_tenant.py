"""The switches of semantic tiers become the tenants': one that stood for all tenants of a plan is written down for each of them."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def give_each_tenant_its_own(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """What was off stays off for everybody who could use the plan. A switch of a plan that is gone goes too."""
    switches = apps.get_model("stats", "SemanticSwitch").objects
    owners = dict(apps.get_model("plans", "Plan").objects.values_list("pk", "tenant_id"))
    everybody = list(apps.get_model("plans", "Tenant").objects.values_list("pk", flat=True))
    for row in list(switches.filter(tenant_id=None)):
        owner = owners.get(row.plan_id)
        tenants = [] if row.plan_id not in owners else everybody if owner is None else [owner]
        for tenant in tenants:
            row.pk, row.tenant_id = None, tenant
            row.save(force_insert=True)
    switches.filter(tenant_id=None).delete()


def keep_the_strictest(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Back to one switch a plan: off where it is off for anybody."""
    switches = apps.get_model("stats", "SemanticSwitch").objects
    seen: set[tuple[int, str]] = set()
    for row in switches.order_by(models.F("off_at").desc(nulls_last=True)):
        if (row.plan_id, row.basis) in seen:
            row.delete()
        seen.add((row.plan_id, row.basis))


class Migration(migrations.Migration):
    dependencies = [("stats", "0015_why_not_kept"), ("plans", "0016_history")]

    operations = [
        migrations.RemoveConstraint(model_name="semanticswitch", name="one_switch_per_plan_and_basis"),
        migrations.AddField(model_name="semanticswitch", name="tenant_id", field=models.BigIntegerField(null=True)),
        migrations.RunPython(give_each_tenant_its_own, keep_the_strictest),
        migrations.AlterField(model_name="semanticswitch", name="tenant_id", field=models.BigIntegerField()),
        migrations.AddConstraint(
            model_name="semanticswitch",
            constraint=models.UniqueConstraint(fields=("plan_id", "basis", "tenant_id"), name="one_switch_per_tenant"),
        ),
    ]
