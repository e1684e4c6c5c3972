"""A least-recently-used cache, limited by bytes."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class LRUCache(Generic[Key, Value]):
    """Least recently used, by size in bytes as the caller states it."""

    def __init__(self, limit: int) -> None:
        self.max_bytes = limit
        # A larger value is not stored.
        self.max_value_bytes = limit // 16
        self.size_bytes = 0
        # In order of use. Not a plain dictionary: finding its first key takes a step for each key
        # that was dropped before it, 1 ms in the end.
        self._entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Value | None:
        found = self._entries.get(key)
        if found is None:
            return None
        self._entries.move_to_end(key)
        return found[0]

    def store_value(self, key: Key, value: Value, size: int) -> None:
        """Store a value of `size` bytes."""
        self.remove(key)
        if size > self.max_value_bytes:
            return
        self._entries[key] = (value, size)
        self.size_bytes += size
        while self.size_bytes > self.max_bytes:
            self.remove(next(iter(self._entries)))

    def remove(self, key: Key) -> None:
        found = self._entries.pop(key, None)
        if found is not None:
            self.size_bytes -= found[1]

    def clear(self) -> None:
        self._entries.clear()
        self.size_bytes = 0
