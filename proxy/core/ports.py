"""The protocols through which stages use the outside world; engines implement them.

Every method of a cache or embedder raises `ToolUnavailable` when it cannot answer, and nothing
else: the chain turns that into a miss.
"""

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from plans.snapshot import CompressionSettings
from proxy.core.compression.results import CompressionResult
from proxy.core.config import ConfigSnapshot, ProviderEndpoint
from proxy.core.flights import Flight
from proxy.core.types import Message, Vector
from proxy.core.upstream_headers import HeaderPairs
from proxy.core.verification.chat_decision import ComparedChat
from proxy.core.verification.chat_reading import ChatReading
from stats.events import Attempt, CacheEntryRecord, Event, RequestFingerprint

if TYPE_CHECKING:
    from proxy.core.caching.envelope import Envelope
    from proxy.core.compression.preview import Preview
    from proxy.core.compression.results import CompressionTerms
    from proxy.core.prompt_caching.conversations import ConversationHistory, LastPrompt


class ExactCache(Protocol):
    """Bytes by key, with a TTL in seconds."""

    async def get(self, key: str) -> bytes | None: ...
    async def set(self, key: str, value: bytes, ttl: int) -> None: ...
    async def delete(self, *keys: str) -> None: ...

    async def claim(self, name: str, seconds: int) -> bool:
        """Claim a name for `seconds`; False if any worker has claimed it."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticEntry:
    """An entry of a semantic cache."""

    entry_id: str
    # Hex digests.
    bucket: str
    scope: str
    plan_id: int
    embedder: str
    # Empty if stored texts are encrypted; the envelope has it.
    question: str
    # Of unit length.
    vector: Vector
    envelope: bytes
    # Epoch seconds.
    created_at: float
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A neighbour of the question."""

    entry_id: str
    # The cosine.
    similarity: float
    scope: str
    # As in the entry.
    question: str
    envelope: bytes
    # Set once it was decoded.
    decoded_envelope: "Envelope | None" = None


class SemanticCache(Protocol):
    """Nearest neighbours within one bucket, which is a filter inside the query, never after it."""

    name: str

    async def find_nearest(
        self, bucket: str, vector: Vector, *, floor: float, limit: int
    ) -> list[Candidate]:
        """Return at most `limit` unexpired entries with cosine >= `floor`, nearest first."""
        ...

    async def add(self, entry: SemanticEntry) -> None:
        """Store an entry, visible to the next `find_nearest`; replaces one of that `entry_id`."""
        ...

    async def delete(self, entry_id: str) -> None:
        """Remove the entry of that id, also under former embedders."""
        ...

    async def get(self, entry_id: str) -> SemanticEntry | None:
        """Return the unexpired entry of that id under this cache's embedder."""
        ...

    async def check_ready(self) -> None:
        """Raise ToolUnavailable with a readable reason when the backend cannot serve."""
        ...

    async def purge_expired(self) -> int:
        """Remove expired entries; return how many (0 if the store expires them itself)."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OutdatedEntry:
    """An entry under another embedder."""

    # Where its store holds such entries; the rest as in `SemanticEntry`.
    storage_location: str
    entry_id: str
    plan_id: int
    question: str
    envelope: bytes


@runtime_checkable
class Reembeddable(SemanticCache, Protocol):
    """A semantic cache whose entries can be moved to another embedder.

    Expiry, bucket, scope and envelope do not change.
    """

    name: str

    def iter_outdated(self, batch: int) -> AsyncIterator[list[OutdatedEntry]]:
        """Yield unexpired entries of this installation's other embedders, in batches."""
        ...

    async def move_entry(self, old: OutdatedEntry, vector: Vector) -> None:
        """Move an entry to the current embedder, unless it has a newer one of that id."""
        ...


class Verifier(Protocol):
    """Scores whether the answer to one question answers another."""

    # Names the weights: scores under two ids are not comparable.
    id: str

    async def score_questions(
        self,
        asked: str,
        stored: Sequence[str],
        *,
        within: float = math.inf,
        tenant: int | None = None,
    ) -> list[float]:
        """Return for each stored question the probability (0..1) that its answer is right.

        For the question `asked`, calibrated. What was read is remembered for `tenant` alone. Raises
        ToolUnavailable at once, as `skipped`, if it would take longer than `within` seconds.
        """
        ...

    async def bound_score(self, asked: str, stored: str, *, tenant: int | None = None) -> float:
        """Return the score that hardly a pair of these words exceeds, in some 20 microseconds.

        Raises ToolUnavailable.
        """
        ...

    async def close(self) -> None: ...


class ChatVerifier(Protocol):
    """Decides whether chats that differ in their words may share an answer.

    Each method raises ToolUnavailable at once, as `skipped`, if it would take longer than `within`
    seconds.
    """

    # Names the weights.
    id: str

    async def read_chat(
        self, messages: Sequence[Message], *, within: float = math.inf
    ) -> ChatReading | None:
        """Read messages that end with a user's; None if they are too many sentences."""
        ...

    async def veto_other_words(
        self,
        asked: ComparedChat,
        stored: ComparedChat,
        answer: str,
        *,
        ignores_asides: bool = False,
        within: float = math.inf,
    ) -> str | None:
        """Return why the stored chat's `answer` must not be served in the one asked, or None.

        `ignores_asides`: what the user states in it besides what the stored one says may not
        matter.
        """
        ...

    async def close(self) -> None: ...


class Embedder(Protocol):
    """Maps a text to a unit vector of `dimension` float32."""

    # Names model, revision and dimension: vectors under two ids are never compared.
    id: str
    dimension: int

    async def embed(
        self, text: str, *, tenant: int | None = None, within: float = math.inf
    ) -> Vector:
        """Return the text's vector, cached for this tenant only; None: the gateway's own work.

        Raises ToolUnavailable at once, as `skipped`, if it would take longer than `within` seconds.
        """
        ...

    async def has_vocabulary_for(self, text: str) -> bool:
        """Return whether the vocabulary covers most of the text.

        Otherwise different questions get the same vector. Some microseconds a word. Raises
        ToolUnavailable.
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
        """Compress messages; results are memoized for this tenant only, not at all for None."""
        ...

    async def preview(
        self,
        messages: list[Message],
        settings: CompressionSettings,
        *,
        model: str,
        terms: "CompressionTerms | None" = None,
    ) -> "Preview":
        """Show what `compress` would do, sentence by sentence."""
        ...

    async def close(self) -> None: ...


class ConversationStore(Protocol):
    """Stores what is known of conversations, see `proxy.core.prompt_caching.conversations`.

    Raises ToolUnavailable.
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
    """A provider's answer whose body has not been read yet; header names are lower-case."""

    status: int
    headers: Mapping[str, str]

    async def read_body(self) -> bytes:
        """Read the whole body; raises UpstreamTimeout or UpstreamUnreachable."""
        ...

    def iter_chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives; raises UpstreamTimeout or UpstreamUnreachable."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseClaim:
    """The outcome of claiming a lease."""

    # Otherwise `holder` makes the call.
    is_ours: bool
    holder: str = ""
    # What the exact tier holds by now, if the lease is ours.
    stored_value: bytes | None = None


class Leases(Protocol):
    """Leases of upstream calls among all workers; one lapses some seconds after its holder died.

    Raises ToolUnavailable.
    """

    async def claim_flight(self, flight: Flight) -> LeaseClaim:
        """Take the lease for this flight's call, unless another worker has it."""
        ...

    async def follow_flight(self, key: str, holder: str) -> Flight:
        """Follow the holder's flight from this worker.

        It is abandoned when the holder falls silent or loses the lease.
        """
        ...

    async def stop_following(self, mirror: Flight) -> None:
        """Stop following a flight that has no followers here. Raises nothing."""
        ...

    async def release_flight(self, flight: Flight) -> None: ...
    async def close(self) -> None: ...


class Upstream(Protocol):
    """Sends one POST to a provider, without redirects or retries.

    Raises UpstreamUnreachable or UpstreamTimeout. `trace`: the `traceparent` header (W3C Trace
    Context), "" for none; `forwarded`: headers of the client.
    """

    async def send(
        self,
        target: ProviderEndpoint,
        body: bytes,
        *,
        request_id: str,
        stream: bool,
        trace: str = "",
        forwarded: HeaderPairs = (),
    ) -> UpstreamReply: ...
    async def close(self) -> None: ...


class Ledger(Protocol):
    """Records finished requests and cache entries.

    Each call returns at once, and its record survives a killed worker.
    """

    def record_attempt(self, attempt: Attempt) -> None: ...
    def record_event(self, event: Event) -> None: ...
    def record_cache_entry(self, entry: CacheEntryRecord) -> None: ...
    def record_fingerprint(self, imprint: RequestFingerprint) -> None: ...


class Client(Protocol):
    """The client of one request."""

    async def read_body(self, limit: int) -> bytes:
        """Read the whole request body.

        Raises BodyTooLarge as soon as it exceeds `limit` bytes, ClientDisconnected when the client
        left.
        """
        ...

    async def wait_disconnected(self) -> None:
        """Wait until the client disconnects. Only after the body was read."""
        ...

    async def start_response(self, status: int, headers: list[tuple[bytes, bytes]]) -> None: ...
    async def send_body(self, data: bytes, *, more: bool) -> None: ...


class ConfigSource(Protocol):
    """The current configuration, at most two seconds old while the database answers."""

    @property
    def config(self) -> ConfigSnapshot: ...
