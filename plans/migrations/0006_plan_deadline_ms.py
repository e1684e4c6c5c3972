"""How long a request waits for its chat to be cut."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("plans", "0005_plan_when")]

    operations = [
        migrations.AddField(
            "plan",
            "deadline_ms",
            models.PositiveIntegerField(blank=True, null=True, validators=[MinValueValidator(10), MaxValueValidator(60_000)]),
        ),
    ]
