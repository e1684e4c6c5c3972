"""Which rows of the evaluation data teach the verifier, and which judge it.

Decided by hash, so that everybody decides alike.

Texts that occur in one row belong together, and so do those that differ in nothing but case,
punctuation and politeness; whatever hangs together is on one side. A row of the side `held` judges;
of the trained half, `tune` chooses thresholds and the rest teaches. Groups that are somebody's
benchmark never teach, whatever side their texts are on.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

Side = Literal["train", "tune", "held"]
Row = Mapping[str, Any]

# Groups that never teach: their rows are a benchmark of its own (fow-cache).
BENCHMARKS = ("fow_",)
HELD, TUNE = 0.5, 0.6  # of all components: the first half judges, the next tenth tunes
_PLAIN = re.compile(r"[\W_]+")
_POLITE = re.compile(
    r"\b(hello|hi there|hi|hey there|hey|quick question|could you please|please|kindly|"
    r"thanks|thank you)\b"
)


class Split:
    """The sides of all texts of these rows of `cache_pairs`.

    A text that is in none of them stands for itself.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._parent: dict[str, str] = {}
        for row in rows:
            self._join(plain(row["a"]), plain(row["b"]))

    def side(self, text: str) -> Side:
        """The side of one text: a question of the stream, say."""
        share = (
            int(hashlib.sha256(self._root(plain(text)).encode()).hexdigest()[:8], 16)
            / 0x1_0000_0000
        )
        return "held" if share < HELD else "tune" if share < TUNE else "train"

    def row_side(self, row: Row) -> Side:
        """The side of a row; both its texts are on it."""
        return self.side(row["a"])

    def judges(self, row: Row) -> bool:
        """Whether a row may be scored: it, and no text of it, has taught or tuned anything."""
        return row["group"].startswith(BENCHMARKS) or self.row_side(row) == "held"

    def _root(self, text: str) -> str:
        while (parent := self._parent.get(text, text)) != text:
            text = parent
        return text

    def _join(self, one: str, other: str) -> None:
        """The smaller text stands for both components, so
        that the order of the rows does not matter."""
        low, high = sorted((self._root(one), self._root(other)))
        self._parent[high] = low


def plain(text: str) -> str:
    """A text as it is compared here: lower case, words only, and no politeness."""
    return " ".join(_POLITE.sub(" ", _PLAIN.sub(" ", text.lower())).split())
