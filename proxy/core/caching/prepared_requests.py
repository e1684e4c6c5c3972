"""What was made of requests lately: the same bytes from the same key, under the same configuration, mean the same."""

from typing import Any

from proxy.core.config import Directory
from proxy.core.lru import Bounded

OVERHEAD = 2048  # bytes of Python objects around a request
PARSED = 6  # a parsed body takes so many times its bytes, which are kept too

Asked = tuple[int, str, bytes]


class Prepared:
    """Fields of a call by (key id, Cache-Control, body), under one directory; a new directory begins anew. `limit` in bytes."""

    def __init__(self, limit: int = 8 * 1024 * 1024) -> None:
        self._known: Bounded[Asked, dict[str, Any]] = Bounded(limit)
        self._directory = Directory()

    def __len__(self) -> int:
        return len(self._known)

    def of(self, directory: Directory, asked: Asked) -> dict[str, Any] | None:
        """What this request was prepared to before, or None."""
        if directory is not self._directory or self._size(asked) > self._known.largest:  # a digest of megabytes takes its time
            return None
        return self._known.get(asked)

    def keep(self, directory: Directory, asked: Asked, fields: dict[str, Any]) -> None:
        """Remember what a request was prepared to; one that began under an older directory is left alone."""
        if directory.revision < self._directory.revision:
            return
        if directory is not self._directory:
            self._known.clear()
            self._directory = directory
        if (size := self._size(asked)) <= self._known.largest:
            self._known.keep(asked, fields, size)

    @staticmethod
    def _size(asked: Asked) -> int:
        return PARSED * len(asked[2]) + OVERHEAD
