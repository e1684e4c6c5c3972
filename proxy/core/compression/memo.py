"""What was worked out about a text, remembered: a chat sends the same history again plus one turn.

Only functions of a text and one parameter are remembered, so every answer is the same with and without memory, whoever asked first.
A tenant finds what it sent itself and nothing else: by the time that a text takes nobody can tell that another tenant sent it lately. The
keys are digests, so what a customer wrote is not kept.
"""

import sys
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeVar, cast

from proxy.core.lru import Bounded
from proxy.core.tokens import count_text

if TYPE_CHECKING:
    from proxy.core.text.word_vectors import Meanings

Value = TypeVar("Value", bound=int | tuple[bytes, ...])

Key = tuple[int | None, str, str, bytes]  # tenant id, what was worked out, by what, digest of the text
# Bytes around an entry: its key of four parts and its places in the dictionary.
OVERHEAD = 400
# To count a text this short takes no longer than to remember it.
SHORT = 64


class Memory:
    """Results up to `limit` bytes; 0 remembers nothing. `meanings`: what tells of a text what it is about, where
    there is such; always the same. Not for two threads at once."""

    def __init__(self, limit: int = 0, *, meanings: "Meanings | None" = None) -> None:
        self.meanings = meanings
        self._tenant: int | None = None
        self._kept: Bounded[Key, Any] = Bounded(limit)

    def of(self, tenant: int | None) -> "Memory":
        """The part of this memory that is the tenant's. They share the limit, and nothing else."""
        own = Memory(meanings=self.meanings)
        own._kept, own._tenant = self._kept, tenant
        return own

    @property
    def held(self) -> int:
        """Bytes held now."""
        return self._kept.bytes

    def recall(self, work: Callable[[str, str], Value], text: str, by: str) -> Value:
        """`work(text, by)`, which must depend on nothing else. Raises what it raises."""
        if not self._kept.limit:
            return work(text, by)
        return self.remember(work.__name__, by, _bytes(text), lambda: work(text, by))

    def remember(self, kind: str, by: str, said: bytes, work: Callable[[], Value]) -> Value:
        """`work()`, which must depend on `by` and `said` alone. Raises what it raises."""
        key = self._key(kind, by, said)
        found = self._kept.get(key)
        if found is None:
            found = work()
            self._kept.keep(key, found, OVERHEAD + _size(found))
        return cast(Value, found)

    def gather(self, kind: str, by: str, texts: Sequence[str], work: Callable[[list[str]], Sequence[bytes]]) -> list[bytes]:
        """`work(texts)`, which must say the same of a text whatever stands beside it, and is asked for those alone that are not known.
        Raises what it raises."""
        keys = [self._key(kind, by, _bytes(text)) for text in texts]
        found: dict[Key, bytes] = {key: known[0] for key in set(keys) if (known := self._kept.get(key))}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing:
            found.update(zip(missing, work([*missing.values()]), strict=True))
            for key in missing:
                self._kept.keep(key, (found[key],), OVERHEAD + _size((found[key],)))
        return [found[key] for key in keys]

    def count(self, text: str, encoding: str) -> int:
        """Tokens of a text, as `count_text`."""
        return count_text(text, encoding) if len(text) <= SHORT else self.recall(count_text, text, encoding)

    def _key(self, kind: str, by: str, said: bytes) -> Key:
        return self._tenant, kind, by, blake2b(said, digest_size=16).digest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _size(value: int | tuple[bytes, ...]) -> int:
    return sys.getsizeof(value) + (sum(map(sys.getsizeof, value)) if isinstance(value, tuple) else 0)
