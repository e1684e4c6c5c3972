"""What recalibration found for a plan: figures at its threshold and at the proposed one."""

from dataclasses import asdict, dataclass
from typing import Any

from stats.analysis.error_rate import estimate_error_rate
from stats.quality.recalibration import PlanMeasurement, find_state
from stats.quality.threshold_tuning import build_tuning_report
from stats.reports.selectors import build_plan_query


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdFigures:
    """The figures of a plan's own rows at one threshold.

    `hit_rate`: of both tiers; `pairs`: labelled ones at or above it; `wrong_rate`: of them, without
    the unclear ones, None without any; `upper`: its upper bound, with the unclear ones as wrong.
    """

    threshold: float
    hit_rate: float
    pairs: int
    wrong_rate: float | None
    upper: float


@dataclass(frozen=True, slots=True)
class RecalibrationReport:
    """A measurement with the figures at the present threshold and at the proposed one, if any."""

    measured: PlanMeasurement
    now: ThresholdFigures
    proposed: ThresholdFigures | None


def build_recalibration_report(measured: PlanMeasurement) -> RecalibrationReport:
    """Compute the figures, of the same rows at both thresholds."""
    row, plan = measured.row, measured.plan
    places = [row.threshold] if row.proposed is None else [row.threshold, row.proposed]
    tuning = build_tuning_report(
        build_plan_query(plan, None, start=measured.start), plan, thresholds=places
    )
    hit_rates = {each.threshold: each.hit_rate for each in tuning.rows}
    figures = [_build_figures(measured, place, hit_rates[place]) for place in places]
    return RecalibrationReport(measured, figures[0], figures[1] if figures[1:] else None)


def _build_figures(
    measured: PlanMeasurement, threshold: float, hit_rate: float
) -> ThresholdFigures:
    found = estimate_error_rate(measured.pairs, limit=measured.row.target, threshold=threshold)
    return ThresholdFigures(
        threshold=threshold,
        hit_rate=hit_rate,
        pairs=found.samples,
        wrong_rate=found.rate,
        upper=round(found.upper, 6),
    )


def build_report_body(report: RecalibrationReport) -> dict[str, Any]:
    """Build the object that `manage.py recalibrate --output json` prints of a plan."""
    row, plan = report.measured.row, report.measured.plan
    return {
        "plan": plan.name,
        "tenant": plan.tenant.slug if plan.tenant else None,
        "number": "score" if plan.match == "verified" else "cosine",
        "target": row.target,
        "pairs": row.right + row.wrong + row.unclear,
        "right": row.right,
        "wrong": row.wrong,
        "unclear": row.unclear,
        "state": find_state(row),
        "note": row.note,
        "proposed_at": row.proposed_at and row.proposed_at.isoformat(),
        "fresh": row.fresh,
        "fresh_wrong": row.fresh_wrong,
        "fresh_unclear": row.fresh_unclear,
        "now": asdict(report.now),
        "proposed": report.proposed and asdict(report.proposed),
    }
