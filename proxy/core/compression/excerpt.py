"""Shorten a message that is too large by removing the middle of its text.

For engines that keep whole messages. Both ends stay, more of the newer one; JSON, code and tables
stay well-formed. Roles, calls and ids of a message do not change.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.core.compression.document import Document, Pieces, RankFunction, TextSource, read_passage
from proxy.core.compression.fragments import PieceShare, Span
from proxy.core.compression.rendering import OMISSION_MARK, FragmentRenderer
from proxy.core.compression.selection import select_pieces
from proxy.core.compression.structure import Structure
from proxy.core.compression.transcript import TranscriptWriter
from proxy.core.text.windows import split_windows
from proxy.core.tokens import count_text
from proxy.core.types import Message

# An excerpt of fewer tokens is useless.
MIN_EXCERPT_TOKENS = 24
# A longer text is shortened without parsing its structure, which takes no time.
MAX_READ_CHARACTERS = 200_000
# What is read of a text in all, in characters per token of room.
CHARACTERS_PER_TOKEN = 6
_MAX_TRIES = 24


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What is kept of a text, and its spans in it."""

    text: str
    kept_spans: tuple[Span, ...]


def build_excerpt(
    text: str, room: int, encoding: str, rank: RankFunction, language: str
) -> Excerpt | None:
    """Shorten a text to at most `room` tokens; None if nothing useful fits."""
    if room < MIN_EXCERPT_TOKENS:
        return None
    found = (
        _excerpt_by_structure(text, room, encoding, rank, language)
        if len(text) <= MAX_READ_CHARACTERS
        else None
    )
    return found or _excerpt_both_ends(text, room, encoding)


def _excerpt_by_structure(
    text: str, room: int, encoding: str, rank: RankFunction, language: str
) -> Excerpt | None:
    passage = read_passage(text, language, PieceShare.for_budget(room, encoding))
    structures = (
        {0: Structure(passage.fragments, passage.wholes, passage.nodes)}
        if passage.fragments
        else {}
    )
    pieces = Pieces([TextSource(0, 0, text)], [passage.spans], structures)
    history = Document(pieces, language, "", [passage])
    chosen = select_pieces(pieces, rank(history), room, _PlainWriter(pieces), encoding)
    if chosen.tokens * 2 < room:
        return None
    return Excerpt(
        chosen.text, tuple((pieces[index].start, pieces[index].end) for index in chosen.pieces)
    )


class _PlainWriter(TranscriptWriter):
    """Writes the pieces of one text without speakers."""

    def __init__(self, pieces: Pieces) -> None:
        super().__init__(pieces, [], [])
        self._text_pieces = pieces

    def write_pieces(self, chosen: Sequence[int]) -> str:
        if not chosen:
            return ""
        rendering = FragmentRenderer(self._text_pieces, 0, ())
        items = rendering.render_items(chosen)
        before = [OMISSION_MARK, " "] if items[0].first else []
        after = [] if items[-1].last == len(self._text_pieces) - 1 else [" ", OMISSION_MARK]
        return "".join([*before, rendering.join_items(items), *after])

    def quote_line(self, text: str) -> str:
        return text


def _excerpt_both_ends(text: str, room: int, encoding: str) -> Excerpt | None:
    """Keep the beginning and the end of a text."""
    size = min(len(text), room * CHARACTERS_PER_TOKEN) // 2
    for _ in range(_MAX_TRIES):
        if size < 1:
            return None
        head = next(split_windows(text, 0, len(text), size), (0, 0))[1]
        tail = max(head, len(text) - size)
        found = f"{text[:head]} {OMISSION_MARK} {text[tail:]}"
        tokens = count_text(found, encoding)
        if tokens <= room:
            return Excerpt(found, ((0, head), (tail, len(text))))
        size = min(size - 1, size * room // tokens)
    return None


def allot_tokens(counts: Sequence[int], room: int) -> list[int]:
    """Share out `room` tokens: small texts are kept whole, the others get equal shares."""
    found = list(counts)
    left, order = room, sorted(range(len(counts)), key=counts.__getitem__)
    for place, index in enumerate(order):
        found[index] = min(counts[index], left // (len(order) - place))
        left -= found[index]
    return found


def iter_texts(message: Message) -> Iterator[tuple[int, str]]:
    """Iterate over the texts of a message that may be shortened, by content part; -1 if plain."""
    content = message.get("content")
    if isinstance(content, str):
        yield -1, content
    elif isinstance(content, list):
        for place, part in enumerate(content):
            if (text := _get_part_text(part)) is not None:
                yield place, text


def _get_part_text(part: object) -> str | None:
    """Return the text of a content part, or of the document in it."""
    if not isinstance(part, dict):
        return None
    source = part.get("source")
    if part.get("type") == "document" and isinstance(source, dict) and source.get("type") == "text":
        text = source.get("data")
    else:
        text = part.get("text") if part.get("type") == "text" else None
    return text if isinstance(text, str) else None


def replace_texts(message: Message, texts: dict[int, str]) -> Message:
    """Return the message with some texts replaced, by content part."""
    content: Any = message.get("content")
    if isinstance(content, str):
        return {**message, "content": texts.get(-1, content)}
    return {
        **message,
        "content": [
            _replace_part_text(part, texts[place]) if place in texts else part
            for place, part in enumerate(content)
        ],
    }


def _replace_part_text(part: dict[str, Any], text: str) -> dict[str, Any]:
    return (
        {**part, "text": text}
        if part.get("type") == "text"
        else {**part, "source": {**part["source"], "data": text}}
    )
