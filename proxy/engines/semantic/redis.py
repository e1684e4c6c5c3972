"""Semantic entries in Redis with RediSearch 2.4 or later (Redis Stack, Redis 8).

One HNSW index per embedder and dimension: RediSearch silently leaves a hash whose vector has
another dimension out of its index. Index and hashes are in database 0, the only one RediSearch
serves (redis.io/docs/latest/commands/ft.create), whatever the URL says. As in the pgvector backend,
a small bucket is compared entry by entry and a large one searched through the graph.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
from redis.exceptions import ResponseError

from proxy.core.caching.envelope import to_storable_text
from proxy.core.ports import Candidate, OutdatedEntry, SemanticEntry
from proxy.core.types import Vector
from proxy.engines.redis_client import REDIS_ERRORS, RedisFaults, open_pooled_redis
from proxy.engines.semantic import redis_migration
from proxy.engines.semantic.detached import run_detached
from proxy.engines.semantic.entry_checks import (
    check_entry,
    check_unit_vector,
    clip_similarity,
    slug,
)

NO_MODULE_REASON = (
    "this Redis has no search module (RediSearch): use Redis Stack or Redis 8, or "
    "choose pgvector_semantic"
)
LARGE_BUCKET = 3000
MAX_KNOWN_SIZES, SIZE_TTL_SECONDS, COUNT_TIMEOUT_MS = 10_000, 10.0, 5
# redis.io/docs/latest/develop/ai/search-and-query/vectors, hybrid policy.
EXACT_POLICY, GRAPH_POLICY = "ADHOC_BF", "BATCHES"
CANDIDATE_FIELDS = ("distance", "scope", "question", "envelope")
T = TypeVar("T")
HashFields = dict[
    bytes | bytearray | memoryview | str | int | float,
    bytes | bytearray | memoryview | str | int | float,
]


class RedisSearchCache:
    """The entries of one embedder.

    `prefix` separates this installation from others on the same Redis; times in seconds: `timeout`
    limits a lookup, `write_timeout` everything else.
    """

    name = "redis_semantic"

    def __init__(
        self,
        url: str,
        embedder_id: str,
        dimension: int,
        *,
        prefix: str,
        timeout: float = 0.1,
        write_timeout: float = 2.0,
        connections: int = 16,
    ) -> None:
        self._embedder = embedder_id
        self._dimension = dimension
        self._timeout = timeout
        self._write_timeout = write_timeout
        self._key_family = redis_migration.KeyFamily(prefix)
        self._index_name = f"{prefix}:semantic:{slug(embedder_id)}:{dimension}"
        self._redis = open_pooled_redis(
            url,
            name="semantic",
            connect_seconds=timeout,
            command_seconds=write_timeout,  # a lookup's own deadline comes first
            max_connections=connections,
            database=0,
            protocol=2,  # fixes the shape of FT.SEARCH replies
        )
        # Number of entries in a bucket, and until when that count is used.
        self._bucket_sizes: dict[str, tuple[int, float]] = {}
        self._command: Callable[..., Awaitable[Any]] = self._redis.execute_command

    async def find_nearest(
        self, bucket: str, vector: Vector, *, floor: float, limit: int
    ) -> list[Candidate]:
        """Return the bucket's `limit` nearest unexpired entries with cosine >= `floor`.

        Empty if the index had vanished; it is created again. Raises ToolUnavailable.
        """
        near = check_unit_vector(self.name, vector, self._dimension).tobytes()
        reply = await run_detached(
            self._run_within(lambda: self._search_bucket(bucket, near, limit), self._timeout)
        )
        found = (self._build_candidate(reply[at], reply[at + 1]) for at in range(1, len(reply), 2))
        return [
            candidate
            for candidate in found
            if candidate is not None and candidate.similarity >= floor
        ]

    async def _search_bucket(self, bucket: str, near: bytes, limit: int) -> list[Any]:
        """Return RediSearch's reply: the number of hits, then each key followed by its fields.

        [0] if the index had vanished.
        """
        try:
            # RediSearch's own heuristic measures every entry of a bucket that fills most of the
            # index: 5 ms for 20,000 entries, where the graph takes 0.3.
            policy = GRAPH_POLICY if await self._is_large_bucket(bucket) else EXACT_POLICY
            reply: list[Any] = await self._command(
                *self._build_knn_query(bucket, near, limit, policy)
            )
        except ResponseError as error:
            if not _is_missing_index(error):
                raise
            await self._create_index()
            return [0]
        return reply

    async def _is_large_bucket(self, bucket: str) -> bool:
        """Whether the bucket has more than LARGE_BUCKET entries, by a count of the last seconds."""
        known = self._bucket_sizes.get(bucket)
        now = time.monotonic()
        if known is None or now > known[1]:
            # Beyond its time limit RediSearch returns how far it counted, which is far more than
            # LARGE_BUCKET.
            reply = await self._command(
                "FT.SEARCH",
                self._index_name,
                _build_bucket_filter(bucket),
                "LIMIT",
                0,
                0,
                "TIMEOUT",
                COUNT_TIMEOUT_MS,
                "DIALECT",
                2,
            )
            if len(self._bucket_sizes) >= MAX_KNOWN_SIZES:
                self._bucket_sizes.clear()
            known = self._bucket_sizes[bucket] = int(reply[0]), now + SIZE_TTL_SECONDS
        return known[0] > LARGE_BUCKET

    def _build_knn_query(self, bucket: str, near: bytes, limit: int, policy: str) -> list[Any]:
        fresh = f"({_build_bucket_filter(bucket)} @expires:[{time.time():.3f} +inf])"
        nearest = f"[KNN {int(limit)} @vector $near HYBRID_POLICY {policy} AS distance]"
        command = [
            "FT.SEARCH",
            self._index_name,
            f"{fresh}=>{nearest}",
            "PARAMS",
            2,
            "near",
            near,
            "SORTBY",
            "distance",
            "LIMIT",
            0,
            limit,
        ]
        return [
            *command,
            "RETURN",
            len(CANDIDATE_FIELDS),
            *CANDIDATE_FIELDS,
            "TIMEOUT",
            max(1, round(self._timeout * 800)),
            "DIALECT",
            2,
        ]

    def _build_candidate(self, key: bytes, fields: list[bytes] | None) -> Candidate | None:
        """Build the candidate; None if the entry expired between search and reading."""
        values = dict(zip(fields[::2], fields[1::2], strict=True)) if fields else {}
        # RediSearch then replies with null or without the fields.
        if any(values.get(name.encode()) is None for name in CANDIDATE_FIELDS):
            return None
        return Candidate(
            entry_id=_decode_text(key).removeprefix(self._build_key("")),
            similarity=clip_similarity(1.0 - float(values[b"distance"])),
            scope=_decode_text(values[b"scope"]),
            question=_decode_text(values[b"question"]),
            envelope=values[b"envelope"],
        )

    async def add(self, entry: SemanticEntry) -> None:
        """Store one entry, replacing one of the same `entry_id`; the next `find_nearest` sees it.

        Raises ToolUnavailable.
        """
        vector = check_entry(self.name, entry, self._embedder, self._dimension)
        fields: HashFields = {
            "vector": vector.tobytes(),
            "bucket": entry.bucket,
            "scope": entry.scope,
            "plan_id": entry.plan_id,
            "question": to_storable_text(entry.question),
            "envelope": entry.envelope,
            "created": entry.created_at,
            "expires": entry.expires_at,
        }
        await run_detached(
            self._run_within(
                lambda: self._write_entry(
                    self._build_key(entry.entry_id), fields, entry.expires_at
                ),
                self._write_timeout,
            )
        )

    async def _write_entry(self, key: str, fields: HashFields, expires_at: float) -> None:
        # Without its index the entry would not be found until something else had created it.
        await self._create_index()
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(key, mapping=fields)
            pipe.pexpireat(key, int(expires_at * 1000))
            await pipe.execute()

    async def delete(self, entry_id: str) -> None:
        """Delete an entry of any embedder; no error if there is none. Raises ToolUnavailable."""
        await run_detached(
            self._run_within(lambda: self._delete_entry(entry_id), self._write_timeout)
        )

    async def _delete_entry(self, entry_id: str) -> None:
        try:
            named = self._key_family.select_indexes(await self._command("FT._LIST"))
        except ResponseError as error:
            if not _lacks_module(error):
                raise
            named = set()
        await self._redis.delete(*(f"{index}:{entry_id}" for index in named | {self._index_name}))

    async def get(self, entry_id: str) -> SemanticEntry | None:
        """Return the entry, unless it has expired. Raises ToolUnavailable."""
        reply = await run_detached(
            self._run_within(
                lambda: self._command("HGETALL", self._build_key(entry_id)), self._write_timeout
            )
        )
        values: dict[bytes, bytes] = (
            reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
        )
        try:
            return self._build_entry(entry_id, values) if values else None
        except (KeyError, ValueError):  # others may have written there
            return None

    def _build_entry(self, entry_id: str, values: dict[bytes, bytes]) -> SemanticEntry:
        return SemanticEntry(
            entry_id=entry_id,
            bucket=values[b"bucket"].decode(),
            scope=values[b"scope"].decode(),
            plan_id=int(values[b"plan_id"]),
            embedder=self._embedder,
            question=values[b"question"].decode(),
            vector=np.frombuffer(values[b"vector"], np.float32),
            envelope=values[b"envelope"],
            created_at=float(values[b"created"]),
            expires_at=float(values[b"expires"]),
        )

    async def purge_expired(self) -> int:
        """Return 0: Redis expires entries by itself."""
        return 0

    async def iter_outdated(self, batch: int) -> AsyncIterator[list[OutdatedEntry]]:
        """Iterate over pages of unexpired entries of other embedders. Raises ToolUnavailable."""
        # Redis decides how many entries a page has, not `batch`.
        found = redis_migration.iter_outdated_pages(self._redis, self._key_family, self._index_name)
        while True:
            page = await self._run_within(lambda: anext(found, None), self._write_timeout)
            if page is None:
                return
            yield page

    async def move_entry(self, old: OutdatedEntry, vector: Vector) -> None:
        """Move an entry to this embedder's keys with its new vector, unless it has one there.

        Raises ToolUnavailable.
        """
        near = check_unit_vector(self.name, vector, self._dimension).tobytes()
        await self._run_within(self._create_index, self._write_timeout)
        source, target = f"{old.storage_location}:{old.entry_id}", self._build_key(old.entry_id)
        await run_detached(
            self._run_within(
                lambda: redis_migration.move_hash(self._redis, source, target, near),
                self._write_timeout,
            )
        )

    async def check_ready(self) -> None:
        """Raise ToolUnavailable if Redis is down, lacks RediSearch or cannot hold the index."""
        await run_detached(self._run_within(self._create_index, self._write_timeout))

    async def close(self) -> None:
        """Close the connections."""
        with contextlib.suppress(*REDIS_ERRORS):
            await self._redis.aclose()

    async def _create_index(self) -> None:
        """Create the index unless it exists; existing hashes are indexed in the background."""
        vector = [
            "vector",
            "VECTOR",
            "HNSW",
            6,
            "TYPE",
            "FLOAT32",
            "DIM",
            self._dimension,
            "DISTANCE_METRIC",
            "COSINE",
        ]
        schema = [*vector, "bucket", "TAG", "scope", "TAG", "expires", "NUMERIC"]
        try:
            await self._command(
                "FT.CREATE",
                self._index_name,
                "ON",
                "HASH",
                "PREFIX",
                1,
                self._build_key(""),
                "SCHEMA",
                *schema,
            )
        except ResponseError as error:
            if "already exists" not in str(error).lower():
                raise

    def _build_key(self, entry_id: str) -> str:
        return f"{self._index_name}:{entry_id}"

    async def _run_within(self, work: Callable[[], Awaitable[T]], seconds: float) -> T:
        """Run `work` within `seconds`. Raises ToolUnavailable and nothing else."""
        with RedisFaults(self.name, partial(_describe_fault, seconds)):
            async with asyncio.timeout(seconds):
                return await work()


def _describe_fault(seconds: float, error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"Redis did not answer within {seconds:g} s"
    return NO_MODULE_REASON if _lacks_module(error) else str(error) or type(error).__name__


def _decode_text(value: bytes) -> str:
    """Decode a stored text."""
    # What we wrote is UTF-8; anything else fails its seal later.
    return value.decode("utf-8", "replace")


def _build_bucket_filter(bucket: str) -> str:
    return f"@bucket:{{{_escape_tag(bucket)}}}"


def _escape_tag(tag: str) -> str:
    """Escape a tag value for a query: everything but letters, digits and _."""
    return re.sub(r"([^A-Za-z0-9_])", r"\\\1", tag)


def _is_missing_index(error: Exception) -> bool:
    text = str(error).lower()
    return "no such index" in text or "unknown index" in text or "index not found" in text


def _lacks_module(error: Exception) -> bool:
    text = str(error).lower()
    return "unknown command" in text and "ft." in text
