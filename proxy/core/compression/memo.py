"""What was worked out about a text, remembered: a chat sends the same history again plus one turn.

Only functions of a text and one parameter are remembered, so every answer is the same with and
without memory, whoever asked first. A tenant finds what it sent itself and nothing else: by the
time that a text takes nobody can tell that another tenant sent it lately. The keys are digests, so
what a customer wrote is not kept.
"""

import sys
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeVar, cast

from proxy.core.lru import LRUCache
from proxy.core.tokens import count_text

if TYPE_CHECKING:
    from proxy.core.text.word_vectors import WordVectors

Value = TypeVar("Value", bound=int | tuple[bytes, ...])

# Tenant id, what was worked out, by what, digest of the text.
MemoKey = tuple[int | None, str, str, bytes]
# Bytes around an entry: its key of four parts and its places in the dictionary.
ENTRY_OVERHEAD_BYTES = 400
# To count a text this short takes no longer than to remember it.
MAX_UNREMEMBERED_CHARACTERS = 64


class Memo:
    """Results up to `limit` bytes; 0 remembers nothing.

    `word_vectors`: of the embedder, where it has such; always the same. Not for two threads at
    once.
    """

    def __init__(self, limit: int = 0, *, word_vectors: "WordVectors | None" = None) -> None:
        self.word_vectors = word_vectors
        self._tenant: int | None = None
        self._results: LRUCache[MemoKey, Any] = LRUCache(limit)

    def for_tenant(self, tenant: int | None) -> "Memo":
        """The part of this memory that is the tenant's. They share the limit, and nothing else."""
        own = Memo(word_vectors=self.word_vectors)
        own._results, own._tenant = self._results, tenant
        return own

    @property
    def used_bytes(self) -> int:
        """Bytes held now."""
        return self._results.size_bytes

    def compute_for_text(self, work: Callable[[str, str], Value], text: str, by: str) -> Value:
        """`work(text, by)`, which must depend on nothing else. Raises what it raises."""
        if not self._results.max_bytes:
            return work(text, by)
        return self.get_or_compute(work.__name__, by, _encode_text(text), lambda: work(text, by))

    def get_or_compute(self, kind: str, by: str, said: bytes, work: Callable[[], Value]) -> Value:
        """`work()`, which must depend on `by` and `said` alone. Raises what it raises."""
        key = self._build_key(kind, by, said)
        found = self._results.get(key)
        if found is None:
            found = work()
            self._results.store_value(key, found, ENTRY_OVERHEAD_BYTES + _measure_bytes(found))
        return cast(Value, found)

    def get_or_compute_all(
        self, kind: str, by: str, texts: Sequence[str], work: Callable[[list[str]], Sequence[bytes]]
    ) -> list[bytes]:
        """`work(texts)`, which must say the same of a text whatever stands beside it,
        and is asked for those alone that are not known. Raises what it raises."""
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
        """Tokens of a text, as `count_text`."""
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
