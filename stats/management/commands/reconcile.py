"""`manage.py reconcile`: check that requests, rollups and a provider's statement agree.

On live data, while traffic continues.
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
from stats.ledger.backlog import BacklogDetails, inspect_backlog
from stats.ledger.reconciliation import ConsistencyCheck
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
            calls = (
                provider_statement.read_statement(options["upstream"])
                if options["upstream"]
                else None
            )
        except provider_statement.InvalidStatement as error:
            raise CommandError(str(error)) from error
        with reconciliation.open_snapshot():
            found = reconciliation.run_checks() + (
                [] if calls is None else provider_statement.compare_calls(calls)
            )
            left, names = inspect_backlog(settings.SPOOL_DIR), _load_names()
        agrees = all(check.holds for check in found)
        self.stdout.write(
            _format_json(found, left, names)
            if options["json"]
            else _format_text(found, left, names)
        )
        if not agrees:
            sys.exit(1)


def _load_names() -> dict[str, dict[int, str]]:
    return {
        "tenant": dict(Tenant.objects.values_list("pk", "slug")),
        "plan": dict(Plan.objects.values_list("pk", "name")),
    }


def _describe_unknown_call(
    attempt: UpstreamAttempt, names: dict[str, dict[int, str]]
) -> dict[str, str]:
    tenant, plan = attempt.tenant_id, attempt.plan_id
    return {
        "id": str(attempt.event_id),
        "at": attempt.at.isoformat(timespec="milliseconds"),
        "tenant": "" if tenant is None else names["tenant"].get(tenant, str(tenant)),
        "plan": "" if plan is None else names["plan"].get(plan, str(plan)),
        "upstream": attempt.upstream,
        "model": attempt.model,
    }


def _format_text(
    found: list[ConsistencyCheck], left: BacklogDetails, names: dict[str, dict[int, str]]
) -> str:
    lines = []
    for check in found:
        lines.append(f"{'agrees ' if check.holds else 'DIFFERS'}  {check.name}: {check.said}")
        lines += [f"         {each}" for each in check.differences]
    waits = (
        f"{left.spooled_bytes:,} bytes in the spool",
        f"{left.pending_requests:,} requests to be folded in",
        f"{left.calls_in_flight:,} calls in flight",
    )
    lines.append(f"waits    {', '.join(waits)}")
    lines.append(
        f"unknown  {len(left.unknown_calls):,} calls whose worker was killed before they settled; "
        "the "
        "provider may have billed them"
    )
    lines += [
        "         "
        + "  ".join(value or "-" for value in _describe_unknown_call(attempt, names).values())
        for attempt in left.unknown_calls
    ]
    lines.append(
        f"unknown  {left.abandoned_calls:,} calls were given up before their answer; the provider "
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


def _format_json(
    found: list[ConsistencyCheck], left: BacklogDetails, names: dict[str, dict[int, str]]
) -> str:
    return json.dumps(
        {
            "agrees": all(check.holds for check in found),
            "checks": [asdict(check) for check in found],
            "spooled_bytes": left.spooled_bytes,
            "unfolded": left.pending_requests,
            "in_flight": left.calls_in_flight,
            "given_up": left.abandoned_calls,
            "outcome_unknown": [
                _describe_unknown_call(attempt, names) for attempt in left.unknown_calls
            ],
        }
    )
