"""Measure plans' thresholds by their labelled pairs, in shadow: nothing that is served changes.

A proposal is written down with its time, and the next measurements judge it by the pairs that
arrived after it. `stats.quality.recalibration_changes` applies one that held.
"""

import logging
import threading
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, get_args

from django.db.models import QuerySet

from plans.models import Plan
from plans.snapshot import CacheSettings
from plans.strictness import STRICTNESS_TRAP_SHARES, get_operating_points
from stats.analysis.error_rate import WINDOW_DAYS, Verdict, compute_error_rate
from stats.analysis.recalibration import (
    CalibrationTerms,
    LabelledPair,
    ThresholdProposal,
    judge_fresh_pairs,
    propose_threshold,
)
from stats.models.recalibration import Recalibration
from stats.monitoring import metrics
from stats.quality.cohorts import find_cohort, list_threshold_cohorts
from stats.quality.labelled_pairs import find_sources, load_labelled_pairs
from stats.quality.threshold_tuning import THRESHOLDS, build_tuning_report
from stats.reports.selectors import build_plan_query

log = logging.getLogger(__name__)
# Of a plan that names neither an error budget nor a strictness.
DEFAULT_ERROR_TARGET: Final = STRICTNESS_TRAP_SHARES["strict"]
LOWEST_COSINE: Final = min(THRESHOLDS)  # of those that tuning reports compare
MEASURED_FIELDS: Final = (
    *("measured_at", "target", "threshold", "right", "wrong", "unclear", "note"),
    *("proposed", "proposed_at", "basis", "fresh", "fresh_wrong", "fresh_unclear", "held"),
)


@dataclass(frozen=True, slots=True)
class PlanMeasurement:
    """What was measured of a plan now: its row, not saved yet, and the pairs it is of."""

    plan: Plan
    row: Recalibration
    pairs: list[LabelledPair]
    start: datetime


def query_plans() -> QuerySet[Plan]:
    """Query the plans that have a threshold: those with a semantic tier."""
    rows = Plan.objects.filter(cache_enabled=True, backend__isnull=False)
    return rows.select_related("tenant").order_by("name", "tenant__slug")


def measure_plan(plan: Plan, *, at: datetime, days: int = WINDOW_DAYS) -> PlanMeasurement:
    """Measure a plan with a semantic tier by its pairs of the last `days`, and save nothing."""
    cache = plan.build_snapshot().cache
    assert cache is not None  # noqa: S101 -- only of `query_plans`
    row = load_recalibration(plan) or Recalibration(plan_id=plan.pk)
    start = at - timedelta(days=days)
    if row.counted_since is not None:
        start = max(start, row.counted_since)
    source, users = find_sources(plan, start=start)
    terms = _build_terms(cache, is_shared=source == "tenant_id", users=users)
    pairs = load_labelled_pairs(
        plan, list_threshold_cohorts(plan, cache), start=start, source=source
    )
    row.measured_at, row.target, row.threshold = at, terms.target, terms.threshold
    verdicts = Counter(pair.verdict for pair in pairs)
    row.right, row.wrong, row.unclear = (verdicts[each] for each in get_args(Verdict))
    found = _withhold_reported(plan, terms, start, propose_threshold(pairs, terms))
    if cache.max_error_rate is None and not pairs:
        found = ThresholdProposal(None, "nothing is sampled without cache.max_error_rate")
    _update_proposal(row, found, terms, basis=find_cohort(plan, cache))
    _judge_proposal(row, pairs, terms)
    return PlanMeasurement(plan, row, pairs, start)


def save_measurement(row: Recalibration) -> None:
    """Save what was measured. What was applied before stays as it is stored."""
    values = {name: getattr(row, name) for name in MEASURED_FIELDS}
    Recalibration.objects.update_or_create(plan_id=row.plan_id, defaults=values)


def clear_proposal(row: Recalibration, *, note: str = "") -> None:
    """Drop the proposal of an unsaved row, for the reason in `note`."""
    row.proposed, row.proposed_at, row.basis, row.held = None, None, "", False
    row.fresh, row.fresh_wrong, row.fresh_unclear = 0, 0, 0
    row.note = note[:200]


def find_state(row: Recalibration) -> str:
    """Return `none`, `shadow` or `held`: whether there is a proposal, and one that held."""
    return "none" if row.proposed is None else "held" if row.held else "shadow"


def describe_recalibration(plan: Plan, row: Recalibration) -> str:
    """Describe in a sentence or two what recalibration found for the plan."""
    if row.proposed is None or row.proposed_at is None:
        return f"Recalibration proposes no other threshold than {plan.threshold:g}: {row.note}."
    if abs(row.threshold - plan.threshold) > 1e-9:
        return "The plan was changed after its last recalibration, and is measured again."
    begun = (
        f"Recalibration proposes {row.proposed:g} (now {plan.threshold:g}), measured on "
        f"{row.right + row.wrong + row.unclear:,} labelled pairs; in shadow since "
        f"{row.proposed_at:%d %b %Y}: "
    )
    if not row.held:
        return f"{begun}{row.note}."
    owner = f" --tenant {plan.tenant.slug}" if plan.tenant else ""
    return (
        f"{begun}it held on {row.fresh:,} new pairs. Apply it with "
        f"manage.py recalibrate --plan {plan.name}{owner} --apply."
    )


def load_recalibration(plan: Plan) -> Recalibration | None:
    """Load what was found for the plan; None if it was never measured."""
    return Recalibration.objects.filter(pk=plan.pk).first()


def describe_recalibrations(plans: Collection[Plan]) -> list[str]:
    """Describe what was found for each of the plans that was measured, after its name."""
    rows = Recalibration.objects.in_bulk([plan.pk for plan in plans])
    return [
        f"{plan.name}: {describe_recalibration(plan, rows[plan.pk])}"
        for plan in plans
        if plan.pk in rows
    ]


def _build_terms(cache: CacheSettings, *, is_shared: bool, users: int) -> CalibrationTerms:
    named = STRICTNESS_TRAP_SHARES[cache.strictness] if cache.strictness else DEFAULT_ERROR_TARGET
    verified = cache.match == "verified"
    floor = get_operating_points().points["wide"].threshold if verified else LOWEST_COSINE
    return CalibrationTerms(
        target=named if cache.max_error_rate is None else cache.max_error_rate,
        threshold=cache.threshold,
        floor=floor,
        is_shared=is_shared,
        users=users,
    )


def _withhold_reported(
    plan: Plan, terms: CalibrationTerms, start: datetime, found: ThresholdProposal
) -> ThresholdProposal:
    """Withhold a lower threshold if clients report more of the hits than the target.

    They report what no sample looked at, too. They cannot report that an answer was right.
    """
    if found.threshold is None or found.threshold >= terms.threshold:
        return found
    report = build_tuning_report(build_plan_query(plan, None, start=start), plan, thresholds=())
    (row,) = report.rows  # the threshold in force
    rate = compute_error_rate(
        row.semantic, row.reported, 0, limit=terms.target, threshold=terms.threshold
    )
    if not rate.is_over_budget:
        return found
    return ThresholdProposal(None, f"clients reported {row.reported} of {row.semantic} hits")


def _update_proposal(
    row: Recalibration, found: ThresholdProposal, terms: CalibrationTerms, *, basis: str
) -> None:
    """Keep the proposal in shadow if the pairs of now support it, else take what they propose."""
    if row.basis == basis and _is_still_supported(row, found, terms):
        return
    clear_proposal(row, note=found.reason)
    if found.threshold is not None:
        row.proposed, row.proposed_at, row.basis = found.threshold, row.measured_at, basis


def _is_still_supported(
    row: Recalibration, found: ThresholdProposal, terms: CalibrationTerms
) -> bool:
    if row.proposed is None or found.threshold is None:
        return False
    lowers = row.proposed < terms.threshold
    return lowers == (found.threshold < terms.threshold) and found.threshold <= row.proposed + 1e-9


def _judge_proposal(row: Recalibration, pairs: list[LabelledPair], terms: CalibrationTerms) -> None:
    """Judge the proposal of the row by the pairs after it; drop it if it failed."""
    if row.proposed is None or row.proposed_at is None:
        return
    fresh = [pair for pair in pairs if pair.at > row.proposed_at.timestamp()]
    verdict = judge_fresh_pairs(fresh, row.proposed, terms)
    if verdict.state == "failed":
        clear_proposal(row, note=f"{row.proposed:g} was tried in shadow, {verdict.reason}")
        return
    row.held, row.note = verdict.state == "held", verdict.reason
    row.fresh, row.fresh_wrong = verdict.estimate.samples, verdict.estimate.wrong
    row.fresh_unclear = verdict.estimate.unclear


# Once a day by itself, by one worker on all machines.

FIRST_TURN_DELAY_SECONDS: Final = 600.0
TURN_INTERVAL_SECONDS: Final = 3600.0
MEASURE_INTERVAL: Final = timedelta(days=1)
RECALIBRATION_LOCK: Final = 0x72636C62  # an arbitrary number


def turn(stopping: threading.Event) -> None:
    """Measure every plan with an error budget that was not measured for a day.

    Raises django.db.Error.
    """
    at = datetime.now(UTC)
    recent = Recalibration.objects.filter(measured_at__gt=at - MEASURE_INTERVAL)
    due = query_plans().filter(max_error_rate__isnull=False)
    for plan in due.exclude(pk__in=recent.values("plan_id")):
        row = measure_plan(plan, at=at).row
        # A worker that stops no longer knows how cohorts are named.
        if stopping.is_set():
            return
        save_measurement(row)
        metrics.RECALIBRATIONS.labels(plan.name, find_state(row)).inc()
        log.info("plan %s: %s", plan.name, describe_recalibration(plan, row))
