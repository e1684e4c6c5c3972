"""Fill a budget of tokens with the best pieces of a history and write the messages that remain."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from proxy.core.compression.costs import Costs
from proxy.core.compression.draft import Draft
from proxy.core.compression.history import Piece
from proxy.core.compression.turns import Keep, texts
from proxy.core.ports import Message
from proxy.core.tokens import REPLY_PRIMING, count_message

# With so few tokens left and so many pieces in a row too large for them, the rest is not tried.
CRUMBS, TRIES = 16, 100


def fit(draft: Draft, pieces: Sequence[Piece], scores: Sequence[float], min_sentences: int) -> tuple[list[Message], int]:
    """The messages of the pieces with the highest scores, in the order of the chat and within the budget, and their tokens. Of equal
    pieces the first is kept. When large pieces leave room for fewer than `min_sentences`, that many of the shortest go first, as far as
    they fit."""
    order: list[int] = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable").tolist()
    costs = Costs(draft, pieces)
    chosen = _fill(draft, pieces, order, costs)
    if len(chosen) < min_sentences:
        shortest = sorted(order, key=costs.whole)[:min_sentences]
        rest = set(order).difference(shortest)
        chosen = _fill(draft, pieces, [*shortest, *(i for i in order if i in rest)], costs)
    kept, tokens = _write(draft, pieces, chosen)
    # A text can cost a token or two more than its pieces did: the last ones chosen give way until it fits.
    while chosen and (excess := tokens - draft.budget) > 0:
        while chosen and excess > 0:
            excess -= costs.of(chosen.pop())
        kept, tokens = _write(draft, pieces, chosen)
    return kept, tokens


def _fill(draft: Draft, pieces: Sequence[Piece], order: Sequence[int], costs: Costs) -> list[int]:
    """Pieces in the order given, each taken when it still fits."""
    room, misses = draft.budget - draft.floor, 0
    chosen: list[int] = []
    opened: set[int] = set()
    for index in order:
        if room <= 0 or (room < CRUMBS and misses >= TRIES):
            break
        piece = pieces[index]
        opening = 0 if piece.unit in opened or piece.part < 0 else costs.opening(piece.unit)
        cost = costs.within(index, room - opening)
        if cost is None:
            misses += 1
            continue
        room, misses = room - cost - opening, 0
        opened.add(piece.unit)
        chosen.append(index)
    return chosen


def _write(draft: Draft, pieces: Sequence[Piece], chosen: Sequence[int]) -> tuple[list[Message], int]:
    """Protected and whole units are the very objects that came in; a message that lost sentences is a copy with a new content."""
    of_unit = Counter([piece.unit for piece in pieces])
    kept: dict[int, list[Piece]] = {}
    for index in sorted(chosen):
        kept.setdefault(pieces[index].unit, []).append(pieces[index])
    written: list[Message] = []
    tokens = REPLY_PRIMING
    for number, unit in enumerate(draft.chat):
        if unit.keep is Keep.PROTECTED or len(kept.get(number, ())) == of_unit[number] > 0:
            written.extend(draft.messages[i] for i in unit.messages)
            tokens += sum(draft.counts[i] for i in unit.messages)
        elif number in kept:
            written.append(_shorten(draft.messages[unit.messages[0]], kept[number]))
            tokens += count_message(written[-1], draft.encoding)
    return written, tokens


def _shorten(message: Message, kept: Sequence[Piece]) -> Message:
    content = message["content"]
    by_part: dict[int, list[Piece]] = {}
    for piece in kept:
        by_part.setdefault(piece.part, []).append(piece)
    whole = texts(message)
    joined = {part: _join(whole[part], spans) for part, spans in by_part.items()}
    if isinstance(content, str):
        return {**message, "content": joined[0]}
    return {**message, "content": [{**content[part], "text": text} for part, text in joined.items()]}


def _join(text: str, kept: Sequence[Piece]) -> str:
    """What was kept of a text. White space between neighbours stays; where something was left out stands the strongest break around it:
    a blank line, a line end, a space, or nothing between sentences of a script without spaces."""
    out = [kept[0].text]
    for left, right in pairwise(kept):
        between = text[left.end : right.start]
        out.append(between if not between.strip() else _break(between))
        out.append(right.text)
    return "".join(out)


def _break(left_out: str) -> str:
    lines = left_out.split("\n")
    if len(lines) > 1:
        return "\n\n" if any(not line.strip() for line in lines[1:-1]) else "\n"
    return " " if left_out[0].isspace() or left_out[-1].isspace() else ""
