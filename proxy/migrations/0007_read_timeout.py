"""A provider may think for as long as clients wait for it: ten minutes. Who left the old default of two gets the new one."""

from django.apps.registry import Apps
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

OLD, NEW = 120.0, 600.0
HELP = "Seconds without a byte. A whole answer sends none before its end, and clients wait 600 for it."


def wait_longer(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("proxy", "Upstream").objects.filter(read_timeout=OLD).update(read_timeout=NEW)


def _field() -> models.FloatField:  # type: ignore[type-arg]  # generic in the stubs only
    return models.FloatField(default=NEW, validators=[MinValueValidator(1), MaxValueValidator(3600)], help_text=HELP)


class Migration(migrations.Migration):
    dependencies = [("proxy", "0006_history")]

    operations = [
        migrations.AlterField("upstream", "read_timeout", _field()),
        migrations.AlterField("historicalupstream", "read_timeout", _field()),
        migrations.RunPython(wait_longer, migrations.RunPython.noop),
    ]
