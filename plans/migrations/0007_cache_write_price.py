"""What providers ask for tokens that they write into their prefix cache. The published prices come with the next `seed_prices`."""

from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("plans", "0006_plan_deadline_ms")]

    operations = [
        migrations.AddField(
            "modelprice",
            "cache_write",
            models.DecimalField(
                blank=True,
                decimal_places=6,
                help_text="Empty: writing into the provider's prefix cache costs no more than other input.",
                max_digits=14,
                null=True,
                validators=[MinValueValidator(Decimal(0))],
            ),
        ),
    ]
