"""What another threshold would have meant for a plan, by its own requests."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import Aggregate, Count, Q, Sum

from plans.models import Plan
from stats.analysis import confidence
from stats.events import hit_rate
from stats.reports.rollup_query import Wanted
from stats.reports.selectors import wanted_of
from stats.reports.totals import EXACT, MISS, PRICED, SAVED, SEMANTIC

# What another threshold would have meant for a plan, by its own requests: hits, money, and how many
# of the hits were wrong.
#
# Every request notes its best neighbour's number: the cosine, or the verifier's score under `match:
# verified`. A hit counts at every threshold up to its number. A miss whose best neighbour stayed
# below the threshold in force, with no objection to it, counts as well: nobody asked the rules
# about it, so the hits there are at most so many (`unjudged`). How many hits are wrong is said by
# samples, compared with the provider's answer, never reckoned; what clients reported is counted
# apart, because nobody reports all.

THRESHOLDS: Final = (0.75, 0.80, 0.85, 0.90, 0.95, 0.97, 0.99)
SAMPLED: Final = ("right", "wrong", "unclear")
ASKED = ~Q(tier="sample")  # a sample is a row of its own
WOULD_EXACT, WOULD_SEMANTIC = (MISS & Q(would=tier) for tier in ("exact", "semantic"))
BELOW = MISS & Q(would="", reason="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """At one threshold.

    `semantic`: hits, of which `unjudged` were below the one in force; `saved`: US dollars by them,
    None: nothing had a price; `right`, `wrong`, `unclear`: samples; `reported`: hits that somebody
    said were wrong.
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
        """Of those that could be told; None: no evidence."""
        told = self.right + self.wrong
        return self.wrong / told if told else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's, 95 %; what could not be told counts as right below and as wrong above.

        None: no evidence.
        """
        if self.wrong_rate is None:
            return None
        return confidence.interval(self.wrong, self.samples)[0], confidence.interval(
            self.wrong + self.unclear, self.samples
        )[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """`number`: what thresholds are about, `cosine` or `score`;
    `exact`: hits that no threshold changes; `measured`: requests that have the number."""

    number: str
    requests: int
    exact: int
    measured: int
    rows: tuple[Row, ...]


def tuning(wanted: Wanted, plan: Plan, *, thresholds: Iterable[float] = THRESHOLDS) -> Tuning:
    """At these thresholds and the one in force, by those of the plan's requests that finished,
    in shadow too. One query."""
    column = "score" if plan.match == Plan.Match.VERIFIED else "similarity"
    places = sorted({*thresholds, plan.similarity_threshold})
    sums: dict[str, Aggregate] = {
        "n_requests": Count("pk", filter=ASKED),
        "n_exact": Count("pk", filter=EXACT | WOULD_EXACT),
        "n_measured": Count("pk", filter=Q(**{f"{column}__isnull": False}) & ASKED),
    }
    for place, threshold in enumerate(places):
        sums |= {
            f"{name}_{place}": value
            for name, value in _sums(Q(**{f"{column}__gte": threshold})).items()
        }
    found = wanted.events().filter(status__gte=200, status__lt=300, outcome="ok").aggregate(**sums)
    return Tuning(
        number="score" if column == "score" else "cosine",
        requests=found["n_requests"],
        exact=found["n_exact"],
        measured=found["n_measured"],
        rows=tuple(_row(threshold, place, found, plan) for place, threshold in enumerate(places)),
    )


def _sums(reaches: Q) -> dict[str, Aggregate]:
    """Over the requests whose number reaches a threshold."""
    return {
        "semantic": Count("pk", filter=reaches & (SEMANTIC | WOULD_SEMANTIC | BELOW)),
        "unjudged": Count("pk", filter=reaches & BELOW),
        "served": Sum(SAVED, filter=reaches & SEMANTIC & PRICED),
        "billed": Sum("billed_cost", filter=reaches & (WOULD_SEMANTIC | BELOW) & PRICED),
        "reported": Count("pk", filter=reaches & (SEMANTIC | WOULD_SEMANTIC) & Q(wrong=True)),
        **{verdict: Count("pk", filter=reaches & Q(sample=verdict)) for verdict in SAMPLED},
    }


def _row(threshold: float, place: int, found: dict[str, Any], plan: Plan) -> Row:
    value = {
        name: found[f"{name}_{place}"]
        for name in ("semantic", "unjudged", "served", "billed", "reported", *SAMPLED)
    }
    priced = [value[name] for name in ("served", "billed") if value[name] is not None]
    return Row(
        threshold=threshold,
        hit_rate=hit_rate(found["n_exact"] + value["semantic"], found["n_requests"]),
        saved=sum(priced, Decimal(0)) if priced else None,
        in_force=threshold == plan.similarity_threshold,
        **{name: value[name] for name in ("semantic", "unjudged", "reported", *SAMPLED)},
    )


# The curve beside a plan's threshold: how many requests are answered without the provider, and how
# many of those answers are wrong.

LATEST: Final = 5000  # requests of the plan, so that its page stays quick
DAYS: Final = 30
FEWEST: Final = 50  # requests with a number, below which a curve of the plan's own would be noise
OWN: Final = tuple(step / 100 for step in range(50, 101, 5))
# On 1,671 pairs of everyday questions (docs/verifier.md): of the pairs with one answer the share
# found, of those found the share wrong.
VERIFIED: Final = ((0.80, 0.894, 0.013), (0.85, 0.886, 0.010), (0.90, 0.868, 0.007))
COSINE: Final = ((0.85, 0.772, 0.024),)


@dataclass(frozen=True, slots=True)
class Point:
    """At one threshold: shares of 1. `wrong` None: nobody compared an answer there."""

    threshold: float
    hit_rate: float
    wrong: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """`own`: by the plan's own requests, of which `measured` had a number to compare;
    else by public data."""

    points: tuple[Point, ...]
    own: bool
    measured: int


def curve(plan: Plan) -> Curve:
    """Of the plan's latest requests within 30 days, as the tuning page counts them. Two queries."""
    start = datetime.now(UTC) - timedelta(days=DAYS)
    latest = (
        wanted_of(plan, None, start=start)
        .events()
        .filter(ASKED)
        .order_by("-at")
        .values_list("at", flat=True)
    )
    oldest = next(iter(latest[LATEST - 1 : LATEST]), start)
    found = tuning(wanted_of(plan, None, start=oldest), plan, thresholds=OWN)
    if found.measured < FEWEST:
        public = VERIFIED if plan.match == Plan.Match.VERIFIED else COSINE
        return Curve(tuple(Point(*values) for values in public), own=False, measured=found.measured)
    return Curve(
        tuple(Point(row.threshold, row.hit_rate, row.wrong_rate) for row in found.rows),
        own=True,
        measured=found.measured,
    )
