"""A bounded cache in which tenants neither find nor evict each other's values."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextvars import ContextVar
from functools import wraps
from threading import Lock
from typing import Final, Generic, TypeVar

# The tenant of the current request, for functions too deep to be passed it. None: nothing is
# cached.
CURRENT_TENANT: Final[ContextVar[int | None]] = ContextVar("current_tenant", default=None)

MAX_REMEMBERED_LENGTH: Final = 4_000  # characters; longer texts are not cached

Owner = TypeVar("Owner", bound=Hashable)
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class TenantMemory(Generic[Owner, Key, Value]):
    """At most `max_values` values in all, the least recently used of an owner evicted first."""

    def __init__(self, limit: int) -> None:
        self.max_values = limit
        self._size = 0
        self._values_by_owner: dict[Owner, OrderedDict[Key, Value]] = {}

    def __len__(self) -> int:
        return self._size

    def get(self, owner: Owner, key: Key) -> Value | None:
        """Return this owner's value for the key, or None."""
        held = self._values_by_owner.get(owner)
        if held is None or key not in held:
            return None
        held.move_to_end(key)
        return held[key]

    def remember(self, owner: Owner, key: Key, value: Value) -> None:
        """Store the value for this owner only."""
        held = self._values_by_owner.setdefault(owner, OrderedDict())
        self._size += key not in held
        held[key] = value
        held.move_to_end(key)
        if self._size > self.max_values:
            self._evict_one()

    def clear(self) -> None:
        self._values_by_owner.clear()
        self._size = 0

    def _evict_one(self) -> None:
        # The owner with most values loses one, so that nobody learns from their own misses how much
        # others ask.
        owner = max(self._values_by_owner, key=lambda each: len(self._values_by_owner[each]))
        self._values_by_owner[owner].popitem(last=False)
        self._size -= 1
        if not self._values_by_owner[owner]:
            del self._values_by_owner[owner]


def remember_by_tenant(limit: int) -> Callable[[Callable[[str], Value]], Callable[[str], Value]]:
    """Cache `limit` results of a function of a text, per tenant; it must never return None."""

    def decorate(read: Callable[[str], Value]) -> Callable[[str], Value]:
        memory: TenantMemory[int, str, Value] = TenantMemory(limit)
        lock = Lock()

        @wraps(read)
        def read_remembered(text: str) -> Value:
            tenant = CURRENT_TENANT.get()
            if tenant is None or len(text) > MAX_REMEMBERED_LENGTH:
                return read(text)
            with lock:
                known = memory.get(tenant, text)
            if known is None:
                known = read(text)
                with lock:
                    memory.remember(tenant, text, known)
            return known

        return read_remembered

    return decorate
