"""Semantic entries in Qdrant, over REST (a server at most a minor version from the client).

One collection per installation, embedder and dimension. The bucket is a condition inside the
search, served by a payload index that also keeps a bucket's entries together
(qdrant.tech/documentation/guides/multitenancy). Qdrant compares a bucket below its
`full_scan_threshold` entry by entry and searches a larger one through the graph. A local client
(`:memory:`, a folder) is for tests: it belongs to one process, and two workers would not see each
other's entries.
"""

import asyncio
import base64
import hashlib
import math
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Self, TypeVar

import httpx
import numpy as np
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import (
    ApiException,
    ResponseHandlingException,
    UnexpectedResponse,
)

from proxy.core.caching.envelope import to_storable_text
from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Candidate, OutdatedEntry, SemanticEntry
from proxy.core.types import Vector
from proxy.engines.semantic.detached import run_detached
from proxy.engines.semantic.entry_checks import (
    check_entry,
    check_unit_vector,
    clip_similarity,
    slug,
)

MAX_CONNECTIONS = 16
CANDIDATE_FIELDS = ["entry_id", "scope", "question", "envelope"]
OUTDATED_FIELDS = ["entry_id", "plan_id", "question", "envelope"]
PAYLOAD_INDEXES: dict[str, Any] = {
    "bucket": models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
    "expires": models.PayloadSchemaType.FLOAT,
}
# A local client raises plain ValueError and RuntimeError; one of a service that is no Qdrant fails
# an assertion where an answer lacks its result.
QDRANT_ERRORS = (
    ApiException,
    QdrantException,
    httpx.InvalidURL,
    ValueError,
    RuntimeError,
    AssertionError,
    OSError,
)
T = TypeVar("T")


class QdrantCache:
    """The entries of one embedder.

    `prefix` separates this installation from others on the same Qdrant; times in seconds: `timeout`
    limits a lookup, `write_timeout` everything else. `close` closes the client.
    """

    name = "qdrant_semantic"

    def __init__(
        self,
        client: AsyncQdrantClient,
        embedder_id: str,
        dimension: int,
        *,
        prefix: str,
        timeout: float = 0.1,
        write_timeout: float = 2.0,
    ) -> None:
        self._client = client
        self._embedder = embedder_id
        self._dimension = dimension
        self._timeout = timeout
        self._write_timeout = write_timeout
        # No slug contains a tilde, so no installation's names begin with another's.
        self._collection_prefix = f"{slug(prefix)}~"
        self._collection = f"{self._collection_prefix}{slug(embedder_id)}~{dimension}"
        self._is_created = False
        self._create_lock = asyncio.Lock()

    @classmethod
    def from_url(
        cls,
        url: str,
        api_key: str,
        embedder_id: str,
        dimension: int,
        *,
        prefix: str,
        timeout: float = 0.1,
        write_timeout: float = 2.0,
    ) -> Self:
        """Create the cache with a client for a server; nothing is connected yet."""
        # By default the client keeps no connection to this machine open and asks for the server's
        # version in a thread.
        limits = httpx.Limits(
            max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS
        )
        seconds = math.ceil(write_timeout)
        client = AsyncQdrantClient(
            url=url,
            api_key=api_key or None,
            timeout=seconds,
            check_compatibility=False,
            limits=limits,
        )
        return cls(
            client,
            embedder_id,
            dimension,
            prefix=prefix,
            timeout=timeout,
            write_timeout=write_timeout,
        )

    async def find_nearest(
        self, bucket: str, vector: Vector, *, floor: float, limit: int
    ) -> list[Candidate]:
        """Return the bucket's `limit` nearest unexpired entries with cosine >= `floor`.

        Empty if the collection has vanished. Raises ToolUnavailable.
        """
        near = check_unit_vector(self.name, vector, self._dimension).tolist()
        found = await self._run_detached(
            lambda: self._search_bucket(bucket, near, floor, limit), self._timeout
        )
        return [
            candidate
            for candidate in map(_build_candidate, found)
            if candidate is not None and candidate.similarity >= floor
        ]

    async def _search_bucket(
        self, bucket: str, near: list[float], floor: float, limit: int
    ) -> list[models.ScoredPoint]:
        ours = models.FieldCondition(key="bucket", match=models.MatchValue(value=bucket))
        try:
            answer = await self._client.query_points(
                self._collection,
                query=near,
                query_filter=models.Filter(must=[ours, _build_expiry_condition(gt=time.time())]),
                limit=limit,
                score_threshold=floor,
                with_payload=CANDIDATE_FIELDS,
            )
        except QDRANT_ERRORS as error:
            if not _is_collection_missing(error):
                raise
            self._is_created = False
            return []
        return list(answer.points)

    async def add(self, entry: SemanticEntry) -> None:
        """Store one entry, replacing one of the same `entry_id`; the next `find_nearest` sees it.

        Raises ToolUnavailable.
        """
        vector = check_entry(self.name, entry, self._embedder, self._dimension).tolist()
        payload = {
            "entry_id": entry.entry_id,
            "bucket": entry.bucket,
            "scope": entry.scope,
            "plan_id": entry.plan_id,
            "question": to_storable_text(entry.question),
            "envelope": base64.b64encode(entry.envelope).decode(),
            "created": entry.created_at,
            "expires": entry.expires_at,
        }
        await self._run_detached(
            lambda: self._put_point(derive_point_id(entry.entry_id), vector, payload),
            self._write_timeout,
        )

    async def _put_point(self, point: str, vector: list[float], payload: dict[str, Any]) -> None:
        """Write the point, creating the collection if it is missing."""
        await self._ensure_collection()
        kept = [models.PointStruct(id=point, vector=vector, payload=payload)]
        try:
            await self._client.upsert(self._collection, kept, wait=True)
        except QDRANT_ERRORS as error:
            if not _is_collection_missing(error):
                raise
            self._is_created = False
            await self._ensure_collection()
            await self._client.upsert(self._collection, kept, wait=True)

    async def delete(self, entry_id: str) -> None:
        """Delete an entry of any embedder; no error if there is none. Raises ToolUnavailable."""
        await self._run_detached(
            lambda: self._delete_everywhere(derive_point_id(entry_id)), self._write_timeout
        )

    async def _delete_everywhere(self, point: str) -> None:
        for collection in await self._list_collections():
            await self._delete_point(collection, point)

    async def get(self, entry_id: str) -> SemanticEntry | None:
        """Return the entry, unless it has expired. Raises ToolUnavailable."""
        for point in await self._run_detached(
            lambda: self._retrieve_points(derive_point_id(entry_id)), self._write_timeout
        ):
            entry = _build_entry(
                point.payload or {}, np.asarray(point.vector, np.float32), self._embedder
            )
            if entry is not None and entry.expires_at > time.time():
                return entry
        return None

    async def _retrieve_points(self, point: str) -> list[models.Record]:
        try:
            return list(
                await self._client.retrieve(
                    self._collection, [point], with_payload=True, with_vectors=True
                )
            )
        except QDRANT_ERRORS as error:
            if not _is_collection_missing(error):
                raise
            return []

    async def purge_expired(self) -> int:
        """Delete the expired entries of every embedder, and other embedders' empty collections.

        Return the number of entries deleted. Raises ToolUnavailable.
        """
        total = 0
        for collection in await self._run_detached(self._list_collections, self._write_timeout):
            total += await self._run_detached(
                lambda name=collection: self._purge_collection(name),  # type: ignore[misc]  # mypy#12557
                self._write_timeout,
            )
        return total

    async def _purge_collection(self, collection: str) -> int:
        expired = models.Filter(must=[_build_expiry_condition(lte=time.time())])
        try:
            number = (await self._client.count(collection, count_filter=expired, exact=True)).count
            if number:
                await self._client.delete(
                    collection, models.FilterSelector(filter=expired), wait=True
                )
            if (
                collection != self._collection
                and not (await self._client.count(collection, exact=True)).count
            ):
                await self._client.delete_collection(collection)
        except QDRANT_ERRORS as error:
            if not _is_collection_missing(error):  # another worker was quicker
                raise
            return 0
        return int(number)

    async def iter_outdated(self, batch: int) -> AsyncIterator[list[OutdatedEntry]]:
        """Iterate over unexpired entries of other embedders in batches. Raises ToolUnavailable."""
        for collection in await self._run_detached(self._list_collections, self._write_timeout):
            if collection == self._collection:
                continue
            after: Any = None
            while True:
                found, after = await self._run_detached(
                    lambda name=collection, at=after: self._fetch_page(name, batch, at),  # type: ignore[misc]  # likewise
                    self._write_timeout,
                )
                rows = (_build_outdated_entry(collection, one.payload or {}) for one in found)
                yield [row for row in rows if row is not None]
                if after is None:
                    break

    async def _fetch_page(self, collection: str, batch: int, after: Any) -> tuple[list[Any], Any]:
        fresh = models.Filter(must=[_build_expiry_condition(gt=time.time())])
        return await self._client.scroll(
            collection, fresh, limit=batch, offset=after, with_payload=OUTDATED_FIELDS
        )

    async def move_entry(self, old: OutdatedEntry, vector: Vector) -> None:
        """Move an entry to this embedder's collection with its new vector, unless it has one there.

        Raises ToolUnavailable.
        """
        near = check_unit_vector(self.name, vector, self._dimension).tolist()
        await self._run_detached(lambda: self._move_point(old, near), self._write_timeout)

    async def _move_point(self, old: OutdatedEntry, vector: list[float]) -> None:
        point = derive_point_id(old.entry_id)
        await self._ensure_collection()
        if not await self._client.retrieve(self._collection, [point], with_payload=False):
            for kept in await self._client.retrieve(
                old.storage_location, [point], with_payload=True
            ):
                await self._put_point(point, vector, dict(kept.payload or {}))
        await self._delete_point(old.storage_location, point)

    async def check_ready(self) -> None:
        """Raise ToolUnavailable if Qdrant does not answer or cannot hold the collection."""
        await self._run_detached(self._create_collection, self._write_timeout)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _ensure_collection(self) -> None:
        """Create the collection if needed; of concurrent callers only one does."""
        async with self._create_lock:
            if not self._is_created:
                await self._create_collection()

    async def _create_collection(self) -> None:
        """Create the collection and its indexes unless they exist."""
        if not await self._client.collection_exists(self._collection):
            try:
                vectors = models.VectorParams(size=self._dimension, distance=models.Distance.COSINE)
                await self._client.create_collection(self._collection, vectors_config=vectors)
            except QDRANT_ERRORS:
                if not await self._client.collection_exists(self._collection):
                    raise
        # Also for an existing collection: the worker that created it may have died before this.
        for field, schema in PAYLOAD_INDEXES.items():
            await self._client.create_payload_index(self._collection, field, schema, wait=True)
        self._is_created = True

    async def _delete_point(self, collection: str, point: str) -> None:
        try:
            await self._client.delete(collection, models.PointIdsList(points=[point]), wait=True)
        except QDRANT_ERRORS as error:
            if not _is_collection_missing(error):
                raise

    async def _list_collections(self) -> list[str]:
        """List this installation's collections, of every embedder."""
        known = (await self._client.get_collections()).collections
        return sorted(one.name for one in known if one.name.startswith(self._collection_prefix))

    async def _run_detached(self, work: Callable[[], Awaitable[T]], seconds: float) -> T:
        """Run `work` detached, within `seconds`. Raises ToolUnavailable and nothing else."""
        return await run_detached(self._run_within(work, seconds))

    async def _run_within(self, work: Callable[[], Awaitable[T]], seconds: float) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await work()
        except TimeoutError as error:
            raise ToolUnavailable(
                self.name, f"Qdrant did not answer within {seconds:g} s"
            ) from error
        except QDRANT_ERRORS as error:
            raise ToolUnavailable(self.name, _describe_error(error)) from error


def derive_point_id(entry_id: str) -> str:
    """Derive a point's UUID from the digest of the entry's id."""
    # Qdrant identifies points by number or UUID; this one cannot be found without knowing the id.
    return str(uuid.UUID(bytes=hashlib.sha256(entry_id.encode()).digest()[:16]))


def _build_candidate(point: models.ScoredPoint) -> Candidate | None:
    """Build the candidate of a point; None if the point is not one of ours."""
    kept = point.payload or {}
    try:
        return Candidate(
            entry_id=_require_text(kept["entry_id"]),
            similarity=clip_similarity(point.score),
            scope=_require_text(kept["scope"]),
            question=_require_text(kept["question"]),
            envelope=base64.b64decode(kept["envelope"], validate=True),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _build_outdated_entry(place: str, kept: dict[str, Any]) -> OutdatedEntry | None:
    """Build the entry of a payload; None if it is not one of ours."""
    try:
        return OutdatedEntry(
            storage_location=place,
            entry_id=_require_text(kept["entry_id"]),
            plan_id=int(kept["plan_id"]),
            question=_require_text(kept["question"]),
            envelope=base64.b64decode(kept["envelope"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _build_entry(kept: dict[str, Any], vector: Vector, embedder: str) -> SemanticEntry | None:
    """Build the entry of a payload; None if it is not one of ours."""
    try:
        return SemanticEntry(
            entry_id=_require_text(kept["entry_id"]),
            bucket=_require_text(kept["bucket"]),
            scope=_require_text(kept["scope"]),
            plan_id=int(kept["plan_id"]),
            embedder=embedder,
            question=_require_text(kept["question"]),
            vector=vector,
            envelope=base64.b64decode(kept["envelope"]),
            created_at=float(kept["created"]),
            expires_at=float(kept["expires"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _require_text(value: Any) -> str:
    """Return the value if it is a string. Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _build_expiry_condition(**bounds: float) -> models.FieldCondition:
    return models.FieldCondition(key="expires", range=models.Range(**bounds))


def _is_collection_missing(error: Exception) -> bool:
    """Whether the collection does not exist: a 404, or what a local client raises."""
    if isinstance(error, UnexpectedResponse):
        return error.status_code == 404
    return type(error) is ValueError and "not found" in str(error)


def _describe_error(error: Exception) -> str:
    """Describe the error in one line."""
    if isinstance(error, UnexpectedResponse):
        # Without the body of the response, which may quote what was sent.
        return f"Qdrant refuses: {error.status_code} {error.reason_phrase}".rstrip()
    cause = error.source if isinstance(error, ResponseHandlingException) else error
    return f"Qdrant does not answer: {type(cause).__name__}"
