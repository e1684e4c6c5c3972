"""What of the old part of a chat goes along for this one question. It costs its full price in every turn, so a question gets what it asks
for, and "yes please" next to nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np

from proxy.core.compression.choose import NOTHING, Chosen, choose, each_once, ranked
from proxy.core.compression.history import History
from proxy.core.compression.mark import HIGH
from proxy.core.compression.parts import Parts
from proxy.core.compression.rendering import LEFT_OUT
from proxy.core.compression.transcript import Transcript

# So much of the budget at most, and nothing that is worth less than this share of the best.
RECALL, RELEVANT = 3 / 4, 0.1
# From this flatness on less is recalled, down to this share.
FLAT, LEAST = 0.55, 0.5


def recall(parts: Parts, history: History, block: Chosen, scores: Sequence[float], *, asked: bool, least: int) -> Chosen:
    """The best pieces by their scores that the block does not say already, as many as there is room for, `least` where so many fit.
    `asked`: the scores are for a question."""
    budget = parts.draft.budget
    left = _left(scores, parts, history, block, asked=asked, least=least)
    share = RECALL * (_called_for(scores) if asked else 1)
    room = budget - replace(parts, recalled=LEFT_OUT).tokens
    # What would have been kept in one piece had it been shorter is kept as far as it fits.
    if not any(tokens > budget * RECALL for _, tokens in _wanted(left, parts, history)):
        room = min(room, round(budget * share))
    writer = Transcript(history.pieces, parts.draft.chat, parts.draft.messages)
    while room > 0:
        found = choose(history.pieces, left, room, writer, parts.draft.encoding, least=least)
        # A text can cost a token or two more in its message than alone: then again.
        excess = replace(parts, recalled=found.text).tokens - budget
        if excess <= 0:
            return found
        room -= excess
    return NOTHING


def flatness(scores: Sequence[float]) -> float:
    """How many pieces share the scores, of all: 1 when they are alike, near 0 when a few have it all. It is the participation ratio, the
    square of the sum over the sum of squares."""
    values = np.maximum(np.asarray(scores, dtype=np.float64), 0)
    squares = float(values @ values)
    return float(values.sum()) ** 2 / squares / len(values) if squares else 1.0


def _called_for(scores: Sequence[float]) -> float:
    """The share of the room: a message that has as much to do with one thing as with another asks for none of them."""
    return min(1.0, max(LEAST, (1 - flatness(scores)) / (1 - FLAT)))


def _left(scores: Sequence[float], parts: Parts, history: History, block: Chosen, *, asked: bool, least: int) -> list[float]:
    """The scores with -inf for what the block says already and, where a question was asked, for what has little to do with it, as
    long as `least` remain."""
    left = np.array(scores, dtype=np.float64)
    left[list(block.pieces)] = -np.inf
    if asked:
        least_of_all = each_once(history.pieces, ranked(left.tolist()), least)
        kept = left[least_of_all]
        wanted = left > RELEVANT * max(0.0, left.max(initial=0.0))
        for some, _ in _wanted(np.where(wanted, left, -np.inf).tolist(), parts, history):
            wanted[some] |= np.isfinite(left[some])
        for some in _recent(parts, history):
            wanted[some] |= np.isfinite(left[some])
        left[~wanted] = -np.inf
        left[least_of_all] = kept
    rest: list[float] = left.tolist()
    return rest


def _recent(parts: Parts, history: History) -> Iterator[slice]:
    """The pieces of texts that are larger than the budget and else would go whole, as they are among the newest: of these is sent what
    fits, whatever is asked."""
    pieces, costs, budget = history.pieces, parts.draft.costs, parts.draft.budget
    ends = [*pieces.first, len(pieces)][1:]
    after = list(accumulate(reversed(costs), initial=0))[::-1]
    for source, (first, end) in enumerate(zip(pieces.first, ends, strict=True)):
        unit = pieces.sources[source].unit
        if costs[unit] > budget and after[unit + 1] <= HIGH * budget:
            yield slice(first, end)


def _wanted(left: Sequence[float], parts: Parts, history: History) -> Iterator[tuple[slice, int]]:
    """The sentences and blocks that were cut further, and the texts larger than the budget, of which some piece has a score; with their
    tokens."""
    pieces, costs, budget = history.pieces, parts.draft.costs, parts.draft.budget
    ends = [*pieces.first, len(pieces)][1:]
    for source, (first, end) in enumerate(zip(pieces.first, ends, strict=True)):
        tokens = costs[pieces.sources[source].unit]
        if tokens > budget:
            found = [(slice(first, end), tokens)]
        elif source in pieces.structures:
            found = [(slice(first + some.first, first + some.end), some.tokens) for some in pieces.structures[source].wholes]
        else:
            continue
        yield from (item for item in found if any(score > -np.inf for score in left[item[0]]))
