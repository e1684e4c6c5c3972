"""Parsing of whole numbers in URLs and forms, which are untrusted text."""

from typing import Final

MAX_BIGINT: Final = 2**63 - 1  # of PostgreSQL, and so of every primary key


def parse_positive(text: str, *, maximum: int = MAX_BIGINT) -> int | None:
    """Parse a number from 1 to `maximum`; None for any other text.

    Leading zeros count as digits.
    """
    # `int` takes signs, blanks, underscores and digits of other scripts; `str.isdigit` takes "²",
    # where `int` then fails.
    if len(text) > len(str(maximum)) or not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if 1 <= number <= maximum else None
