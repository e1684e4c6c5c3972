"""The first tier: entries of the exact cache that this process read lately, served without asking Redis again.

It is used only while Redis tells us of every key that changes (`proxy.engines.exact.invalidations`). So an entry that was deleted, replaced
or evicted anywhere is gone here as soon as the message arrives, and without somebody who would tell us nothing is kept at all.
"""

from collections.abc import Iterable

from proxy.core.caching.envelope import Envelope
from proxy.core.lru import Bounded

OVERHEAD = 1024  # bytes of Python objects around an entry


class Recent:
    """Envelopes by exact key, up to `limit` bytes of answers; 0 keeps none."""

    def __init__(self, limit: int = 0) -> None:
        self._entries: Bounded[str, Envelope] = Bounded(limit)
        self._expected: set[str] = set()
        self.told = False

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Envelope | None:
        return self._entries.get(key)

    def expect(self, key: str) -> None:
        """A read of this key begins: a change of it from now on makes what is read worthless."""
        if self.told:
            self._expected.add(key)

    def keep(self, key: str, envelope: Envelope) -> None:
        """The read came back. Kept unless the key changed meanwhile."""
        if key in self._expected:
            self._entries.keep(key, envelope, len(envelope.completion) + OVERHEAD)

    def settle(self, key: str) -> None:
        """The read is over, whatever it brought."""
        self._expected.discard(key)

    def begin(self) -> None:
        """From now on every change is reported to `forget`."""
        self.told = True

    def forget(self, keys: Iterable[str]) -> None:
        """These keys have changed."""
        for key in keys:
            self._entries.drop(key)
            self._expected.discard(key)

    def stop(self) -> None:
        """Changes may have been missed, or everything has changed: nothing that was kept is certain any more."""
        self.told = False
        self.clear()

    def clear(self) -> None:
        self._entries.clear()
        self._expected.clear()
