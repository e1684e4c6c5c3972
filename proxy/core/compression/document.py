"""The earlier history of a chat in pieces, as the engines rank them."""

from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from proxy.core.compression.fragments import PieceShare, Span, TurnSpan, split_large_spans
from proxy.core.compression.memo import Memo
from proxy.core.compression.speakers import collect_labels, find_turn_spans, write_unit_text
from proxy.core.compression.structure import UNCUT_FRAGMENT, Fragment, SplitPiece, Structure
from proxy.core.compression.units import Unit, UnitPolicy, find_final_question, list_part_texts
from proxy.core.text.languages import TERM_BYTES, number_terms, terms
from proxy.core.text.sentences import split_pieces
from proxy.core.types import IntegerArray, Message

# A message text, read once: its sentences and blocks, and the terms in each.


class Passage(NamedTuple):
    """The pieces of a text in compact arrays that are quick to join."""

    # Start and end of each piece, int32.
    spans: bytes
    # The number of terms of each piece, int32.
    term_counts: bytes
    # The terms of all pieces in order, int64, see `number_terms`.
    terms: bytes
    # See `Structure`; empty if no piece was split further.
    fragments: bytes = b""
    wholes: bytes = b""
    nodes: bytes = b""

    def iter_spans(self) -> Iterator[tuple[int, int]]:
        """Iterate over the start and end of each piece, in characters."""
        flat = memoryview(self.spans).cast("i").tolist()
        return zip(flat[::2], flat[1::2], strict=True)


def read_passage(text: str, language: str, share: PieceShare | None = None) -> Passage:
    """Split a text into sentences and blocks, those above the share into fragments.

    Raises ValueError for an unknown language.
    """
    return _build_passage(text, split_pieces(text), language, share, ())


def read_whole_passage(
    text: str, language: str, share: PieceShare | None = None, turns: Sequence[TurnSpan] = ()
) -> Passage:
    """Read a text as one piece, or as fragments if it is above the share, see `split_large_spans`.

    Raises ValueError for an unknown language.
    """
    return _build_passage(text, [(0, len(text))], language, share, turns)


def _build_passage(
    text: str, spans: list[Span], language: str, share: PieceShare | None, turns: Sequence[TurnSpan]
) -> Passage:
    cut = split_large_spans(text, spans, share, turns) if share else None
    if cut is None or cut.structure is None:
        return _pack_passage(spans, number_terms(text, spans, language))
    # Opaque data has no terms: its span is empty here.
    said = [
        (start, start if opaque else end)
        for (start, end), opaque in zip(cut.spans, cut.opaque, strict=True)
    ]
    return _pack_passage(cut.spans, number_terms(text, said, language), cut.structure)


def _pack_passage(
    spans: list[Span], terms: list[bytes], structure: tuple[bytes, bytes, bytes] = (b"", b"", b"")
) -> Passage:
    edges, sizes = (
        array("i", chain.from_iterable(spans)),
        array("i", [len(found) // TERM_BYTES for found in terms]),
    )
    return Passage(edges.tobytes(), sizes.tobytes(), b"".join(terms), *structure)


@dataclass(frozen=True, slots=True)
class TermBags:
    """The terms of all sentences of a chat in two arrays, as the sentence graph needs them."""

    # A number for each occurrence, sentence after sentence, equal for equal terms.
    terms: IntegerArray
    # Occurrences in each sentence.
    term_counts: IntegerArray

    @classmethod
    def from_terms(cls, sentences: Sequence[Sequence[Hashable]]) -> "TermBags":
        """Build from the terms themselves."""
        known: dict[Hashable, int] = {}
        terms = [known.setdefault(term, len(known)) for sentence in sentences for term in sentence]
        return cls(
            np.array(terms, dtype=np.int64),
            np.array([len(sentence) for sentence in sentences], dtype=np.int32),
        )

    @classmethod
    def from_passages(cls, passages: Iterable[Passage]) -> "TermBags":
        """Build from texts read one by one."""
        read = list(passages)
        terms = np.frombuffer(b"".join([passage.terms for passage in read]), dtype=np.int64)
        return cls(
            terms,
            np.frombuffer(b"".join([passage.term_counts for passage in read]), dtype=np.int32),
        )


# The pieces are held in columns: 5,000 of them are joined from memoized passages without a loop.

Column = NDArray[np.int32]
# Bytes of a start and an end.
SPAN_BYTES = 8


class TextSource(NamedTuple):
    """A text that pieces come from."""

    # An index into the units.
    unit: int
    # The message's content part; -1 for a unit that is kept or dropped whole.
    part: int
    text: str


class Piece(NamedTuple):
    """A sentence or block of a content part, or a whole unit (`part` -1)."""

    # An index into the units.
    unit: int
    text: str
    part: int = -1
    # In characters of the part.
    start: int = 0
    end: int = 0


class Pieces(Sequence[Piece]):
    """The pieces of some texts in chat order: one by one as a sequence, or in columns."""

    def __init__(
        self,
        sources: Sequence[TextSource],
        spans: Sequence[bytes],
        structures: Mapping[int, Structure] | None = None,
    ) -> None:
        """Join the pieces of `sources`.

        `spans`: per text, start and end of each piece, int32 (`Passage.spans`); `structures`: by
        index, of the texts in which pieces were split further.
        """
        self.sources, self.structures = sources, structures or {}
        edges = np.frombuffer(b"".join(spans), dtype=np.int32)
        self.start: Column = edges[::2]
        self.end: Column = edges[1::2]
        # Which text each piece stands in.
        self.source: Column = np.repeat(
            np.arange(len(sources), dtype=np.int32), [len(some) // SPAN_BYTES for some in spans]
        )

    @classmethod
    def from_whole_texts(cls, sources: Sequence[TextSource]) -> "Pieces":
        """Make each text one piece."""
        return cls(sources, [array("i", (0, len(source.text))).tobytes() for source in sources])

    @cached_property
    def unit(self) -> Column:
        """The unit of each piece, ascending."""
        return np.array([source.unit for source in self.sources], dtype=np.int32)[self.source]

    @cached_property
    def _rows(self) -> list[tuple[int, int, int]]:
        # An element of an array takes ten times as long to read as one of a list.
        return list(zip(self.source.tolist(), self.start.tolist(), self.end.tolist(), strict=True))

    @cached_property
    def first_pieces(self) -> list[int]:
        """The index of the first piece of each text."""
        starts: list[int] = np.searchsorted(self.source, np.arange(len(self.sources))).tolist()
        return starts

    @cached_property
    def opaque_pieces(self) -> Column:
        """The indices of the pieces that hold no words, such as base64 data."""
        found = [
            self.first_pieces[source] + index
            for source, structure in self.structures.items()
            for index, fragment in enumerate(structure.fragments)
            if fragment.is_opaque
        ]
        return np.array(found, dtype=np.int32)

    def find_source(self, index: int) -> int:
        """Return the index of the text that a piece belongs to."""
        return self._rows[index][0]

    def get_fragment(self, index: int) -> Fragment:
        """Return a piece's place in its structure; UNCUT_FRAGMENT if it was not split."""
        source = self._rows[index][0]
        structure = self.structures.get(source)
        return (
            structure.fragments[index - self.first_pieces[source]] if structure else UNCUT_FRAGMENT
        )

    def find_split(self, index: int) -> tuple[range, SplitPiece] | None:
        """Return all pieces split from the same sentence or block as this one, or None."""
        number = self.get_fragment(index).whole
        if number < 0:
            return None
        source = self._rows[index][0]
        whole, first = self.structures[source].wholes[number], self.first_pieces[source]
        return range(first + whole.first, first + whole.end), whole

    def get_source(self, index: int) -> TextSource:
        """Return the text that a piece belongs to."""
        return self.sources[self._rows[index][0]]

    def __len__(self) -> int:
        return len(self.source)

    @overload
    def __getitem__(self, index: int) -> Piece: ...
    @overload
    def __getitem__(self, index: slice) -> list[Piece]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place, start, end = self._rows[index]
        source = self.sources[place]
        return Piece(source.unit, source.text[start:end], source.part, start, end)


class DocumentTooLong(Exception):
    """The history is more than the engine can rank in its time and memory: `trim` takes over."""


@dataclass(frozen=True)
class Document:
    """What an engine ranks: the earlier history in pieces, with its language and final question."""

    pieces: Pieces
    # The plan's language.
    language: str
    question: str
    # The texts of the pieces, if they were already read in that language.
    passages: Sequence[Passage] | None = None
    memo: Memo = field(default_factory=Memo)

    @cached_property
    def terms(self) -> list[list[str]]:
        """Each piece's stems without stop words. Raises ValueError for an unknown language."""
        opaque = set(self.pieces.opaque_pieces.tolist())
        return [
            terms("" if index in opaque else piece.text, self.language)
            for index, piece in enumerate(self.pieces)
        ]

    @cached_property
    def bags(self) -> TermBags:
        """The terms as numbers, at no cost if the texts were read before."""
        return (
            TermBags.from_terms(self.terms)
            if self.passages is None
            else TermBags.from_passages(self.passages)
        )


# One score per piece, the highest is kept first; with a question, 0 and less means unrelated to it.
# May raise DocumentTooLong; after any other error `trim` takes over too.
RankFunction = Callable[[Document], Sequence[float]]


def split_by_message(chat: Sequence[Unit], messages: list[Message], language: str) -> Document:
    """Make each unit that may be dropped one piece."""
    sources = [
        TextSource(index, -1, write_unit_text(unit, messages))
        for index, unit in enumerate(chat)
        if unit.policy is not UnitPolicy.PROTECTED
    ]
    return Document(Pieces.from_whole_texts(sources), language, find_final_question(messages))


def split_by_sentence(
    chat: Sequence[Unit],
    messages: list[Message],
    language: str,
    memory: Memo,
    share: PieceShare | None = None,
) -> Document:
    """Split what may be dropped into sentences and blocks, those above the share into fragments.

    Units that are kept or dropped whole are one piece: their messages with their speakers.
    """
    names = collect_labels(messages[index] for unit in chat for index in unit.message_indices)
    sources: list[TextSource] = []
    passages: list[Passage] = []
    by = language if share is None else f"{language} {share.tokens} {share.encoding}"
    for index, unit in enumerate(chat):
        if unit.policy is UnitPolicy.WHOLE:
            if text := write_unit_text(unit, messages, names):
                turns = (
                    find_turn_spans(unit, messages, names)
                    if share and len(text) * 4 > share.tokens
                    else ()
                )
                sources.append(TextSource(index, -1, text))
                passages.append(
                    _read_memoized(
                        memory,
                        "read_whole",
                        f"{by} {turns}",
                        text,
                        partial(read_whole_passage, text, language, share, turns),
                    )
                )
        elif unit.policy is UnitPolicy.SENTENCES:
            for part, text in enumerate(list_part_texts(messages[unit.message_indices[0]])):
                sources.append(TextSource(index, part, text))
                passages.append(
                    _read_memoized(
                        memory, "read", by, text, partial(read_passage, text, language, share)
                    )
                )
    structures = {
        place: Structure(passage.fragments, passage.wholes, passage.nodes)
        for place, passage in enumerate(passages)
        if passage.fragments
    }
    pieces = Pieces(sources, [passage.spans for passage in passages], structures)
    return Document(pieces, language, find_final_question(messages), passages, memory)


def _read_memoized(
    memory: Memo, kind: str, by: str, text: str, work: Callable[[], Passage]
) -> Passage:
    return memory.get_or_compute(kind, by, text.encode("utf-8", "surrogatepass"), work)


# A segment is ranked as one: a message, or a few sentences of a long one.
#
# What a question needs is most often in one message, and half a message says little; but a long
# answer of a model holds much that is unrelated to it.

# Characters: a text up to the first is one segment, a longer one is split into stretches of about
# the second.
MAX_SEGMENT_CHARACTERS, STRETCH_CHARACTERS = 512, 256


class Segments:
    """The segments of a chat; `segment_by_piece` is the segment of each piece, ascending from 0."""

    def __init__(self, pieces: Pieces) -> None:
        lengths = np.array([len(source.text) for source in pieces.sources], dtype=np.int64)
        stretch = (
            np.where(
                lengths[pieces.source] <= MAX_SEGMENT_CHARACTERS,
                0,
                pieces.start // STRETCH_CHARACTERS,
            )
            if len(pieces)
            else np.zeros(0, dtype=np.int64)
        )
        new = np.diff(pieces.source, prepend=-1).astype(bool) | np.diff(stretch, prepend=0).astype(
            bool
        )
        self.segment_by_piece: NDArray[np.int64] = np.cumsum(new) - 1
        self.first_pieces: NDArray[np.int64] = np.flatnonzero(new)
        self._pieces = pieces

    def __len__(self) -> int:
        return len(self.first_pieces)

    @property
    def source(self) -> NDArray[np.int32]:
        """The index of the text that each segment belongs to."""
        return self._pieces.source[self.first_pieces]

    def iter_texts(self) -> Iterator[str]:
        """Iterate over the text of each segment."""
        last = np.append(self.first_pieces[1:], len(self._pieces)) - 1
        places = zip(
            self.source.tolist(),
            self._pieces.start[self.first_pieces].tolist(),
            self._pieces.end[last].tolist(),
            strict=True,
        )
        return (self._pieces.sources[source].text[start:end] for source, start, end in places)
