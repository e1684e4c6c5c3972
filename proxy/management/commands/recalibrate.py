"""`manage.py recalibrate`: measure plans' thresholds by their own labelled pairs.

In shadow first: without --apply nothing that is served changes.
"""

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from plans.api_errors import ApiError
from plans.models import Plan, Tenant
from proxy.core.quality.cohort import derive_cohort
from proxy.runtime.semantic_indexes import find_scorer_id
from stats.analysis.error_rate import WINDOW_DAYS
from stats.formatting import rate
from stats.quality import cohorts, recalibration, recalibration_changes
from stats.quality.recalibration_changes import RecalibrationRefused
from stats.quality.recalibration_report import (
    RecalibrationReport,
    build_recalibration_report,
    build_report_body,
)

MAX_DAYS: Final = 90
MAX_NAMES_LISTED: Final = 20
COLUMNS: Final = (
    *("Plan", "Pairs", "Right/wrong/unclear", "Now", "Proposed"),
    *("Hit rate", "proposed", "Wrong", "proposed", "State"),
)


class Command(BaseCommand):
    help = (
        "Measures the thresholds of plans by their own labelled pairs: samples, verdicts of judge "
        "models and clients' reports. A proposal is written down and judged by the pairs that "
        "arrive after it; only --apply changes plans, and only by proposals that held."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--plan", metavar="NAME", help="only plans of this name")
        parser.add_argument("--tenant", metavar="SLUG", help="only this tenant's own plans")
        parser.add_argument(
            "--days",
            type=_parse_days,
            default=WINDOW_DAYS,
            help=f"pairs of the last so many days count, 1 to {MAX_DAYS} (default: {WINDOW_DAYS})",
        )
        parser.add_argument("--output", choices=("table", "json"), default="table")
        parser.add_argument("--dry-run", action="store_true", help="save and change nothing")
        change = parser.add_mutually_exclusive_group()
        change.add_argument(
            "--apply", action="store_true", help="give plans the thresholds that held in shadow"
        )
        change.add_argument(
            "--revert",
            action="store_true",
            help="give the plan back the threshold it had before; needs --plan",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print a row per plan.

        Raises CommandError for an argument that names nothing, and when a plan named by --plan was
        not changed though --apply or --revert asked for it.
        """
        plans = _select_plans(options["plan"], options["tenant"])
        if options["revert"]:
            self._revert(plans, options)
            return
        scorer_id = find_scorer_id()
        with cohorts.use_cohort_function(lambda cache: derive_cohort(cache, scorer_id)):
            found = [self._recalibrate(plan, options) for plan in plans]
        self.stdout.write(
            json.dumps([build_report_body(report) | {"done": done} for report, done in found])
            if options["output"] == "json"
            else _format_table(found)
        )
        if options["apply"] and options["plan"] and not any(done for _, done in found):
            raise CommandError("--apply: nothing was applied, for the reason above.")

    def _recalibrate(self, plan: Plan, options: dict[str, Any]) -> tuple[RecalibrationReport, str]:
        """Measure a plan and apply its proposal where asked to; say what was done, "" nothing."""
        measured = recalibration.measure_plan(plan, at=datetime.now(UTC), days=options["days"])
        report, row = build_recalibration_report(measured), measured.row
        if not options["dry_run"]:
            recalibration.save_measurement(row)
        if not options["apply"] or (proposed := row.proposed) is None:
            return report, ""
        if objection := recalibration_changes.find_objection(plan, row):
            row.note = objection
            return report, ""
        if options["dry_run"]:
            return report, f"would set {proposed:g}"
        try:
            recalibration_changes.apply_proposal(plan, row)
        except (ApiError, RecalibrationRefused) as error:
            self.stderr.write(f"{plan.name}: {error}")
            return report, ""
        return report, f"applied {proposed:g}"

    def _revert(self, plans: Sequence[Plan], options: dict[str, Any]) -> None:
        if not options["plan"] or len(plans) != 1:
            raise CommandError(
                "--revert: name one plan with --plan, and with --tenant if several have the name."
            )
        (plan,) = plans
        row = recalibration.load_recalibration(plan)
        if options["dry_run"]:
            text = f"{row.replaced_threshold:g}" if row and row.applied is not None else "nothing"
            self.stdout.write(f"{plan.name}: would give back {text}.")
            return
        try:
            recalibration_changes.revert_proposal(plan, row)
        except (ApiError, RecalibrationRefused) as error:
            raise CommandError(f"--revert: plan {plan.name}: {error}") from error
        plan.refresh_from_db()
        self.stdout.write(f"{plan.name}: the threshold is {plan.threshold:g} again.")


def _select_plans(name: str | None, slug: str | None) -> list[Plan]:
    """Return the plans to measure. Raises CommandError for a name that does not exist."""
    rows = recalibration.query_plans()
    if slug is not None:
        if not Tenant.objects.filter(slug=slug).exists():
            known = _list_names(Tenant.objects.order_by("slug").values_list("slug", flat=True))
            raise CommandError(f"--tenant: there is no tenant {slug!r}. Tenants: {known}.")
        rows = rows.filter(tenant__slug=slug)
    found = list(rows if name is None else rows.filter(name=name))
    if name is not None and not found:
        known = _list_names(rows.values_list("name", flat=True))
        raise CommandError(
            f"--plan: no plan with a semantic tier is named {name!r}. Plans: {known}."
        )
    return found


def _list_names(names: Any) -> str:
    """Join names, of many the first ones."""
    found = list(dict.fromkeys(names))
    more = f" and {len(found) - MAX_NAMES_LISTED} more" if found[MAX_NAMES_LISTED:] else ""
    return ", ".join(found[:MAX_NAMES_LISTED]) + more or "none"


def _parse_days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_DAYS:
        raise argparse.ArgumentTypeError(f"a whole number from 1 to {MAX_DAYS}, not {text!r}")
    return int(text)


def _format_table(found: Sequence[tuple[RecalibrationReport, str]]) -> str:
    """Lay out a row per plan, each with a line that says why."""
    if not found:
        return "No plan has a semantic tier."
    rows = [COLUMNS, *(_build_cells(report, done) for report, done in found)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(COLUMNS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    notes = ["", *(report.measured.row.note for report, _ in found)]
    return "\n".join(
        line + (f"\n    {note}" if note else "") for line, note in zip(lines, notes, strict=True)
    )


def _build_cells(report: RecalibrationReport, done: str) -> tuple[str, ...]:
    row, plan, now, proposed = (
        report.measured.row,
        report.measured.plan,
        report.now,
        report.proposed,
    )
    return (
        f"{plan.name} ({plan.tenant.slug})" if plan.tenant else plan.name,
        f"{row.right + row.wrong + row.unclear:,}",
        f"{row.right:,}/{row.wrong:,}/{row.unclear:,}",
        f"{now.threshold:g}",
        f"{proposed.threshold:g}" if proposed else "-",
        rate(now.hit_rate),
        rate(proposed.hit_rate) if proposed else "-",
        f"{rate(now.wrong_rate)} (at most {rate(now.upper)})",
        f"{rate(proposed.wrong_rate)} (at most {rate(proposed.upper)})" if proposed else "-",
        done or recalibration.find_state(row),
    )
