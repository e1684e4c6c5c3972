"""Fill a budget of tokens with the best pieces of a history."""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from proxy.core.compression.history import History, Rank
from proxy.core.compression.pieces import Pieces
from proxy.core.compression.transcript import Transcript
from proxy.core.tokens import count_text, count_within

# With so few tokens left and so many pieces in a row too large for them, the rest is not tried.
CRUMBS, TRIES = 16, 100
# Tokens of a speaker on a new line, and of a mark for what was left out: at most.
SPEAKER, MARK = 4, 2
# What was left because pieces lie closer together than reckoned is filled again, so many times at most.
ROUNDS = 3

# (index of a piece, room) -> tokens, or None when it does not fit
Cost = Callable[[int, int], int | None]


class Chosen(NamedTuple):
    """Pieces by index, ascending, and the text and tokens of their transcript."""

    pieces: tuple[int, ...]
    text: str
    tokens: int


NOTHING = Chosen((), "", 0)


def choose(pieces: Pieces, scores: Sequence[float], room: int, writer: Transcript, encoding: str, *, least: int = 1) -> Chosen:
    """The pieces with the highest scores whose transcript has no more than `room` tokens; a score of -inf is never chosen. Of equal
    texts the first is taken. When large pieces leave room for fewer than `least`, that many of the shortest go first, as far as they
    fit."""
    order = ranked(scores)
    taken = _taken(pieces, order, room, writer, encoding)
    if len(taken) < least and len(taken) < len(order):
        first = dict.fromkeys(_shortest(pieces, order, least))
        taken = _taken(pieces, [*first, *(i for i in order if i not in first)], room, writer, encoding)
    text = writer.write(sorted(taken))
    return Chosen(tuple(sorted(taken)), text, count_text(text, encoding))


def scored(rank: Rank, history: History) -> list[float]:
    """What an engine says of a history. Raises ValueError when those are no scores of it, and what the engine raises."""
    scores = list(rank(history))
    if len(scores) != len(history.pieces) or not all(map(math.isfinite, scores)):
        raise ValueError("an engine gives every piece one finite score")
    return scores


def ranked(scores: Sequence[float]) -> list[int]:
    """Indices from the highest score down, the earlier of equals first, without those of -inf."""
    values = np.asarray(scores, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    best: list[int] = order[values[order] > -np.inf].tolist()
    return best


def fill(order: Sequence[int], room: int, cost: Cost) -> list[int]:
    """What fits of the given, in this order."""
    taken: list[int] = []
    misses = 0
    for index in order:
        if room <= 0 or (room < CRUMBS and misses >= TRIES):
            break
        tokens = cost(index, room)
        if tokens is None:
            misses += 1
            continue
        room, misses = room - tokens, 0
        taken.append(index)
    return taken


def _taken(pieces: Pieces, order: Sequence[int], room: int, writer: Transcript, encoding: str) -> list[int]:
    """In the order chosen. The costs of pieces lean high: what they left is filled again, and should it be too much after all, the last
    ones give way, more of them each time."""
    costs = _Costs(pieces, encoding)
    taken: list[int] = []
    left = room
    for _ in range(ROUNDS):
        more = fill(order if not taken else [i for i in order if i not in costs.known], left, costs)
        taken += more
        left = room - count_text(writer.write(sorted(taken)), encoding)
        if not more or left < CRUMBS:
            break
    fewer = 1
    while taken and left < 0:
        del taken[-fewer:]
        fewer *= 2
        left = room - count_text(writer.write(sorted(taken)), encoding)
    return taken


def _shortest(pieces: Pieces, order: Sequence[int], least: int) -> Iterable[int]:
    """The shortest of the given, each text once."""
    indices = np.array(order, dtype=np.int64)
    texts: dict[str, int] = {}
    for index in indices[np.argsort((pieces.end - pieces.start)[indices], kind="stable")].tolist():
        if len(texts) == least:
            break
        texts.setdefault(pieces[index].text, index)
    return texts.values()


class _Costs:
    """Tokens of a piece in a transcript that holds those already taken; what was given once, or stands there in the same words, fits
    no more."""

    def __init__(self, pieces: Pieces, encoding: str) -> None:
        self._pieces, self._encoding = pieces, encoding
        self._units: set[int] = set()
        self._texts: set[str] = set()
        self.known: set[int] = set()

    def __call__(self, index: int, room: int) -> int | None:
        piece = self._pieces[index]
        around = MARK + (0 if piece.unit in self._units else SPEAKER)
        if piece.text in self._texts or room <= around:
            return None
        tokens = count_within(f" {piece.text}", self._encoding, room - around)
        if tokens is None:
            return None
        self._units.add(piece.unit)
        self._texts.add(piece.text)
        self.known.add(index)
        return tokens + around


def without(scores: Sequence[float], taken: Collection[int]) -> list[float]:
    """The scores with -inf for what is there already."""
    left = np.array(scores, dtype=np.float64)
    left[list(taken)] = -np.inf
    rest: list[float] = left.tolist()
    return rest
