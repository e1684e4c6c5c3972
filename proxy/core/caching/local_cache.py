"""The first tier: entries of the exact cache that this process read lately,
served without asking Redis again.

It is used only while Redis tells us of every key that changes
(`proxy.engines.exact.invalidations`). So an entry that was deleted, replaced or evicted anywhere is
gone here as soon as the message arrives, and without somebody who would tell us nothing is kept at
all.
"""

from collections.abc import Iterable

from proxy.core.caching.envelope import Envelope
from proxy.core.lru import LRUCache

ENTRY_OVERHEAD_BYTES = 1024  # bytes of Python objects around an entry


class LocalCache:
    """Envelopes by exact key, up to `limit` bytes of answers; 0 keeps none."""

    def __init__(self, limit: int = 0) -> None:
        self._entries: LRUCache[str, Envelope] = LRUCache(limit)
        self._reads_in_progress: set[str] = set()
        self.receives_invalidations = False

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Envelope | None:
        return self._entries.get(key)

    def begin_read(self, key: str) -> None:
        """A read of this key begins: a change of it from now on makes what is read worthless."""
        if self.receives_invalidations:
            self._reads_in_progress.add(key)

    def store_answer(self, key: str, envelope: Envelope) -> None:
        """The read came back. Kept unless the key changed meanwhile."""
        if key in self._reads_in_progress:
            self._entries.store_value(
                key, envelope, len(envelope.completion) + ENTRY_OVERHEAD_BYTES
            )

    def end_read(self, key: str) -> None:
        """The read is over, whatever it brought."""
        self._reads_in_progress.discard(key)

    def start_invalidations(self) -> None:
        """From now on every change is reported to `invalidate_keys`."""
        self.receives_invalidations = True

    def invalidate_keys(self, keys: Iterable[str]) -> None:
        """These keys have changed."""
        for key in keys:
            self._entries.remove(key)
            self._reads_in_progress.discard(key)

    def stop_invalidations(self) -> None:
        """Changes may have been missed, or everything has changed:
        nothing that was kept is certain any more."""
        self.receives_invalidations = False
        self.clear()

    def clear(self) -> None:
        self._entries.clear()
        self._reads_in_progress.clear()
