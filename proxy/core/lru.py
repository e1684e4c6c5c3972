"""A dictionary that never holds more than so many bytes: what was used longest ago goes first."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Bounded(Generic[Key, Value]):
    """Least recently used, by size. `limit` in bytes, as the caller reckons them; a value of more than a sixteenth of it is not kept."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.largest = limit // 16
        self.bytes = 0
        # In order of use. Not a plain dictionary: finding its first key takes a step for each that was dropped before it, 1 ms in the end.
        self._kept: OrderedDict[Key, tuple[Value, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Value | None:
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def keep(self, key: Key, value: Value, size: int) -> None:
        """Remember the value, which takes `size` bytes."""
        self.drop(key)
        if size > self.largest:
            return
        self._kept[key] = (value, size)
        self.bytes += size
        while self.bytes > self.limit:
            self.drop(next(iter(self._kept)))

    def drop(self, key: Key) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self.bytes -= found[1]

    def clear(self) -> None:
        self._kept.clear()
        self.bytes = 0
