"""A part of many rows, the same each time."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def some(rows: Sequence[T], most: int) -> list[T]:
    """At most so many of them, chosen by digest, in their order."""
    if len(rows) <= most:
        return list(rows)
    chosen = sorted(
        range(len(rows)), key=lambda at: hashlib.sha256(f"{at} {rows[at]!r}".encode()).digest()
    )[:most]
    return [rows[at] for at in sorted(chosen)]
