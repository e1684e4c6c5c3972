"""Memoize what was computed for a text: each turn of a chat sends the same history again."""

import sys
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeVar, cast

from proxy.core.lru import LRUCache
from proxy.core.tokens import count_text

if TYPE_CHECKING:
    from proxy.core.text.word_vectors import WordVectors

Value = TypeVar("Value", bound=int | tuple[bytes, ...])

# Tenant id, kind of result, parameter, digest of the text.
MemoKey = tuple[int | None, str, str, bytes]
# Bytes around an entry: its key of four parts and its places in the dictionary.
ENTRY_OVERHEAD_BYTES = 400
# Counting a text this short takes no longer than a lookup.
MAX_UNREMEMBERED_CHARACTERS = 64


# Only functions of a text and one parameter are memoized, so every result is the same with and
# without a memo, whoever asked first. A tenant hits only its own entries: nobody can tell from the
# time a text takes that another tenant sent it lately. The keys are digests, so no customer text is
# stored.
class Memo:
    """Memoized results up to `limit` bytes; 0 memoizes nothing. Not thread-safe.

    `word_vectors`: the embedder's, if it has any; they never change.
    """

    def __init__(self, limit: int = 0, *, word_vectors: "WordVectors | None" = None) -> None:
        self.word_vectors = word_vectors
        self._tenant: int | None = None
        self._results: LRUCache[MemoKey, Any] = LRUCache(limit)

    def for_tenant(self, tenant: int | None) -> "Memo":
        """Return the tenant's view of this memo; tenants share the limit, but no entries."""
        own = Memo(word_vectors=self.word_vectors)
        own._results, own._tenant = self._results, tenant
        return own

    @property
    def used_bytes(self) -> int:
        """Bytes in use."""
        return self._results.size_bytes

    def compute_for_text(self, work: Callable[[str, str], Value], text: str, by: str) -> Value:
        """Return `work(text, by)`, memoized; it must depend on nothing else."""
        if not self._results.max_bytes:
            return work(text, by)
        return self.get_or_compute(work.__name__, by, _encode_text(text), lambda: work(text, by))

    def get_or_compute(self, kind: str, by: str, said: bytes, work: Callable[[], Value]) -> Value:
        """Return `work()`, memoized; it must depend on `by` and `said` alone."""
        key = self._build_key(kind, by, said)
        found = self._results.get(key)
        if found is None:
            found = work()
            self._results.store_value(key, found, ENTRY_OVERHEAD_BYTES + _measure_bytes(found))
        return cast(Value, found)

    def get_or_compute_all(
        self, kind: str, by: str, texts: Sequence[str], work: Callable[[list[str]], Sequence[bytes]]
    ) -> list[bytes]:
        """Return `work(texts)`, calling it only with the texts that are not memoized.

        Its result for a text must not depend on the other texts.
        """
        keys = [self._build_key(kind, by, _encode_text(text)) for text in texts]
        found: dict[MemoKey, bytes] = {
            key: known[0] for key in set(keys) if (known := self._results.get(key))
        }
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing:
            found.update(zip(missing, work([*missing.values()]), strict=True))
            for key in missing:
                self._results.store_value(
                    key, (found[key],), ENTRY_OVERHEAD_BYTES + _measure_bytes((found[key],))
                )
        return [found[key] for key in keys]

    def count_tokens(self, text: str, encoding: str) -> int:
        """Count the tokens of a text, as `count_text`."""
        return (
            count_text(text, encoding)
            if len(text) <= MAX_UNREMEMBERED_CHARACTERS
            else self.compute_for_text(count_text, text, encoding)
        )

    def _build_key(self, kind: str, by: str, said: bytes) -> MemoKey:
        return self._tenant, kind, by, blake2b(said, digest_size=16).digest()


def _encode_text(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _measure_bytes(value: int | tuple[bytes, ...]) -> int:
    return sys.getsizeof(value) + (
        sum(map(sys.getsizeof, value)) if isinstance(value, tuple) else 0
    )
