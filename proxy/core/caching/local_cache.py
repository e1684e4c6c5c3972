"""The first cache tier: exact entries that this process read lately, served without Redis.

Used only while Redis reports every key that changes (`proxy.engines.exact.invalidations`): an entry
deleted, replaced or evicted anywhere is invalidated here as soon as the message arrives. Without
that feed nothing is stored.
"""

from collections.abc import Iterable

from proxy.core.caching.envelope import Envelope
from proxy.core.lru import LRUCache

ENTRY_OVERHEAD_BYTES = 1024  # bytes of Python objects around an entry


class LocalCache:
    """Envelopes by exact key, up to `limit` bytes of answers; 0 disables the cache."""

    def __init__(self, limit: int = 0) -> None:
        self._entries: LRUCache[str, Envelope] = LRUCache(limit)
        self._reads_in_progress: set[str] = set()
        self.receives_invalidations = False

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Envelope | None:
        return self._entries.get(key)

    def begin_read(self, key: str) -> None:
        """Note that a read of this key begins; a change from now on discards its result."""
        if self.receives_invalidations:
            self._reads_in_progress.add(key)

    def store_answer(self, key: str, envelope: Envelope) -> None:
        """Store the envelope that was read, unless its key changed during the read."""
        if key in self._reads_in_progress:
            self._entries.store_value(
                key, envelope, len(envelope.completion) + ENTRY_OVERHEAD_BYTES
            )

    def end_read(self, key: str) -> None:
        """Note that the read is over, whatever its result."""
        self._reads_in_progress.discard(key)

    def start_invalidations(self) -> None:
        """Start caching: from now on every change is reported to `invalidate_keys`."""
        self.receives_invalidations = True

    def invalidate_keys(self, keys: Iterable[str]) -> None:
        """Drop the entries of these keys, and discard reads of them in progress."""
        for key in keys:
            self._entries.remove(key)
            self._reads_in_progress.discard(key)

    def stop_invalidations(self) -> None:
        """Stop caching and drop all entries: changes may have been missed, or all keys changed."""
        self.receives_invalidations = False
        self.clear()

    def clear(self) -> None:
        self._entries.clear()
        self._reads_in_progress.clear()
