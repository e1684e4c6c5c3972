"""Measure how much of a text a model's vocabulary covers, by its tokenizer.

A script that it lacks comes out as unknown pieces, or as single characters of which nothing was
learned: then different questions have nearly the same vector. Words that it knows, or parts of
them, are pieces of several letters.
"""

import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

# Splits a text into pieces: start, end, and whether the piece is a known one.
PieceSplitter = Callable[[str], Iterable[tuple[int, int, bool]]]

# Share of the letters that must be in known pieces of several letters. Languages in Latin letters
# that all-MiniLM-L6-v2 hardly knows come out above .7, English with its slips above .9, other
# scripts below .3.
MIN_COMPREHENSION = 0.5


def measure_comprehension(text: str, pieces: PieceSplitter) -> float:
    """Return the share of the letters in known pieces, 0 to 1; 1 for a text without letters.

    Linear in the length.
    """
    letters = [
        character.isalpha() or unicodedata.category(character)[0] == "M" for character in text
    ]
    if not any(letters):
        return 1.0
    understood = sum(
        sum(letters[start:end])
        for start, end, known in pieces(text)
        if known and _is_word_part(text, start, end)
    )
    return min(1.0, understood / sum(letters))


def _is_word_part(text: str, start: int, end: int) -> bool:
    """Whether the piece has more than one letter, or is a whole word of one letter."""
    if end - start > 1:
        return True
    before, after = text[start - 1 : start] if start else "", text[end : end + 1]
    return not before.isalnum() and not after.isalnum()


def build_piece_splitter(tokenizer: Any) -> PieceSplitter:
    """Build the splitter from a tokenizer of the package `tokenizers`."""
    unknown = {tokenizer.token_to_id(name) for name in ("[UNK]", "<unk>")} - {None}

    def iter_pieces(text: str) -> Iterable[tuple[int, int, bool]]:
        encoded = tokenizer.encode(text, add_special_tokens=False)
        return (
            (start, end, piece not in unknown)
            for piece, (start, end) in zip(encoded.ids, encoded.offsets, strict=True)
        )

    return iter_pieces
