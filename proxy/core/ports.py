"""The outside world on one page: what a stage may ask for.

Engines implement these; tests fill them with fakes.

Every method of a cache or embedder raises `ToolUnavailable` when it cannot answer, and nothing
else: the chain turns that into a miss.
"""

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from plans.snapshot import CompressionSettings
from proxy.core.compression.types import CompressionResult
from proxy.core.config import ConfigSnapshot, ProviderEndpoint
from proxy.core.flights import Flight
from proxy.core.types import Message, Vector
from stats.events import Attempt, CacheEntryRecord, Event, RequestFingerprint

if TYPE_CHECKING:
    from proxy.core.caching.envelope import Envelope
    from proxy.core.compression.types import CompressionTerms
    from proxy.core.prompt_caching.conversations import ConversationHistory, LastPrompt


class ExactCache(Protocol):
    """Bytes by key, with a time to live in seconds."""

    async def get(self, key: str) -> bytes | None: ...
    async def set(self, key: str, value: bytes, ttl: int) -> None: ...
    async def delete(self, *keys: str) -> None: ...

    async def claim(self, name: str, seconds: int) -> bool:
        """Whether nobody else, in any worker, claimed that name
        in the last `seconds`: then it is the caller's for so long."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticEntry:
    """What a semantic cache keeps.

    `vector` is a unit vector; `bucket`, `scope`: hex digests; times in epoch seconds. `question`:
    empty where stored texts are encrypted; the envelope has it.
    """

    entry_id: str
    bucket: str
    scope: str
    plan_id: int
    embedder: str
    question: str
    vector: Vector
    envelope: bytes
    created_at: float
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A neighbour of the question asked, best first.

    `similarity` is the cosine. `question`: as in the entry; `decoded_envelope`: the envelope, once
    it was.
    """

    entry_id: str
    similarity: float
    scope: str
    question: str
    envelope: bytes
    decoded_envelope: "Envelope | None" = None


class SemanticCache(Protocol):
    """Neighbours within one bucket. The bucket is a filter inside the query, never after it."""

    name: str

    async def find_nearest(
        self, bucket: str, vector: Vector, *, floor: float, limit: int
    ) -> list[Candidate]:
        """Up to `limit` unexpired entries of the bucket with cosine >= `floor`, nearest first."""
        ...

    async def add(self, entry: SemanticEntry) -> None:
        """Store one entry, visible to the next `find_nearest`. The same `entry_id` replaces."""
        ...

    async def delete(self, entry_id: str) -> None:
        """Remove the entry of that id, of this cache's embedder and of any that was used before."""
        ...

    async def get(self, entry_id: str) -> SemanticEntry | None:
        """The entry of that id, of this cache's embedder, unless it has expired."""
        ...

    async def check_ready(self) -> None:
        """Raise ToolUnavailable with a reason a person understands
        when the backend cannot serve."""
        ...

    async def purge_expired(self) -> int:
        """Remove expired entries; the number removed (0 where the store expires them by itself)."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OutdatedEntry:
    """An entry whose vector is another embedder's.

    `storage_location`: where its store keeps those; the rest as in `SemanticEntry`.
    """

    storage_location: str
    entry_id: str
    plan_id: int
    question: str
    envelope: bytes


@runtime_checkable
class Reembeddable(SemanticCache, Protocol):
    """A semantic cache whose entries can follow when the embedder changes.

    Expiry, bucket, scope and envelope stay what they are.
    """

    name: str

    def iter_outdated(self, batch: int) -> AsyncIterator[list[OutdatedEntry]]:
        """Unexpired entries of this installation's other embedders, some `batch` at a time."""
        ...

    async def move_entry(self, old: OutdatedEntry, vector: Vector) -> None:
        """Put one of them under the present embedder, unless it has a newer one of that id,
        and remove it where it was."""
        ...


class Verifier(Protocol):
    """Whether the answer to one question answers another.

    `id` names the weights: scores of two ids are not comparable. `embedder`: the one whose cosines
    it knows.
    """

    id: str
    embedder: str

    async def score_questions(
        self,
        asked: str,
        stored: Sequence[str],
        *,
        similarities: Sequence[float] | None = None,
        at_least: float = 0.0,
        within: float = math.inf,
    ) -> list[float]:
        """For each stored question the calibrated probability, 0..1,
        that its answer is right for the one asked. `similarities`: their cosines; better scores
        with than without. Of a pair that cannot reach `at_least` the most it could reach will do.
        Refused at once, as `skipped`, when it would take longer than `within` seconds."""
        ...

    async def close(self) -> None: ...


class Embedder(Protocol):
    """Text to a unit vector of `dimension` float32.

    `id` names model, revision and dimension: vectors of two ids never meet.
    """

    id: str
    dimension: int

    async def embed(
        self, text: str, *, tenant: int | None = None, within: float = math.inf
    ) -> Vector:
        """The text's vector, remembered for this tenant alone; None: for the gateway's own work.

        Refused at once, as `skipped`, when it would take longer than `within` seconds.
        """
        ...

    async def has_vocabulary_for(self, text: str) -> bool:
        """Whether its vocabulary holds most of the text: else other questions have the same vector.

        Some microseconds a word. Raises ToolUnavailable.
        """
        ...

    async def close(self) -> None: ...


class Compressor(Protocol):
    """Runs `proxy.core.compression` off the event loop."""

    async def compress(
        self,
        messages: list[Message],
        settings: CompressionSettings,
        *,
        model: str,
        terms: "CompressionTerms | None" = None,
        tenant: int | None = None,
    ) -> CompressionResult:
        """Fewer messages that say the most.

        What is worked out is remembered for this tenant alone; None: not at all.
        """
        ...

    async def close(self) -> None: ...


class ConversationStore(Protocol):
    """What is known of chats, see `proxy.core.prompt_caching.conversations`.

    Raises ToolUnavailable when it cannot say.
    """

    async def load(self, chat: str | None, *, tenant: int, route: int) -> "ConversationHistory": ...
    async def save(
        self,
        chat: str,
        sent: "LastPrompt",
        *,
        turn: int,
        tenant: int,
        route: int,
        cached: int = 0,
        repeated: int = 0,
    ) -> None: ...
    async def close(self) -> None: ...


class UpstreamReply(Protocol):
    """A provider's answer whose body has not been read yet. Headers are lower-case."""

    status: int
    headers: Mapping[str, str]

    async def read_body(self) -> bytes:
        """The whole body; raises UpstreamTimeout or UpstreamUnreachable."""
        ...

    def iter_chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; raises UpstreamTimeout or UpstreamUnreachable
        when it breaks off."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseClaim:
    """Who makes a call.

    `is_ours`: we do, and `stored_value` is what the exact tier holds by now; otherwise `holder`
    does.
    """

    is_ours: bool
    holder: str = ""
    stored_value: bytes | None = None


class Leases(Protocol):
    """Which worker of all makes a call.

    Raises ToolUnavailable when it cannot say. A lease lapses some seconds after its holder died.
    """

    async def claim_flight(self, flight: Flight) -> LeaseClaim:
        """Take the lease for this flight's call, unless another worker has it."""
        ...

    async def follow_flight(self, key: str, holder: str) -> Flight:
        """The holder's flight as it is heard from here;
        abandoned when the holder falls silent or loses the lease."""
        ...

    async def stop_following(self, mirror: Flight) -> None:
        """Nobody here listens to it any more. Raises nothing."""
        ...

    async def release_flight(self, flight: Flight) -> None: ...
    async def close(self) -> None: ...


class Upstream(Protocol):
    """One POST to a provider.

    Raises UpstreamUnreachable or UpstreamTimeout, never follows redirects, never retries. `trace`:
    its `traceparent` header (W3C Trace Context), "" for none.
    """

    async def send(
        self,
        target: ProviderEndpoint,
        body: bytes,
        *,
        request_id: str,
        stream: bool,
        trace: str = "",
    ) -> UpstreamReply: ...
    async def close(self) -> None: ...


class Ledger(Protocol):
    """Where finished requests go, and what the caches keep.

    Each call returns at once and survives a killed worker.
    """

    def record_attempt(self, attempt: Attempt) -> None: ...
    def record_event(self, event: Event) -> None: ...
    def record_cache_entry(self, entry: CacheEntryRecord) -> None: ...
    def record_fingerprint(self, imprint: RequestFingerprint) -> None: ...


class Client(Protocol):
    """The other end of one request."""

    async def read_body(self, limit: int) -> bytes:
        """The whole request body.

        Raises TooLarge as soon as it exceeds `limit` bytes, ClientGone when the client left.
        """
        ...

    async def wait_disconnected(self) -> None:
        """Return when the client closed its connection. Only after the body was read."""
        ...

    async def start_response(self, status: int, headers: list[tuple[bytes, bytes]]) -> None: ...
    async def send_body(self, data: bytes, *, more: bool) -> None: ...


class ConfigSource(Protocol):
    """The current configuration, never older than two seconds while the database answers."""

    @property
    def config(self) -> ConfigSnapshot: ...
