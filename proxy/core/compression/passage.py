"""A message text, read once: where its sentences and blocks are and which words stand in each."""

from array import array
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from proxy.core.compression.languages import TERM, numbers
from proxy.core.compression.sentences import Span, pieces


class Passage(NamedTuple):
    """The pieces of a text in a form that is small and quickly joined. `spans`: start and end of each, int32; `sizes`: how many terms
    it has, int32; `terms`: all of them in order, int64, see `languages.numbers`."""

    spans: bytes
    sizes: bytes
    terms: bytes

    def edges(self) -> Iterator[tuple[int, int]]:
        """Start and end of each piece, in characters."""
        flat = memoryview(self.spans).cast("i").tolist()
        return zip(flat[::2], flat[1::2], strict=True)


def read(text: str, language: str) -> Passage:
    """Raises ValueError for an unknown language."""
    spans = pieces(text)
    return _packed(spans, numbers(text, spans, language))


def read_whole(text: str, language: str) -> Passage:
    """The same of a text that stays in one piece. Raises ValueError for an unknown language."""
    spans = [(0, len(text))]
    return _packed(spans, numbers(text, spans, language))


def _packed(spans: list[Span], terms: list[bytes]) -> Passage:
    edges, sizes = array("i", chain.from_iterable(spans)), array("i", [len(found) // TERM for found in terms])
    return Passage(edges.tobytes(), sizes.tobytes(), b"".join(terms))
