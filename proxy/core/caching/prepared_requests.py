"""Call fields prepared for recent requests, reused for the same key, headers and bytes."""

from typing import Any

from proxy.core.config import ConfigSnapshot
from proxy.core.lru import LRUCache
from proxy.core.upstream_headers import HeaderPairs

REQUEST_OVERHEAD_BYTES = 2048  # bytes of Python objects around a request
PARSED_SIZE_FACTOR = 6  # memory of a parsed body and its bytes, in multiples of its size

RequestKey = tuple[int, str, str, HeaderPairs, bytes]


class PreparedRequests:
    """Call fields by (key id, Cache-Control, plan header, headers that may be passed on, body).

    Under one configuration snapshot.

    A new snapshot empties the cache. `limit`: bytes.
    """

    def __init__(self, limit: int = 8 * 1024 * 1024) -> None:
        self._fields_by_request: LRUCache[RequestKey, dict[str, Any]] = LRUCache(limit)
        self._config = ConfigSnapshot()

    def __len__(self) -> int:
        return len(self._fields_by_request)

    def get_fields(self, directory: ConfigSnapshot, asked: RequestKey) -> dict[str, Any] | None:
        """Return the fields this request was prepared to before, or None."""
        if (
            directory is not self._config
            or self._estimate_bytes(asked) > self._fields_by_request.max_value_bytes
        ):  # hashing megabytes takes time
            return None
        return self._fields_by_request.get(asked)

    def remember_fields(
        self, directory: ConfigSnapshot, asked: RequestKey, fields: dict[str, Any]
    ) -> None:
        """Remember a request's fields, unless it began under an older snapshot."""
        if directory.revision < self._config.revision:
            return
        if directory is not self._config:
            self._fields_by_request.clear()
            self._config = directory
        if (size := self._estimate_bytes(asked)) <= self._fields_by_request.max_value_bytes:
            self._fields_by_request.store_value(asked, fields, size)

    @staticmethod
    def _estimate_bytes(asked: RequestKey) -> int:
        _, cache_control, plan_header, passable, body = asked
        headers = len(cache_control) + len(plan_header)
        headers += sum(len(name) + len(value) for name, value in passable)
        return PARSED_SIZE_FACTOR * len(body) + headers + REQUEST_OVERHEAD_BYTES
