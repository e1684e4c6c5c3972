"""The outside world on one page: what a stage may ask for. Engines implement these; tests fill them with fakes.

Every method of a cache or embedder raises `ToolUnavailable` when it cannot answer, and nothing else: the chain turns that into a miss.
"""

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from plans.snapshot import CompressionSettings
from proxy.core.compression.types import Cut
from proxy.core.config import Directory, UpstreamTarget
from proxy.core.flights import Flight
from proxy.core.types import Message, Vector
from stats.events import Attempt, Event, Imprint, Kept

if TYPE_CHECKING:
    from proxy.core.caching.envelope import Envelope
    from proxy.core.compression.types import Terms
    from proxy.core.prompt_caching.conversations import Known, Sent


class ExactCache(Protocol):
    """Bytes by key, with a time to live in seconds."""

    async def get(self, key: str) -> bytes | None: ...
    async def set(self, key: str, value: bytes, ttl: int) -> None: ...
    async def delete(self, *keys: str) -> None: ...

    async def claim(self, name: str, seconds: int) -> bool:
        """Whether nobody else, in any worker, claimed that name in the last `seconds`: then it is the caller's for so long."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticEntry:
    """What a semantic cache keeps. `vector` is a unit vector; `bucket`, `scope`: hex digests; times in epoch seconds. `question`: empty
    where stored texts are encrypted; the envelope has it."""

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
    """A neighbour of the question asked, best first. `similarity` is the cosine. `question`: as in the entry; `opened`: the envelope,
    once it was."""

    entry_id: str
    similarity: float
    scope: str
    question: str
    envelope: bytes
    opened: "Envelope | None" = None


class SemanticCache(Protocol):
    """Neighbours within one bucket. The bucket is a filter inside the query, never after it."""

    name: str

    async def nearest(self, bucket: str, vector: Vector, *, floor: float, limit: int) -> list[Candidate]:
        """Up to `limit` unexpired entries of the bucket with cosine >= `floor`, nearest first."""
        ...

    async def add(self, entry: SemanticEntry) -> None:
        """Store one entry, visible to the next `nearest`. The same `entry_id` replaces."""
        ...

    async def delete(self, entry_id: str) -> None:
        """Remove the entry of that id, of this cache's embedder and of any that was used before."""
        ...

    async def get(self, entry_id: str) -> SemanticEntry | None:
        """The entry of that id, of this cache's embedder, unless it has expired."""
        ...

    async def check(self) -> None:
        """Raise ToolUnavailable with a reason a person understands when the backend cannot serve."""
        ...

    async def purge(self) -> int:
        """Remove expired entries; the number removed (0 where the store expires them by itself)."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outdated:
    """An entry whose vector is another embedder's. `place`: where its store keeps those; the rest as in `SemanticEntry`."""

    place: str
    entry_id: str
    plan_id: int
    question: str
    envelope: bytes


@runtime_checkable
class Reembeddable(Protocol):
    """A semantic cache whose entries can follow when the embedder changes. Expiry, bucket, scope and envelope stay what they are."""

    name: str

    def outdated(self, batch: int) -> AsyncIterator[list[Outdated]]:
        """Unexpired entries of this installation's other embedders, some `batch` at a time."""
        ...

    async def move(self, old: Outdated, vector: Vector) -> None:
        """Put one of them under the present embedder, unless it has a newer one of that id, and remove it where it was."""
        ...


class Verifier(Protocol):
    """Whether the answer to one question answers another. `id` names the weights: scores of two ids are not comparable. `embedder`: the
    one whose cosines it knows."""

    id: str
    embedder: str

    async def score(
        self,
        asked: str,
        stored: Sequence[str],
        *,
        similarities: Sequence[float] | None = None,
        at_least: float = 0.0,
        within: float = math.inf,
    ) -> list[float]:
        """For each stored question the calibrated probability, 0..1, that its answer is right for the one asked. `similarities`: their
        cosines; better scores with than without. Of a pair that cannot reach `at_least` the most it could reach will do. Refused at once,
        as `skipped`, when it would take longer than `within` seconds."""
        ...

    async def close(self) -> None: ...


class Embedder(Protocol):
    """Text to a unit vector of `dimension` float32. `id` names model, revision and dimension: vectors of two ids never meet."""

    id: str
    dimension: int

    async def embed(self, text: str, *, tenant: int | None = None, within: float = math.inf) -> Vector:
        """The text's vector, remembered for this tenant alone; None: for the gateway's own work. Refused at once, as `skipped`, when it
        would take longer than `within` seconds."""
        ...

    async def understands(self, text: str) -> bool:
        """Whether its vocabulary holds most of the text: else other questions have the same vector. Some microseconds a word. Raises
        ToolUnavailable."""
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
        terms: "Terms | None" = None,
        tenant: int | None = None,
    ) -> Cut:
        """Fewer messages that say the most. What is worked out is remembered for this tenant alone; None: not at all."""
        ...

    async def close(self) -> None: ...


class Chats(Protocol):
    """What is known of chats, see `proxy.core.prompt_caching.conversations`. Raises ToolUnavailable when it cannot say."""

    async def known(self, chat: str | None, *, tenant: int, route: int) -> "Known": ...
    async def note(self, chat: str, sent: "Sent", *, turn: int, tenant: int, route: int, cached: int = 0, repeated: int = 0) -> None: ...
    async def close(self) -> None: ...


class UpstreamReply(Protocol):
    """A provider's answer whose body has not been read yet. Headers are lower-case."""

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes:
        """The whole body; raises UpstreamTimeout or UpstreamUnreachable."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; raises UpstreamTimeout or UpstreamUnreachable when it breaks off."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who makes a call. `held`: we do, and `stored` is what the exact tier holds by now; otherwise `holder` does."""

    held: bool
    holder: str = ""
    stored: bytes | None = None


class Leases(Protocol):
    """Which worker of all makes a call. Raises ToolUnavailable when it cannot say. A lease lapses some seconds after its holder died."""

    async def claim(self, flight: Flight) -> Claim:
        """Take the lease for this flight's call, unless another worker has it."""
        ...

    async def follow(self, key: str, holder: str) -> Flight:
        """The holder's flight as it is heard from here; abandoned when the holder falls silent or loses the lease."""
        ...

    async def quit(self, mirror: Flight) -> None:
        """Nobody here listens to it any more. Raises nothing."""
        ...

    async def release(self, flight: Flight) -> None: ...
    async def close(self) -> None: ...


class Upstream(Protocol):
    """One POST to a provider. Raises UpstreamUnreachable or UpstreamTimeout, never follows redirects, never retries. `trace`: its
    `traceparent` header (W3C Trace Context), "" for none."""

    async def send(self, target: UpstreamTarget, body: bytes, *, request_id: str, stream: bool, trace: str = "") -> UpstreamReply: ...
    async def close(self) -> None: ...


class Ledger(Protocol):
    """Where finished requests go, and what the caches keep. Each call returns at once and survives a killed worker."""

    def attempt(self, attempt: Attempt) -> None: ...
    def record(self, event: Event) -> None: ...
    def kept(self, entry: Kept) -> None: ...
    def imprint(self, imprint: Imprint) -> None: ...


class Client(Protocol):
    """The other end of one request."""

    async def body(self, limit: int) -> bytes:
        """The whole request body. Raises TooLarge as soon as it exceeds `limit` bytes, ClientGone when the client left."""
        ...

    async def gone(self) -> None:
        """Return when the client closed its connection. Only after the body was read."""
        ...

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None: ...
    async def send(self, data: bytes, *, more: bool) -> None: ...


class Source(Protocol):
    """The current configuration, never older than two seconds while the database answers."""

    @property
    def directory(self) -> Directory: ...
