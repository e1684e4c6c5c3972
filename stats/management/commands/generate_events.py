"""`manage.py generate_events N --days D`: fill a ledger to test pages with.

Never for a ledger in use.
"""

import argparse
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand

from plans import services
from plans.models import Plan, Tenant
from stats.ledger.synthetic import SyntheticCaller, generate_events
from stats.models.rollups import Pruned
from stats.time_grains import DAY, MINUTE, floor_to_grain

TENANT_COUNT, KEYS_PER_TENANT, MINUTE_ROLLUP_DAYS = 8, 2, 7


class Command(BaseCommand):
    help = (
        "Fill the ledger with N invented requests of the last days, rolled up. For trying, not "
        "for a ledger in use."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("number", type=int, metavar="N")
        parser.add_argument(
            "--days", type=int, default=90, help="from so many days ago until now (default 90)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        end = datetime.now(UTC)
        start, minutes_from = (
            end - timedelta(days=options["days"]),
            floor_to_grain(end, DAY) - timedelta(days=MINUTE_ROLLUP_DAYS),
        )
        begun, askers = time.monotonic(), _create_callers()
        for done in generate_events(
            options["number"], start=start, end=end, minutes_from=minutes_from, askers=askers
        ):
            self.stdout.write(
                f"{done:,} requests, {done / (time.monotonic() - begun):,.0f}/s", ending="\r"
            )
            self.stdout.flush()
        if start < minutes_from:
            Pruned.objects.update_or_create(
                what=MINUTE, create_defaults={"before": minutes_from}, defaults={}
            )
        self.stdout.write(f"{options['number']:,} requests in {time.monotonic() - begun:,.0f} s")


def _create_callers() -> list[SyntheticCaller]:
    """Create tenants and keys, each key under its tenant's plan and under a platform plan."""
    common, _ = Plan.objects.get_or_create(name="generated", tenant=None)
    found = []
    for number in range(1, TENANT_COUNT + 1):
        tenant, _ = Tenant.objects.get_or_create(slug=f"generated-{number}")
        own, _ = Plan.objects.get_or_create(name=f"generated-{number}", tenant=tenant)
        for name in range(1, KEYS_PER_TENANT + 1):
            key = services.issue_virtual_key(tenant=tenant, name=f"generated-{name}")[0]
            found += [
                SyntheticCaller(tenant.pk, tenant.slug, key.pk, key.name, plan.pk, plan.name)
                for plan in (own, common)
            ]
    return found
