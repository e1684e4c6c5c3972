"""Forecast how many turns a chat may still have, from the tenant's chats."""

import math
from bisect import bisect_right
from collections.abc import Mapping
from itertools import pairwise

from proxy.core.compression.results import TurnForecast

PRIOR_CHATS = 8.0
# First turns of the intervals that are counted as one: 1, 2, 3, 4, 6, 8, 12, ..., so that 24
# numbers describe a tenant's chats.
INTERVAL_STARTS: tuple[int, ...] = (
    1,
    2,
    *(turn for power in range(11) for turn in (3 << power, 4 << power)),
)
MIN_EXPECTED_TURNS = 0.125


def find_interval(turn: int) -> int:
    """Return the interval of a turn, counted from 1."""
    return INTERVAL_STARTS[max(bisect_right(INTERVAL_STARTS, turn) - 1, 0)]


# With N(t) requests at turn t, the expected rest of the chats that reach turn t is k(t) = sum of
# N(s) over s > t, over N(t): the mean residual life of survival analysis. With little data a prior
# dominates: a chat lasts on average as long again as it has lasted, k(t) = t, which is the mean
# residual life of a Pareto distribution with exponent 2, the usual choice for a thing of unknown
# scale. It counts as much as `PRIOR_CHATS` chats that came that far, so some dozens of chats of a
# tenant outweigh it.
def forecast_turns(requests: Mapping[int, int]) -> TurnForecast:
    """Return the turns to expect, from the number of requests by interval.

    In powers of two, rounded down, so that one more chat seldom changes a decision. Without
    requests the prior alone.
    """
    found: list[tuple[int, float]] = []
    later = 0.0
    for start, end in reversed(list(pairwise((*INTERVAL_STARTS, 2 * INTERVAL_STARTS[-1])))):
        count, width = requests.get(start, 0), end - start
        reached = count / width
        left = (later + count - reached + PRIOR_CHATS * start) / (reached + PRIOR_CHATS)
        found.append((start, max(MIN_EXPECTED_TURNS, 2.0 ** math.floor(math.log2(left)))))
        later += count
    return tuple(reversed(found))


def expected_turns(turn: int, of: TurnForecast) -> float:
    """Return the turns still to be expected at a turn, counted from 1."""
    return of[max(bisect_right(of, (turn, math.inf)) - 1, 0)][1]
