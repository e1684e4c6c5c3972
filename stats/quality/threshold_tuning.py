"""What another threshold would have meant for a plan, by its own requests."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import Aggregate, Count, Q, Sum

from plans.models import Plan
from plans.strictness import get_operating_points
from stats.analysis import confidence
from stats.events import compute_hit_rate
from stats.reports.rollup_query import RollupQuery
from stats.reports.selectors import build_plan_query
from stats.reports.totals import IS_EXACT, IS_MISS, IS_PRICED, IS_SEMANTIC, SAVED_COST

# What another threshold would have meant: hits, money, and how many of the hits were wrong.
#
# Every request records its best candidate's number: the cosine, or the verifier's score under
# `match: verified`. A hit counts at every threshold up to its number. A miss whose best candidate
# was below the threshold in force, without another objection, counts as well: the rules were not
# asked about it, so these hits are an upper bound (`unjudged`). How many hits are wrong is measured
# by samples, compared with the provider's answer, never estimated; what clients reported is counted
# separately, because no one reports everything.

THRESHOLDS: Final = (0.75, 0.80, 0.85, 0.90, 0.95, 0.97, 0.99)
SAMPLE_VERDICTS: Final = ("right", "wrong", "unclear")
CLIENT_REQUESTS = ~Q(tier="sample")  # a sample is a row of its own
WOULD_EXACT, WOULD_SEMANTIC = (IS_MISS & Q(would=tier) for tier in ("exact", "semantic"))
BELOW_THRESHOLD = IS_MISS & Q(would="", reason="")


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdRow:
    """The figures at one threshold.

    `semantic`: hits, of which `unjudged` were below the threshold in force; `saved`: US dollars by
    them, None without prices; `right`, `wrong`, `unclear`: samples; `reported`: hits reported as
    wrong.
    """

    threshold: float
    hit_rate: float
    semantic: int
    unjudged: int
    saved: Decimal | None
    right: int
    wrong: int
    unclear: int
    reported: int
    in_force: bool

    @property
    def samples(self) -> int:
        return self.right + self.wrong + self.unclear

    @property
    def wrong_rate(self) -> float | None:
        """The share of wrong samples among those that are not unclear; None without any."""
        told = self.right + self.wrong
        return self.wrong / told if told else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's 95 % interval of the wrong rate; None without evidence."""
        if self.wrong_rate is None:
            return None
        # Unclear samples count as right in the lower bound and as wrong in the upper one.
        return confidence.wilson_interval(self.wrong, self.samples)[0], confidence.wilson_interval(
            self.wrong + self.unclear, self.samples
        )[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningReport:
    """The figures of a plan at several thresholds.

    `number`: what thresholds apply to, `cosine` or `score`; `exact`: hits at any threshold;
    `measured`: requests that have the number.
    """

    number: str
    requests: int
    exact: int
    measured: int
    rows: tuple[ThresholdRow, ...]


def build_tuning_report(
    wanted: RollupQuery, plan: Plan, *, thresholds: Iterable[float] = THRESHOLDS
) -> TuningReport:
    """Compute the figures at these thresholds and the one in force, in one query.

    Of the plan's requests that finished, shadow mode included.
    """
    column = "score" if plan.match == "verified" else "similarity"
    places = sorted({*thresholds, plan.threshold})
    sums: dict[str, Aggregate] = {
        "n_requests": Count("pk", filter=CLIENT_REQUESTS),
        "n_exact": Count("pk", filter=IS_EXACT | WOULD_EXACT),
        "n_measured": Count("pk", filter=Q(**{f"{column}__isnull": False}) & CLIENT_REQUESTS),
    }
    for place, threshold in enumerate(places):
        sums |= {
            f"{name}_{place}": value
            for name, value in _build_threshold_sums(Q(**{f"{column}__gte": threshold})).items()
        }
    found = (
        wanted.query_events()
        .filter(status__gte=200, status__lt=300, outcome="ok")
        .aggregate(**sums)
    )
    return TuningReport(
        number="score" if column == "score" else "cosine",
        requests=found["n_requests"],
        exact=found["n_exact"],
        measured=found["n_measured"],
        rows=tuple(
            _build_threshold_row(threshold, place, found, plan)
            for place, threshold in enumerate(places)
        ),
    )


def _build_threshold_sums(reaches: Q) -> dict[str, Aggregate]:
    """Build the sums over the requests whose number reaches a threshold."""
    return {
        "semantic": Count("pk", filter=reaches & (IS_SEMANTIC | WOULD_SEMANTIC | BELOW_THRESHOLD)),
        "unjudged": Count("pk", filter=reaches & BELOW_THRESHOLD),
        "served": Sum(SAVED_COST, filter=reaches & IS_SEMANTIC & IS_PRICED),
        "billed": Sum(
            "billed_cost", filter=reaches & (WOULD_SEMANTIC | BELOW_THRESHOLD) & IS_PRICED
        ),
        "reported": Count("pk", filter=reaches & (IS_SEMANTIC | WOULD_SEMANTIC) & Q(wrong=True)),
        **{verdict: Count("pk", filter=reaches & Q(sample=verdict)) for verdict in SAMPLE_VERDICTS},
    }


def _build_threshold_row(
    threshold: float, place: int, found: dict[str, Any], plan: Plan
) -> ThresholdRow:
    value = {
        name: found[f"{name}_{place}"]
        for name in ("semantic", "unjudged", "served", "billed", "reported", *SAMPLE_VERDICTS)
    }
    priced = [value[name] for name in ("served", "billed") if value[name] is not None]
    return ThresholdRow(
        threshold=threshold,
        hit_rate=compute_hit_rate(found["n_exact"] + value["semantic"], found["n_requests"]),
        saved=sum(priced, Decimal(0)) if priced else None,
        in_force=threshold == plan.threshold,
        **{name: value[name] for name in ("semantic", "unjudged", "reported", *SAMPLE_VERDICTS)},
    )


# The curve beside a plan's threshold: how many requests are answered without the provider, and how
# many of those answers are wrong.

MAX_CURVE_REQUESTS: Final = 5000  # of the plan, so that its page stays fast
CURVE_DAYS: Final = 30
MIN_MEASURED_REQUESTS: Final = (
    50  # requests with a number; with fewer, a curve of the plan's own would be noise
)
CURVE_THRESHOLDS: Final = tuple(step / 100 for step in range(50, 101, 5))
PUBLIC_SET: Final = "questions"  # of `plans.strictness`: everyday questions
# On 1,671 of them (docs/verifier.md): of the pairs with one answer the share found, of those found
# the share wrong.
PUBLIC_COSINE_PAIRS, PUBLIC_COSINE_POINTS = 1671, ((0.85, 0.772, 0.024),)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Rates of hits and of wrong hits at one threshold, as shares of 1.

    `wrong` None: no samples.
    """

    threshold: float
    hit_rate: float
    wrong: float | None


@dataclass(frozen=True, slots=True)
class ThresholdCurve:
    """The curve of a plan, by its own requests (`is_own`) or else by public data.

    `measured`: requests of the plan that had a number to compare; `public_pairs`: those of the
    public data, 0 if the curve is the plan's own.
    """

    points: tuple[CurvePoint, ...]
    is_own: bool
    measured: int
    public_pairs: int = 0


def build_threshold_curve(plan: Plan) -> ThresholdCurve:
    """Build the curve from the plan's latest requests within 30 days. Two queries."""
    start = datetime.now(UTC) - timedelta(days=CURVE_DAYS)
    latest = (
        build_plan_query(plan, None, start=start)
        .query_events()
        .filter(CLIENT_REQUESTS)
        .order_by("-at")
        .values_list("at", flat=True)
    )
    oldest = next(iter(latest[MAX_CURVE_REQUESTS - 1 : MAX_CURVE_REQUESTS]), start)
    found = build_tuning_report(
        build_plan_query(plan, None, start=oldest), plan, thresholds=CURVE_THRESHOLDS
    )
    if found.measured < MIN_MEASURED_REQUESTS:
        return _build_public_curve(plan, found.measured)
    return ThresholdCurve(
        tuple(CurvePoint(row.threshold, row.hit_rate, row.wrong_rate) for row in found.rows),
        is_own=True,
        measured=found.measured,
    )


def _build_public_curve(plan: Plan, measured: int) -> ThresholdCurve:
    """Build the curve of public data, for a plan with too few requests of its own."""
    if plan.match != "verified":
        points = tuple(CurvePoint(*values) for values in PUBLIC_COSINE_POINTS)
        return ThresholdCurve(points, False, measured, PUBLIC_COSINE_PAIRS)
    found = get_operating_points().all_points
    counts = [point.sets[PUBLIC_SET] for point in found]
    points = tuple(
        CurvePoint(point.threshold, each.recall, each.wrong_share)
        for point, each in zip(found, counts, strict=True)
    )
    return ThresholdCurve(points, False, measured, counts[0].right + counts[0].traps)
