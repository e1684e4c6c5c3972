"""Embed words and short texts by a table of word-piece vectors: thousands in milliseconds.

The table has a row for each word piece of BERT's vocabulary, made once from a sentence embedding
model (`proxy.engines.embedders.export_word_vectors`); no model runs here. A text is the mean of its
rows, whose length is their weight: rare words count more (Arora, Liang and Ma 2017, "A Simple but
Tough-to-Beat Baseline for Sentence Embeddings"). The mean holds two thirds of what the model itself
would see in such texts, at a thousandth of the price.
"""

import math
import os
import re
import unicodedata
from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proxy.core.text.languages import number_terms, split_words
from proxy.core.types import IntegerArray

Vectors = NDArray[np.float32]

# Of the table that is exported (`proxy.engines.embedders.export_word_vectors`).
WORD_VECTOR_DIMENSION: Final = 128
# Longer ones are no words, and finding their pieces takes time quadratic in the length.
MAX_WORD_LENGTH = 32
# Words whose pieces are cached.
MAX_WORDS = 50_000
# Words whose vectors are kept, half a KB each; of a longer text the beginning is embedded.
MAX_KNOWN_WORDS = 8_192
# Up to here the rows of all pieces are gathered, some 2 MB.
MAX_GATHERED_PIECES = 4_096
# Of the weights of rare words, which are near one.
UNKNOWN_WORD_WEIGHT = 0.5
# Bytes of the index of a piece.
PIECE_BYTES = 4
_ACCENT = re.compile("[\u0300-\u036f]+")
_TYPOGRAPHIC = str.maketrans(dict.fromkeys("‘’“”–—…•·", " "))
_ASCII_TO_WORDS = bytes(
    ord(chr(c).lower()) if chr(c).isalnum() else 32 for c in range(128)
) + bytes(128)


class EmbeddedWords(NamedTuple):
    """The words of a text, a unit vector and a weight for each, and their mean's unit vector."""

    words: list[str]
    vectors: Vectors
    weights: Vectors
    mean: Vectors


class WordVectors:
    """Vectors of word pieces. Not thread-safe.

    `pieces`: the vocabulary, continuations of a word begin with ##. `rows`: a vector for each.
    """

    def __init__(self, pieces: Sequence[str], rows: NDArray[np.floating[Any]]) -> None:
        self._pieces = pieces
        self._rows: NDArray[np.floating[Any]] = rows
        self.word_pieces = WordPieces(pieces)
        self._known_words, self._lock = KnownWords(rows, self.word_pieces), Lock()
        self._count_covered_letters = lru_cache(maxsize=MAX_WORDS)(self._find_covered_letters)
        self.cached_stems = lru_cache(maxsize=4)(self._build_stems)

    @classmethod
    def load(cls, path: Path) -> "WordVectors":
        """Load a table that `save` wrote. Raises OSError."""
        with np.load(path) as table:
            return cls(table["pieces"].tobytes().decode().split("\n"), table["rows"])

    def save(self, path: Path) -> None:
        """Write the table, whole or not at all. Raises OSError."""
        scratch = path.with_name(f".{os.getpid()}-{path.name}")
        pieces = np.frombuffer("\n".join(self._pieces).encode(), dtype=np.uint8)
        np.savez(scratch, pieces=pieces, rows=self._rows.astype(np.float16))
        scratch.replace(path)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Return the mean of each text's rows; zeros for a text without any."""
        pieces = [
            b"".join(map(self.word_pieces.__getitem__, split_encoded(text))) for text in texts
        ]
        sizes = np.array([len(some) // PIECE_BYTES for some in pieces], dtype=np.int64)
        ids = np.frombuffer(b"".join(pieces), dtype=np.int32)
        if len(ids) <= MAX_GATHERED_PIECES:
            return self._average_few(ids, sizes)
        from scipy.sparse import csr_array  # takes half a second; who embeds little goes without

        starts = np.concatenate([[0], np.cumsum(sizes)])
        shares = np.repeat(1 / np.maximum(sizes, 1), sizes).astype(np.float32)
        found: Vectors = (
            csr_array((shares, ids, starts), shape=(len(texts), len(self._rows)))
            @ self._widen_rows()
        )
        return found

    def _widen_rows(self) -> Vectors:
        """Return all rows as float32: 16 MB, which only who embeds thousands of texts needs."""
        self._rows = self._rows.astype(np.float32, copy=False)
        return self._rows

    def _average_few(self, ids: NDArray[np.int32], sizes: NDArray[np.int64]) -> Vectors:
        """Return the mean of each run of `sizes` rows; zeros for an empty run."""
        found = np.zeros((len(sizes), self._rows.shape[1]), dtype=np.float32)
        filled = np.flatnonzero(sizes)
        if len(filled):
            starts = (np.cumsum(sizes) - sizes)[filled]
            sums = np.add.reduceat(self._rows[ids].astype(np.float32), starts, axis=0)
            found[filled] = sums / sizes[filled, None]
        return found

    def has_word(self, text: str) -> bool:
        """Whether the text has any word of which pieces are in the vocabulary."""
        return any(self.word_pieces[word] for word in split_encoded(text))

    def measure_coverage(self, text: str) -> float | None:
        """Return the share of an ASCII text's letters that are in pieces of several letters.

        A word of one letter counts as well. None for other texts, for one without a letter and for
        one with a word that is too long to be split here.
        """
        words = split_encoded(text) if text.isascii() else []
        letters = sum(map(str.isalpha, text)) if words else 0
        if not letters or max(map(len, words)) > MAX_WORD_LENGTH:
            return None
        return sum(map(self._count_covered_letters, words)) / letters

    def _find_covered_letters(self, word: bytes) -> int:
        pieces = [
            self._pieces[index].removeprefix("##")
            for index in np.frombuffer(self.word_pieces[word], dtype=np.int32)
        ]
        return sum(
            sum(map(str.isalpha, piece)) for piece in pieces if len(piece) > 1 or len(word) == 1
        )

    def embed_words(self, text: str) -> EmbeddedWords:
        """Split a text into lower-case words, MAX_KNOWN_WORDS at most, and embed each.

        A word that the vocabulary lacks has zeros and UNKNOWN_WORD_WEIGHT. Some ten microseconds
        where the words were met before. Thread-safe.
        """
        words = split_encoded(text)[:MAX_KNOWN_WORDS]
        with self._lock:
            vectors, lengths, weights = self._known_words.look_up(words)
        total = lengths @ vectors
        length = math.sqrt(float(total @ total))
        return EmbeddedWords(
            [word.decode() for word in words],
            vectors,
            weights,
            total / np.float32(length) if length else total,
        )

    def embed_terms(self, terms: IntegerArray, language: str) -> Vectors:
        """Return unit vectors of terms (`number_terms`); zeros for terms outside the vocabulary."""
        known, rows = self.cached_stems(language)
        place = np.minimum(np.searchsorted(known, terms), len(known) - 1)
        found: Vectors = np.where(
            (known[place] == terms)[:, None],
            normalize_rows(self._rows[rows[place]].astype(np.float32)),
            np.float32(0),
        )
        return found

    def _build_stems(self, language: str) -> tuple[IntegerArray, IntegerArray]:
        """Return the vocabulary's stem numbers, ascending, and the row of each's commonest word."""
        found = [index for index, piece in enumerate(self._pieces) if piece.isalnum()]
        ends = list(accumulate(len(self._pieces[index]) + 1 for index in found))
        spans = [
            (end - len(self._pieces[index]) - 1, end - 1)
            for index, end in zip(found, ends, strict=True)
        ]
        first: dict[bytes, int] = {}
        for index, number in zip(
            found,
            number_terms(" ".join(self._pieces[index] for index in found), spans, language),
            strict=True,
        ):
            first.setdefault(number, index)  # the vocabulary begins with the most common words
        stems = {
            number: index
            for number, index in first.items()
            if len(number) == np.dtype(np.int64).itemsize
        }
        known = np.frombuffer(b"".join(stems), dtype=np.int64)
        order = np.argsort(known)
        return known[order], np.array(list(stems.values()), dtype=np.int64)[order]


class KnownWords(dict[bytes, int]):
    """The places of up to MAX_KNOWN_WORDS words in arrays of what was computed of them.

    `vectors`: unit rows; `lengths`: of the sums of their pieces' rows; `weights`: how rare.
    """

    def __init__(self, rows: NDArray[np.floating[Any]], pieces: "WordPieces") -> None:
        super().__init__()
        self._rows, self._pieces = rows, pieces
        # Zeros take no memory before they are written.
        self.vectors = np.zeros((MAX_KNOWN_WORDS, rows.shape[1]), dtype=np.float32)
        self.lengths = np.zeros(MAX_KNOWN_WORDS, dtype=np.float32)
        self.weights = np.zeros(MAX_KNOWN_WORDS, dtype=np.float32)

    def look_up(self, words: Sequence[bytes]) -> tuple[Vectors, Vectors, Vectors]:
        """Return vectors, lengths and weights of at most MAX_KNOWN_WORDS words, in order."""
        if len(self) + len(words) > MAX_KNOWN_WORDS:
            self.clear()
        places = [self[word] for word in words]
        return self.vectors[places], self.lengths[places], self.weights[places]

    def __missing__(self, word: bytes) -> int:
        if len(word) > MAX_WORD_LENGTH:
            # It may be a secret of one tenant, and of any length; it has no pieces, as b"" has.
            return self[b""]
        place = len(self)
        rows = self._rows[np.frombuffer(self._pieces[word], dtype=np.int32)].astype(np.float32)
        total = rows.sum(axis=0)
        length = math.sqrt(float(total @ total))
        self.vectors[place] = total / length if length else 0.0
        self.lengths[place] = length
        self.weights[place] = (
            math.sqrt(float(np.vecdot(rows, rows).max())) if len(rows) else UNKNOWN_WORD_WEIGHT
        )
        self[word] = place
        return place


class WordPieces(dict[bytes, bytes]):
    """The indices (int32) of a word's pieces by the encoded word; empty if it has none.

    The longest piece that fits is taken, again and again (Wu et al. 2016, arXiv:1609.08144, as BERT
    reads it).
    """

    def __init__(self, pieces: Iterable[str]) -> None:
        super().__init__()
        self._index = {piece: index for index, piece in enumerate(pieces)}
        self._longest_piece = max(map(len, self._index), default=0)

    def __missing__(self, word: bytes) -> bytes:
        found = (
            array("i", self._split_into_pieces(word.decode())).tobytes()
            if len(word) <= MAX_WORD_LENGTH
            else b""
        )
        if len(word) <= MAX_WORD_LENGTH:
            if len(self) >= MAX_WORDS:
                self.clear()
            self[word] = found
        return found

    def _split_into_pieces(self, word: str) -> list[int]:
        found: list[int] = []
        start = 0
        while start < len(word):
            mark = "##" if start else ""
            for end in range(min(len(word), start + self._longest_piece), start, -1):
                index = self._index.get(mark + word[start:end])
                if index is not None:
                    break
            else:
                return []
            found.append(index)
            start = end
        return found


def normalize_rows(vectors: Vectors) -> Vectors:
    """Return the rows scaled to length 1; rows of zeros stay."""
    # numpy.linalg.norm spends 10 us on kinds of norms
    lengths = np.sqrt(np.vecdot(vectors, vectors))[:, None]
    found: Vectors = (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32, copy=False)
    return found


def split_encoded(text: str) -> list[bytes]:
    """Return lower-case words without accents, split at whatever is no letter or digit."""
    if not text.isascii():
        text = _ACCENT.sub("", unicodedata.normalize("NFD", text.translate(_TYPOGRAPHIC)))
    if text.isascii():
        return text.encode().translate(_ASCII_TO_WORDS).split()
    return [part.encode() for word in split_words(text) for part in word.split("'")]
