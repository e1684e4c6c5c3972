"""`manage.py reconcile`: do requests, roll-ups and the provider's ledger agree?

On live data, while traffic runs.
"""

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from plans.models import Plan, Tenant
from stats.ledger import provider_statement, reconciliation
from stats.ledger.backlog import Waiting, waiting
from stats.ledger.reconciliation import Check
from stats.models.requests import UpstreamAttempt


class Command(BaseCommand):
    help = (
        "Check that requests, roll-ups and, with --upstream, a provider's own ledger agree. Exit "
        "code 1 when they do not."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--upstream",
            default="",
            metavar="URL-or-file",
            help="a provider's ledger of calls, see docs/ledger.md",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:  # before the snapshot, so that what it lists is in the snapshot
            calls = provider_statement.read(options["upstream"]) if options["upstream"] else None
        except provider_statement.NoLedger as error:
            raise CommandError(str(error)) from error
        with reconciliation.snapshot():
            found = reconciliation.checks() + (
                [] if calls is None else provider_statement.compare(calls)
            )
            left, names = waiting(settings.SPOOL_DIR), _names()
        agrees = all(check.holds for check in found)
        self.stdout.write(
            _as_json(found, left, names) if options["json"] else _as_text(found, left, names)
        )
        if not agrees:
            sys.exit(1)


def _names() -> dict[str, dict[int, str]]:
    return {
        "tenant": dict(Tenant.objects.values_list("pk", "slug")),
        "plan": dict(Plan.objects.values_list("pk", "name")),
    }


def _unknown(attempt: UpstreamAttempt, names: dict[str, dict[int, str]]) -> dict[str, str]:
    tenant, plan = attempt.tenant_id, attempt.plan_id
    return {
        "id": str(attempt.event_id),
        "at": attempt.at.isoformat(timespec="milliseconds"),
        "tenant": "" if tenant is None else names["tenant"].get(tenant, str(tenant)),
        "plan": "" if plan is None else names["plan"].get(plan, str(plan)),
        "upstream": attempt.upstream,
        "model": attempt.model,
    }


def _as_text(found: list[Check], left: Waiting, names: dict[str, dict[int, str]]) -> str:
    lines = []
    for check in found:
        lines.append(f"{'agrees ' if check.holds else 'DIFFERS'}  {check.name}: {check.said}")
        lines += [f"         {each}" for each in check.differences]
    waits = (
        f"{left.spooled_bytes:,} bytes in the spool",
        f"{left.unfolded:,} requests to be folded in",
        f"{left.in_flight:,} calls in flight",
    )
    lines.append(f"waits    {', '.join(waits)}")
    lines.append(
        f"unknown  {len(left.unknown):,} calls whose worker was killed before they settled; the "
        "provider may have billed them"
    )
    lines += [
        "         " + "  ".join(value or "-" for value in _unknown(attempt, names).values())
        for attempt in left.unknown
    ]
    lines.append(
        f"unknown  {left.given_up:,} calls were given up before their answer; the provider "
        "may have billed them"
    )
    wrong = sum(not check.holds for check in found)
    return "\n".join(
        [
            *lines,
            f"{wrong} of {len(found)} checks differ."
            if wrong
            else f"All {len(found)} checks agree.",
        ]
    )


def _as_json(found: list[Check], left: Waiting, names: dict[str, dict[int, str]]) -> str:
    return json.dumps(
        {
            "agrees": all(check.holds for check in found),
            "checks": [asdict(check) for check in found],
            "spooled_bytes": left.spooled_bytes,
            "unfolded": left.unfolded,
            "in_flight": left.in_flight,
            "given_up": left.given_up,
            "outcome_unknown": [_unknown(attempt, names) for attempt in left.unknown],
        }
    )
