"""A message text, read once: where its sentences and blocks are and which words stand in each."""

from array import array
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from proxy.core.compression.fragments import Share, Span, Turn, cut_further
from proxy.core.compression.languages import TERM, numbers
from proxy.core.compression.sentences import pieces


class Passage(NamedTuple):
    """The pieces of a text in a form that is small and quickly joined. `spans`: start and end of each, int32; `sizes`: how many terms
    it has, int32; `terms`: all of them in order, int64, see `languages.numbers`; `fragments`, `wholes` and `nodes`: see `Structure`,
    empty where no piece was cut further."""

    spans: bytes
    sizes: bytes
    terms: bytes
    fragments: bytes = b""
    wholes: bytes = b""
    nodes: bytes = b""

    def edges(self) -> Iterator[tuple[int, int]]:
        """Start and end of each piece, in characters."""
        flat = memoryview(self.spans).cast("i").tolist()
        return zip(flat[::2], flat[1::2], strict=True)


def read(text: str, language: str, share: Share | None = None) -> Passage:
    """In sentences and blocks; those of more than the share in fragments. Raises ValueError for an unknown language."""
    return _read(text, pieces(text), language, share, ())


def read_whole(text: str, language: str, share: Share | None = None, turns: Sequence[Turn] = ()) -> Passage:
    """The same of a text that stays in one piece where it fits, see `cut_further`. Raises ValueError for an unknown language."""
    return _read(text, [(0, len(text))], language, share, turns)


def _read(text: str, spans: list[Span], language: str, share: Share | None, turns: Sequence[Turn]) -> Passage:
    cut = cut_further(text, spans, share, turns) if share else None
    if cut is None or cut.structure is None:
        return _packed(spans, numbers(text, spans, language))
    # What says nothing in words has none: its span is empty here.
    said = [(start, start if opaque else end) for (start, end), opaque in zip(cut.spans, cut.opaque, strict=True)]
    return _packed(cut.spans, numbers(text, said, language), cut.structure)


def _packed(spans: list[Span], terms: list[bytes], structure: tuple[bytes, bytes, bytes] = (b"", b"", b"")) -> Passage:
    edges, sizes = array("i", chain.from_iterable(spans)), array("i", [len(found) // TERM for found in terms])
    return Passage(edges.tobytes(), sizes.tobytes(), b"".join(terms), *structure)
