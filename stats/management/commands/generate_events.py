"""`manage.py generate_events N --days D`: a ledger as large as one wants to try pages with.

Never for a ledger in use.
"""

import argparse
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand

from plans import services
from plans.models import Plan, Tenant
from stats.ledger.synthetic import Asker, generate
from stats.models.rollups import Pruned
from stats.time_grains import DAY, MINUTE, floor

TENANTS, KEYS, MINUTE_DAYS = 8, 2, 7


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
            floor(end, DAY) - timedelta(days=MINUTE_DAYS),
        )
        begun, askers = time.monotonic(), _askers()
        for done in generate(
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


def _askers() -> list[Asker]:
    """Each key under a plan of its tenant's and under one of the platform's."""
    common, _ = Plan.objects.get_or_create(name="generated", tenant=None)
    found = []
    for number in range(1, TENANTS + 1):
        tenant, _ = Tenant.objects.get_or_create(slug=f"generated-{number}")
        own, _ = Plan.objects.get_or_create(name=f"generated-{number}", tenant=tenant)
        for name in range(1, KEYS + 1):
            key = services.issue_virtual_key(tenant=tenant, name=f"generated-{name}")[0]
            found += [
                Asker(tenant.pk, tenant.slug, key.pk, key.name, plan.pk, plan.name)
                for plan in (own, common)
            ]
    return found
