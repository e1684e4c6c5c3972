"""What a JSON text holds, counted without reading it: commas, brackets and colons outside of its strings.

In numpy, block by block: it lets go of the GIL, needs little memory whatever the text, and takes 3 to 8 ns a byte.
"""

from dataclasses import dataclass

import numpy as np

BLOCK = 256 * 1024
KEY_WEIGHT = 2  # a key takes the parser, and who sorts them, at least as long as so many values
_KIND = np.zeros(256, np.uint8)
_KIND[[ord(","), ord("["), ord("{")]] = 1
_KIND[ord(":")] = 2


@dataclass(frozen=True, slots=True)
class JsonMarks:
    """`values`: at least as many as the text holds, and at most one more for each empty container; `keys`: of all objects, repeated ones
    each time."""

    values: int
    keys: int

    @property
    def weight(self) -> int:
        """Values, of which a key counts as two."""
        return self.values + KEY_WEIGHT * self.keys


def count_marks(raw: bytes) -> JsonMarks:
    """Of a valid JSON text; of any other, some number."""
    text = np.frombuffer(raw, np.uint8)
    values = keys = 0
    inside, slashes = np.uint8(0), 0  # whether a string is open; backslashes at the end of what was read
    for start in range(0, len(text), BLOCK):
        block = text[start : start + BLOCK]
        quotes = block == ord('"')
        slash = block == ord("\\")
        if slashes or slash.any():
            before, slashes = _slashes_before(slash, slashes)
            quotes &= before % 2 == 0
        string = (np.cumsum(quotes, dtype=np.uint8) + inside) & 1
        inside = string[-1]
        kinds = _KIND[block]
        kinds[string == 1] = 0
        values += int(np.count_nonzero(kinds == 1))
        keys += int(np.count_nonzero(kinds == 2))
    return JsonMarks(values + 1, keys)


def _slashes_before(
    slash: "np.ndarray[tuple[int], np.dtype[np.bool_]]", carried: int
) -> "tuple[np.ndarray[tuple[int], np.dtype[np.int32]], int]":
    """For each byte the backslashes that stand right before it, and those at the end of the block. `carried`: at the end of the last."""
    place = np.arange(len(slash), dtype=np.int32)
    other = np.maximum.accumulate(np.where(slash, np.int32(-1), place))  # the last byte that is none, -1 for none so far
    run = place - other
    run[other == -1] += np.int32(carried)
    before = np.empty_like(run)
    before[0], before[1:] = carried, run[:-1]
    return before, int(run[-1])
