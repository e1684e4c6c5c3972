"""Fill a token budget with the best pieces of a history."""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from proxy.core.compression.document import Document, Piece, Pieces, RankFunction
from proxy.core.compression.transcript import TranscriptWriter
from proxy.core.tokens import count_text, count_up_to

# With fewer tokens left and so many misses in a row, no more pieces are tried.
MIN_USEFUL_TOKENS, MAX_MISSES = 16, 100
# The most tokens of a speaker on a new line, and of an omission mark.
MAX_SPEAKER_TOKENS, MAX_MARK_TOKENS = 4, 2
# Tokens of the brackets around a fragment, and of the marks in it.
MAX_FRAMING_TOKENS = 6
# Adjacent pieces need fewer tokens than estimated; the room that leaves is filled again, at most so
# often.
MAX_FILL_ROUNDS = 4
# The most of the room that a sentence takes whole if it could be split.
MAX_SENTENCE_SHARE = 1 / 2

# (index of a piece, room) -> tokens, or None when it does not fit
PieceCost = Callable[[int, int], int | None]


class Selection(NamedTuple):
    """Selected pieces by ascending index, and the text and tokens of their transcript."""

    pieces: tuple[int, ...]
    text: str
    tokens: int


EMPTY_SELECTION = Selection((), "", 0)


def select_pieces(
    pieces: Pieces,
    scores: Sequence[float],
    room: int,
    writer: TranscriptWriter,
    encoding: str,
    *,
    least: int = 1,
) -> Selection:
    """Return the highest-scoring pieces whose transcript has at most `room` tokens.

    A score of -inf is never chosen; of equal texts the first is. If large pieces leave room for
    fewer than `least`, that many of the shortest come first, as far as they fit.
    """
    opaque = set(pieces.opaque_pieces.tolist())
    order = (
        [index for index in rank_indices(scores) if index not in opaque]
        if opaque
        else rank_indices(scores)
    )
    chosen = _select_best(pieces, order, room, writer, encoding)
    if len(chosen.pieces) < least and len(chosen.pieces) < len(order):
        lengths = (pieces.end - pieces.start)[order]
        first = dict.fromkeys(
            drop_duplicates(
                pieces, [order[i] for i in np.argsort(lengths, kind="stable").tolist()], least
            )
        )
        chosen = _select_best(
            pieces, [*first, *(i for i in order if i not in first)], room, writer, encoding
        )
    return chosen


def score_pieces(rank: RankFunction, history: Document) -> list[float]:
    """Return the engine's scores of a history.

    Raises ValueError unless it gives every piece one finite score, and what the engine raises.
    """
    scores = list(rank(history))
    if len(scores) != len(history.pieces) or not all(map(math.isfinite, scores)):
        raise ValueError("an engine gives every piece one finite score")
    return scores


def rank_indices(scores: Sequence[float]) -> list[int]:
    """Return indices by descending score, the earlier of equals first, without those of -inf."""
    values = np.asarray(scores, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    best: list[int] = order[values[order] > -np.inf].tolist()
    return best


def drop_duplicates(pieces: Pieces, order: Iterable[int], limit: int) -> list[int]:
    """Return the first `limit` indices of `order`, each text once."""
    texts: dict[str, int] = {}
    for index in order:
        if len(texts) >= limit:
            break
        texts.setdefault(pieces[index].text, index)
    return list(texts.values())


def fill_room(order: Sequence[int], room: int, cost: PieceCost) -> list[int]:
    """Return the indices that fit, taken in this order."""
    taken: list[int] = []
    misses = 0
    for index in order:
        if room <= 0 or (room < MIN_USEFUL_TOKENS and misses >= MAX_MISSES):
            break
        tokens = cost(index, room)
        if tokens is None:
            misses += 1
            continue
        room, misses = room - tokens, 0
        taken.append(index)
    return taken


def _select_best(
    pieces: Pieces, order: Sequence[int], room: int, writer: TranscriptWriter, encoding: str
) -> Selection:
    """Select the first of the order that fit."""
    costs = _PieceCosts(
        pieces,
        writer,
        encoding,
        most=round(room * MAX_SENTENCE_SHARE),
        wanted=frozenset(order) if pieces.structures else frozenset(),
    )
    # Estimated costs are high: the room they leave is filled again, and should the total be too
    # much after all, the last pieces are dropped.
    chosen, left = EMPTY_SELECTION, room
    for _ in range(MAX_FILL_ROUNDS):
        more = fill_room(
            [i for i in order if i not in costs.tokens_by_piece and i not in costs.repeated_pieces],
            left,
            costs,
        )
        if not more:
            break
        chosen = _write_selection(costs, writer, encoding)
        left = room - chosen.tokens
        if left < MIN_USEFUL_TOKENS:
            break
    while left < 0:
        while left < 0 and costs.tokens_by_piece:
            left += costs.tokens_by_piece.popitem()[1]
        chosen = _write_selection(costs, writer, encoding)
        left = room - chosen.tokens
    return chosen


def _write_selection(costs: "_PieceCosts", writer: TranscriptWriter, encoding: str) -> Selection:
    taken = sorted(costs.tokens_by_piece)
    text = writer.write_pieces(taken)
    return Selection(tuple(taken), text, count_text(text, encoding))


class _PieceCosts:
    """Token costs of adding a piece to the transcript; remembers the pieces taken.

    A text that is already in it is not taken again. A fragment brings all of its sentence or block
    if that fits and is `wanted`: a sentence in `most` tokens, a block in the whole room.
    """

    def __init__(
        self,
        pieces: Pieces,
        writer: TranscriptWriter,
        encoding: str,
        *,
        most: int,
        wanted: Collection[int],
    ) -> None:
        self._pieces, self._writer, self._encoding = pieces, writer, encoding
        self._max_sentence_tokens, self._wanted_pieces = most, wanted
        self._written_units: set[int] = set()
        self._written_texts: set[str] = set()
        self._framed_nodes: set[tuple[int, int]] = set()
        self._tried_splits: set[int] = set()
        # Pieces whose text is already in the transcript.
        self.repeated_pieces: set[int] = set()
        # In the order chosen.
        self.tokens_by_piece: dict[int, int] = {}

    def __call__(self, index: int, room: int) -> int | None:
        piece = self._pieces[index]
        room_left = (
            room
            - MAX_MARK_TOKENS
            - (0 if piece.unit in self._written_units else MAX_SPEAKER_TOKENS)
        )
        if index in self.tokens_by_piece or room_left <= 0:
            return None
        if not self._pieces.structures:
            return self._take_sentence(index, piece, room, room_left)
        return self._take_whole(index, piece, room, room_left) or self._take_fragment(
            index, piece, room, room_left
        )

    def _take_whole(self, index: int, piece: Piece, room: int, room_left: int) -> int | None:
        """Take everything the piece was split from, if it fits."""
        found = self._pieces.find_split(index)
        if found is None or found[0].start in self._tried_splits:
            return None
        some, whole = found
        self._tried_splits.add(some.start)
        if whole.tokens > (
            room_left if whole.is_atomic else min(room_left, self._max_sentence_tokens)
        ):
            return None
        opaque = [self._pieces.get_fragment(one).is_opaque for one in some]
        if any(
            one in self.tokens_by_piece or not (one in self._wanted_pieces or hidden)
            for one, hidden in zip(some, opaque, strict=True)
        ):
            return None
        cost = self._take_piece(index, piece, whole.tokens, room, room_left)
        self.tokens_by_piece.update((one, 0) for one in some if one != index)
        return cost

    def _take_fragment(self, index: int, piece: Piece, room: int, room_left: int) -> int | None:
        around = [
            (node, text)
            for node, text in self._writer.iter_framing(index)
            if node not in self._framed_nodes
        ]
        if not around:
            return self._take_sentence(index, piece, room, room_left)
        framing = MAX_FRAMING_TOKENS * len(around) + sum(
            count_text(text, self._encoding) for _, text in around
        )
        tokens = (
            count_up_to(piece.text, self._encoding, room_left - framing)
            if room_left > framing
            else None
        )
        if tokens is None:
            return None
        self._framed_nodes.update(node for node, _ in around)
        return self._take_piece(index, piece, tokens + framing, room, room_left)

    def _take_sentence(self, index: int, piece: Piece, room: int, room_left: int) -> int | None:
        alike = piece.text in self._written_texts and not self._is_window(index)
        if alike:
            self.repeated_pieces.add(index)
        tokens = (
            None
            if alike
            else count_up_to(f" {self._writer.quote_line(piece.text)}", self._encoding, room_left)
        )
        return None if tokens is None else self._take_piece(index, piece, tokens, room, room_left)

    def _is_window(self, index: int) -> bool:
        """Return whether a piece was split from a sentence."""
        # Equal windows may occur in two places with two meanings.
        found = self._pieces.find_split(index) if self._pieces.structures else None
        return found is not None and not found[1].is_atomic

    def _take_piece(self, index: int, piece: Piece, tokens: int, room: int, room_left: int) -> int:
        self._written_units.add(piece.unit)
        self._written_texts.add(piece.text)
        self.tokens_by_piece[index] = tokens + room - room_left
        return self.tokens_by_piece[index]
