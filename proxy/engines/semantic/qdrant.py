"""Semantic entries in Qdrant (a server no more than a minor version from the client, spoken to
over REST).

One collection for each installation, embedder and dimension. The bucket is a condition inside the
search, served by an index on the payload that also keeps a bucket's entries together
(qdrant.tech/documentation/guides/multitenancy). A bucket below Qdrant's `full_scan_threshold` is
compared entry by entry, a larger one searched through the graph: Qdrant decides, by the size of the
bucket.

A local client (`:memory:`, a folder) belongs to one process alone: two workers would not see each
other's entries. It is for tests.
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
from proxy.engines.semantic.validation import check_entry, check_unit_vector, clip_similarity, slug

MAX_CONNECTIONS = 16
CANDIDATE_FIELDS = ["entry_id", "scope", "question", "envelope"]
OUTDATED_FIELDS = ["entry_id", "plan_id", "question", "envelope"]
PAYLOAD_INDEXES: dict[str, Any] = {
    "bucket": models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
    "expires": models.PayloadSchemaType.FLOAT,
}
# A local client raises plain ValueError and RuntimeError.
QDRANT_ERRORS = (ApiException, QdrantException, httpx.InvalidURL, ValueError, RuntimeError, OSError)
T = TypeVar("T")


class QdrantCache:
    """Entries of one embedder.

    `prefix` sets this installation apart from others on the same Qdrant; times in seconds:
    `timeout` bounds a look-up, `write_timeout` everything else. `close` closes the client.
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
        # No slug holds a tilde: no installation's names begin with another's.
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
        """On a server; nothing is connected yet.

        Left to itself the client keeps no connection to this machine open and asks for the server's
        version in a thread.
        """
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
        """Up to `limit` unexpired entries of the bucket with cosine >= `floor`, nearest first;
        none where the collection has vanished. Raises ToolUnavailable."""
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
        """Store one entry, visible to the next `find_nearest`.

        The same `entry_id` replaces. Raises ToolUnavailable.
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
        """Into the collection, which is made where it is not, or not any more."""
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
        """Remove one entry, under whichever embedder; one that does not exist is no error.

        Raises ToolUnavailable.
        """
        await self._run_detached(
            lambda: self._delete_everywhere(derive_point_id(entry_id)), self._write_timeout
        )

    async def _delete_everywhere(self, point: str) -> None:
        for collection in await self._list_collections():
            await self._delete_point(collection, point)

    async def get(self, entry_id: str) -> SemanticEntry | None:
        """The entry, unless it has expired. Raises ToolUnavailable."""
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
        """Remove the expired entries of every embedder,
        and the collections of other embedders that hold none any more; the number of entries
        removed. Raises ToolUnavailable."""
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
        """Unexpired entries of this installation's other embedders, `batch` at a time.

        Raises ToolUnavailable.
        """
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
        """Bring one of them here under its new vector, unless this embedder has its own,
        and remove it there. Raises ToolUnavailable."""
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
        """Raises ToolUnavailable when Qdrant does not answer or cannot hold the collection."""
        await self._run_detached(self._create_collection, self._write_timeout)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _ensure_collection(self) -> None:
        """Many entries may come before the collection is there: one of them makes it."""
        async with self._create_lock:
            if not self._is_created:
                await self._create_collection()

    async def _create_collection(self) -> None:
        """Make the collection and its indexes unless they are there:
        each step may have been the last of a worker that died."""
        if not await self._client.collection_exists(self._collection):
            try:
                vectors = models.VectorParams(size=self._dimension, distance=models.Distance.COSINE)
                await self._client.create_collection(self._collection, vectors_config=vectors)
            except QDRANT_ERRORS:
                if not await self._client.collection_exists(self._collection):
                    raise
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
        """This installation's, of every embedder."""
        known = (await self._client.get_collections()).collections
        return sorted(one.name for one in known if one.name.startswith(self._collection_prefix))

    async def _run_detached(self, work: Callable[[], Awaitable[T]], seconds: float) -> T:
        """`work` within `seconds`. Raises ToolUnavailable, never anything else."""
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
    """Qdrant names points by number or UUID: one made of the id's digest,
    which nobody who does not know the id can hit."""
    return str(uuid.UUID(bytes=hashlib.sha256(entry_id.encode()).digest()[:16]))


def _build_candidate(point: models.ScoredPoint) -> Candidate | None:
    """None for a point that is not one of ours."""
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
    """None for a point that is not one of ours."""
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
    """Likewise."""
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
    """A payload's text. Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _build_expiry_condition(**bounds: float) -> models.FieldCondition:
    return models.FieldCondition(key="expires", range=models.Range(**bounds))


def _is_collection_missing(error: Exception) -> bool:
    """Whether the collection is not there: 404, or what a local client says."""
    if isinstance(error, UnexpectedResponse):
        return error.status_code == 404
    return type(error) is ValueError and "not found" in str(error)


def _describe_error(error: Exception) -> str:
    """One line without the body of the answer, which may quote what was sent."""
    if isinstance(error, UnexpectedResponse):
        return f"Qdrant refuses: {error.status_code} {error.reason_phrase}".rstrip()
    cause = error.source if isinstance(error, ResponseHandlingException) else error
    return f"Qdrant does not answer: {type(cause).__name__}"
