"""What was made of requests lately: the same bytes from the same key, under the same configuration,
mean the same."""

from typing import Any

from proxy.core.config import ConfigSnapshot
from proxy.core.lru import LRUCache

REQUEST_OVERHEAD_BYTES = 2048  # bytes of Python objects around a request
PARSED_SIZE_FACTOR = 6  # a parsed body takes so many times its bytes, which are kept too

RequestKey = tuple[int, str, bytes]


class PreparedRequests:
    """Fields of a call by (key id, Cache-Control, body), under one directory;
    a new directory begins anew. `limit` in bytes."""

    def __init__(self, limit: int = 8 * 1024 * 1024) -> None:
        self._fields_by_request: LRUCache[RequestKey, dict[str, Any]] = LRUCache(limit)
        self._config = ConfigSnapshot()

    def __len__(self) -> int:
        return len(self._fields_by_request)

    def get_fields(self, directory: ConfigSnapshot, asked: RequestKey) -> dict[str, Any] | None:
        """What this request was prepared to before, or None."""
        if (
            directory is not self._config
            or self._estimate_bytes(asked) > self._fields_by_request.max_value_bytes
        ):  # a digest of megabytes takes its time
            return None
        return self._fields_by_request.get(asked)

    def remember_fields(
        self, directory: ConfigSnapshot, asked: RequestKey, fields: dict[str, Any]
    ) -> None:
        """Remember what a request was prepared to; one that began
        under an older directory is left alone."""
        if directory.revision < self._config.revision:
            return
        if directory is not self._config:
            self._fields_by_request.clear()
            self._config = directory
        if (size := self._estimate_bytes(asked)) <= self._fields_by_request.max_value_bytes:
            self._fields_by_request.store_value(asked, fields, size)

    @staticmethod
    def _estimate_bytes(asked: RequestKey) -> int:
        return PARSED_SIZE_FACTOR * len(asked[2]) + REQUEST_OVERHEAD_BYTES
