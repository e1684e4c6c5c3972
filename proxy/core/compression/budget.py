"""Fill a budget of tokens with the best pieces of a history and write the messages that remain."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from proxy.core.compression.history import Piece
from proxy.core.compression.turns import Keep, Unit, texts
from proxy.core.ports import Message
from proxy.core.tokens import count_message, count_messages, count_text


@dataclass(frozen=True)
class Draft:
    """A chat about to be cut. `room`: tokens left when what is protected has been paid for."""

    messages: list[Message]
    chat: list[Unit]
    pieces: Sequence[Piece]
    encoding: str
    budget: int
    room: int


def fit(draft: Draft, scores: Sequence[float], min_sentences: int) -> list[Message]:
    """The messages of the pieces with the highest scores, in the order of the chat and within the budget. Of equal pieces the first is
    kept. When large pieces leave room for fewer than `min_sentences`, that many of the shortest go first, as far as they fit."""
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    costs, openings = _costs(draft)
    chosen = _fill(draft, order, costs, openings)
    if len(chosen) < min_sentences:
        whole = [costs[i] + openings[piece.unit] for i, piece in enumerate(draft.pieces)]
        shortest = sorted(order, key=whole.__getitem__)[:min_sentences]
        rest = set(order).difference(shortest)
        chosen = _fill(draft, [*shortest, *(i for i in order if i in rest)], costs, openings)
    kept = _write(draft, chosen)
    # A text can cost a token or two more than its pieces did: the last ones chosen give way until it fits.
    while chosen and (excess := count_messages(kept, draft.encoding) - draft.budget) > 0:
        while chosen and excess > 0:
            excess -= costs[chosen.pop()]
        kept = _write(draft, chosen)
    return kept


def _costs(draft: Draft) -> tuple[list[int], dict[int, int]]:
    """Tokens of each piece, and by unit what its message costs before any text."""
    costs: list[int] = []
    openings: dict[int, int] = {}
    for piece in draft.pieces:
        own = [draft.messages[i] for i in draft.chat[piece.unit].messages]
        if piece.part < 0:
            openings[piece.unit] = 0
            costs.append(sum(count_message(message, draft.encoding) for message in own))
            continue
        if piece.unit not in openings:
            openings[piece.unit] = count_message({key: own[0][key] for key in own[0] if key != "content"}, draft.encoding)
        costs.append(count_text(f" {piece.text}" if piece.start else piece.text, draft.encoding))
    return costs, openings


def _fill(draft: Draft, order: Sequence[int], costs: list[int], openings: dict[int, int]) -> list[int]:
    """Pieces in the order given, each taken when it still fits."""
    room = draft.room
    chosen: list[int] = []
    opened: set[int] = set()
    for index in order:
        unit = draft.pieces[index].unit
        cost = costs[index] + (0 if unit in opened else openings[unit])
        if cost <= room:
            room -= cost
            opened.add(unit)
            chosen.append(index)
    return chosen


def _write(draft: Draft, chosen: Sequence[int]) -> list[Message]:
    """Protected and whole units are the very objects that came in; a message that lost sentences is a copy with a new content."""
    of_unit = Counter(piece.unit for piece in draft.pieces)
    kept: dict[int, list[int]] = {}
    for index in sorted(chosen):
        kept.setdefault(draft.pieces[index].unit, []).append(index)
    written: list[Message] = []
    for number, unit in enumerate(draft.chat):
        if unit.keep is Keep.PROTECTED or len(kept.get(number, ())) == of_unit[number] > 0:
            written.extend(draft.messages[i] for i in unit.messages)
        elif number in kept:
            written.append(_shorten(draft.messages[unit.messages[0]], [draft.pieces[i] for i in kept[number]]))
    return written


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
