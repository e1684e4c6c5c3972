"""Fill a budget of tokens with the best pieces of a history."""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from proxy.core.compression.document import History, Piece, Pieces, Rank
from proxy.core.compression.transcript import Transcript
from proxy.core.tokens import count_text, count_within

# With so few tokens left and so many pieces in a row too large for them, the rest is not tried.
CRUMBS, TRIES = 16, 100
# Tokens of a speaker on a new line, and of a mark for what was left out: at most.
SPEAKER, MARK = 4, 2
# Tokens of the signs around what was cut out of something, and of the marks in it.
AROUND = 6
# What was left because pieces lie closer together than reckoned is filled again, so many times at most.
ROUNDS = 4
# What of the room a sentence that could be cut further takes whole, at most.
SENTENCE = 1 / 2

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
    opaque = set(pieces.opaque.tolist())
    order = [index for index in ranked(scores) if index not in opaque] if opaque else ranked(scores)
    chosen = _best(pieces, order, room, writer, encoding)
    if len(chosen.pieces) < least and len(chosen.pieces) < len(order):
        lengths = (pieces.end - pieces.start)[order]
        first = dict.fromkeys(each_once(pieces, [order[i] for i in np.argsort(lengths, kind="stable").tolist()], least))
        chosen = _best(pieces, [*first, *(i for i in order if i not in first)], room, writer, encoding)
    return chosen


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


def each_once(pieces: Pieces, order: Iterable[int], limit: int) -> list[int]:
    """The first so many of the given, each text once."""
    texts: dict[str, int] = {}
    for index in order:
        if len(texts) >= limit:
            break
        texts.setdefault(pieces[index].text, index)
    return list(texts.values())


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


def _best(pieces: Pieces, order: Sequence[int], room: int, writer: Transcript, encoding: str) -> Chosen:
    """The first of the order that fit. Their costs lean high: what they left is filled again, and should it be too much after all, the
    last ones give way."""
    costs = _Costs(pieces, writer, encoding, most=round(room * SENTENCE), wanted=frozenset(order) if pieces.structures else frozenset())
    chosen, left = NOTHING, room
    for _ in range(ROUNDS):
        more = fill([i for i in order if i not in costs.taken and i not in costs.repeated], left, costs)
        if not more:
            break
        chosen = _written(costs, writer, encoding)
        left = room - chosen.tokens
        if left < CRUMBS:
            break
    while left < 0:
        while left < 0 and costs.taken:
            left += costs.taken.popitem()[1]
        chosen = _written(costs, writer, encoding)
        left = room - chosen.tokens
    return chosen


def _written(costs: "_Costs", writer: Transcript, encoding: str) -> Chosen:
    taken = sorted(costs.taken)
    text = writer.write(taken)
    return Chosen(tuple(taken), text, count_text(text, encoding))


class _Costs:
    """Tokens of a piece in a transcript that holds those already taken, which are remembered; one that stands there in the same words
    fits no more. A piece that was cut out of a sentence or block brings all of it where that fits: a sentence in `most` tokens, a block
    in the whole room, if all of it is `wanted`."""

    def __init__(self, pieces: Pieces, writer: Transcript, encoding: str, *, most: int, wanted: Collection[int]) -> None:
        self._pieces, self._writer, self._encoding = pieces, writer, encoding
        self._most, self._wanted = most, wanted
        self._units: set[int] = set()
        self._texts: set[str] = set()
        self._nodes: set[tuple[int, int]] = set()
        self._tried: set[int] = set()
        # What stands there already in the same words.
        self.repeated: set[int] = set()
        # In the order chosen.
        self.taken: dict[int, int] = {}

    def __call__(self, index: int, room: int) -> int | None:
        piece = self._pieces[index]
        room_left = room - MARK - (0 if piece.unit in self._units else SPEAKER)
        if index in self.taken or room_left <= 0:
            return None
        if not self._pieces.structures:
            return self._sentence(index, piece, room, room_left)
        return self._whole(index, piece, room, room_left) or self._fragment(index, piece, room, room_left)

    def _whole(self, index: int, piece: Piece, room: int, room_left: int) -> int | None:
        """All of what the piece was cut out of."""
        found = self._pieces.cut_from(index)
        if found is None or found[0].start in self._tried:
            return None
        some, whole = found
        self._tried.add(some.start)
        if whole.tokens > (room_left if whole.atomic else min(room_left, self._most)):
            return None
        opaque = [self._pieces.fragment(one).opaque for one in some]
        if any(one in self.taken or not (one in self._wanted or hidden) for one, hidden in zip(some, opaque, strict=True)):
            return None
        cost = self._take(index, piece, whole.tokens, room, room_left)
        self.taken.update((one, 0) for one in some if one != index)
        return cost

    def _fragment(self, index: int, piece: Piece, room: int, room_left: int) -> int | None:
        around = [(node, text) for node, text in self._writer.around(index) if node not in self._nodes]
        if not around:
            return self._sentence(index, piece, room, room_left)
        framing = AROUND * len(around) + sum(count_text(text, self._encoding) for _, text in around)
        tokens = count_within(piece.text, self._encoding, room_left - framing) if room_left > framing else None
        if tokens is None:
            return None
        self._nodes.update(node for node, _ in around)
        return self._take(index, piece, tokens + framing, room, room_left)

    def _sentence(self, index: int, piece: Piece, room: int, room_left: int) -> int | None:
        alike = piece.text in self._texts and not self._is_window(index)
        if alike:
            self.repeated.add(index)
        tokens = None if alike else count_within(f" {self._writer.quoted(piece.text)}", self._encoding, room_left)
        return None if tokens is None else self._take(index, piece, tokens, room, room_left)

    def _is_window(self, index: int) -> bool:
        """Whether a piece was cut from a sentence: there equal words may stand in two places and mean two things."""
        found = self._pieces.cut_from(index) if self._pieces.structures else None
        return found is not None and not found[1].atomic

    def _take(self, index: int, piece: Piece, tokens: int, room: int, room_left: int) -> int:
        self._units.add(piece.unit)
        self._texts.add(piece.text)
        self.taken[index] = tokens + room - room_left
        return self.taken[index]
