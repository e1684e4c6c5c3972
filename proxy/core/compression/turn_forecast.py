"""How many turns a chat may still have, judged by the tenant's chats.

Counted is at which turn each request came: N(t). Of the chats that reach turn t, the rest is k(t) =
sum of N(s) over s > t, over N(t): the mean residual life of survival analysis. Where there is
little data a prior speaks: a chat lasts on average as long again as it has lasted, k(t) = t, which
is the mean residual life of a Pareto distribution with exponent 2, the usual choice for a thing of
unknown scale. It counts as much as `PRIOR_CHATS` chats that came that far, so a tenant with some
dozens of chats is judged by them.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping
from itertools import pairwise

from proxy.core.compression.types import TurnForecast

PRIOR_CHATS = 8.0
# First turns of the intervals that are counted as one: 1, 2, 3, 4, 6, 8, 12, ... so that 24 numbers
# hold a tenant's chats.
INTERVAL_STARTS: tuple[int, ...] = (
    1,
    2,
    *(turn for power in range(11) for turn in (3 << power, 4 << power)),
)
MIN_EXPECTED_TURNS = 0.125


def find_interval(turn: int) -> int:
    """The interval a turn, counted from 1, falls into."""
    return INTERVAL_STARTS[max(bisect_right(INTERVAL_STARTS, turn) - 1, 0)]


def forecast_turns(requests: Mapping[int, int]) -> TurnForecast:
    """The turns to expect, from the number of requests by interval.

    In powers of two, rounded down, so that one more chat seldom changes a decision. No requests:
    the prior alone.
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
    """The turns still to be expected at a turn, counted from 1."""
    return of[max(bisect_right(of, (turn, math.inf)) - 1, 0)][1]
