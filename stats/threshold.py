"""The curve beside a plan's threshold: how many requests are answered without the provider, and how many of those answers are wrong."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from plans.models import Plan
from stats.selectors import wanted_of
from stats.tuning import ASKED, tuning

LATEST: Final = 5000  # requests of the plan, so that its page stays quick
DAYS: Final = 30
FEWEST: Final = 50  # requests with a number, below which a curve of the plan's own would be noise
OWN: Final = tuple(step / 100 for step in range(50, 101, 5))
# On 1,671 pairs of everyday questions (docs/verifier.md): of the pairs with one answer the share found, of those found the share wrong.
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
    """`own`: by the plan's own requests, of which `measured` had a number to compare; else by public data."""

    points: tuple[Point, ...]
    own: bool
    measured: int


def curve(plan: Plan) -> Curve:
    """Of the plan's latest requests within 30 days, as the tuning page counts them. Two queries."""
    start = datetime.now(UTC) - timedelta(days=DAYS)
    latest = wanted_of(plan, None, start=start).events().filter(ASKED).order_by("-at").values_list("at", flat=True)
    oldest = next(iter(latest[LATEST - 1 : LATEST]), start)
    found = tuning(wanted_of(plan, None, start=oldest), plan, thresholds=OWN)
    if found.measured < FEWEST:
        public = VERIFIED if plan.match == Plan.Match.VERIFIED else COSINE
        return Curve(tuple(Point(*values) for values in public), own=False, measured=found.measured)
    return Curve(tuple(Point(row.threshold, row.hit_rate, row.wrong_rate) for row in found.rows), own=True, measured=found.measured)
