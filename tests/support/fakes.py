"""Tools made of dictionaries: ordinary code that implements the ports."""

import asyncio
import hashlib
import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import msgpack
import numpy as np
import orjson

from plans import key_secrets as plans_keys
from plans.pricing import Price
from plans.snapshot import ALL_ROUTES, CacheSettings, CompressionSettings, KeySnapshot, PlanSnapshot
from proxy.core.caching.local_cache import LocalCache
from proxy.core.compression.preview import Preview, build_preview
from proxy.core.compression.results import CompressionResult, CompressionTerms
from proxy.core.config import ConfigSnapshot, ProviderEndpoint, Route
from proxy.core.errors import GatewayError, ToolUnavailable
from proxy.core.formats import sse
from proxy.core.ports import Candidate, SemanticEntry
from proxy.core.prompt_caching.conversations import ConversationHistory, LastPrompt
from proxy.core.request_ids import new_request_id
from proxy.core.types import Message, Vector
from proxy.core.upstream_headers import HeaderPairs
from proxy.core.verification.chat_decision import ComparedChat
from proxy.core.verification.chat_reading import ChatReading, read_chat
from proxy.core.verification.lexicon.word_ranks import load_lexicon
from proxy.pipeline import chain
from proxy.pipeline.call import Call
from proxy.pipeline.toolbox import Limits, Toolbox
from stats.events import Attempt, CacheEntryRecord, Event, RequestFingerprint
from tests.support.entries import PEPPER, SEALER, decode, encode

SECRET = plans_keys.generate_key("tt", pepper=PEPPER).secret
PRICE = Price(input=Decimal(1), output=Decimal(2))

load_lexicon()  # as a worker does before it serves


@dataclass
class FakeClient:
    """A client that sends `sent` and keeps what it gets. `leaves`: set it to make the client go."""

    sent: bytes = b""
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    parts: list[bytes] = field(default_factory=list)
    leaves: asyncio.Event = field(default_factory=asyncio.Event)

    async def read_body(self, limit: int) -> bytes:
        return self.sent

    async def wait_disconnected(self) -> None:
        await self.leaves.wait()

    async def start_response(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status, self.headers = (
            status,
            {name.decode(): value.decode() for name, value in headers},
        )

    async def send_body(self, data: bytes, *, more: bool) -> None:
        self.parts.append(data)

    @property
    def received(self) -> bytes:
        return b"".join(self.parts)


@dataclass
class FakeExact:
    entries: dict[str, bytes] = field(default_factory=dict)
    claims: set[str] = field(default_factory=set)
    down: bool = False

    def _check(self) -> None:
        if self.down:
            raise ToolUnavailable("exact", "down")

    async def get(self, key: str) -> bytes | None:
        self._check()
        return self.entries.get(key)

    async def set(self, key: str, value: bytes, ttl: int) -> None:
        self._check()
        self.entries[key] = value

    async def delete(self, *keys: str) -> None:
        self._check()
        for key in keys:
            self.entries.pop(key, None)

    async def claim(self, name: str, seconds: int) -> bool:
        self._check()
        new = name not in self.claims
        self.claims.add(name)
        return new

    async def close(self) -> None: ...


@dataclass
class FakeSemantic:
    name: str = "pgvector_semantic"
    entries: dict[str, SemanticEntry] = field(default_factory=dict)
    down: bool = False

    async def find_nearest(
        self, bucket: str, vector: Vector, *, floor: float, limit: int
    ) -> list[Candidate]:
        if self.down:
            raise ToolUnavailable(self.name, "down")
        found = [
            Candidate(
                entry_id=e.entry_id,
                similarity=float(e.vector @ vector),
                scope=e.scope,
                question=e.question,
                envelope=e.envelope,
            )
            for e in self.entries.values()
            if e.bucket == bucket
        ]
        return sorted((c for c in found if c.similarity >= floor), key=lambda c: -c.similarity)[
            :limit
        ]

    async def add(self, entry: SemanticEntry) -> None:
        if self.down:
            raise ToolUnavailable(self.name, "down")
        self.entries[entry.entry_id] = entry

    async def delete(self, entry_id: str) -> None:
        self.entries.pop(entry_id, None)

    async def get(self, entry_id: str) -> SemanticEntry | None:
        if self.down:
            raise ToolUnavailable(self.name, "down")
        return self.entries.get(entry_id)

    async def check_ready(self) -> None: ...
    async def purge_expired(self) -> int:
        return 0

    async def close(self) -> None: ...


@dataclass
class FakeEmbedder:
    """Texts with the same words in any order and case are the same vector;
    others are far apart, or with `same` none. Down after `most` texts."""

    id: str = "fake@8"
    dimension: int = 8
    down: bool = False
    texts: list[str] = field(default_factory=list)
    within: float = math.inf
    same: bool = False
    most: float = math.inf
    knows: bool = True

    async def embed(
        self, text: str, *, tenant: int | None = None, within: float = math.inf
    ) -> Vector:
        if self.down or len(self.texts) >= self.most:
            raise ToolUnavailable("embedder", "down")
        self.texts.append(text)
        self.within = within
        words = "" if self.same else " ".join(sorted(text.lower().strip("?!. ").split()))
        seed = int.from_bytes(hashlib.sha256(words.encode()).digest()[:4])
        vector = np.random.default_rng(seed).normal(size=self.dimension).astype(np.float32)
        return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)

    async def has_vocabulary_for(self, text: str) -> bool:
        return self.knows

    async def close(self) -> None: ...


@dataclass
class FakeVerifier:
    """Scores every pair alike, but for stored questions in `scores`.

    `hang`: never answers. `most`: what a pair could reach that is not scored because it cannot
    reach what is asked for; so the shipped one answers.
    """

    id: str = "fake"
    embedder: str = "fake@8"
    says: float = 1.0
    most: float = 1.0
    down: bool = False
    hang: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)

    async def score_questions(
        self,
        asked: str,
        stored: Sequence[str],
        *,
        within: float = math.inf,
        tenant: int | None = None,
    ) -> list[float]:
        if self.down:
            raise ToolUnavailable("verifier", "down")
        if self.hang:
            await asyncio.sleep(60)
        self.asked += [(asked, other) for other in stored]
        return [self.scores.get(other, self.says) for other in stored]

    async def bound_score(self, asked: str, stored: str, *, tenant: int | None = None) -> float:
        return self.most

    async def close(self) -> None: ...


@dataclass
class FakeChatVerifier:
    """Says the same of every pair of chats.

    `says`: why not; `reads`: whether a chat can be read.
    """

    id: str = "fake-chats"
    says: str | None = None
    reads: bool = True
    down: bool = False
    compared: list[tuple[str, str, str]] = field(default_factory=list)
    ignores_asides: bool = False  # as last told

    async def read_chat(
        self, messages: Sequence[Message], *, within: float = math.inf
    ) -> ChatReading | None:
        if self.down:
            raise ToolUnavailable("chats", "down")
        if not self.reads:
            return None
        return read_chat(messages, lambda texts: np.ones((len(texts), 4), dtype=np.float32))

    async def veto_other_words(
        self,
        asked: ComparedChat,
        stored: ComparedChat,
        answer: str,
        *,
        ignores_asides: bool = False,
        within: float = math.inf,
    ) -> str | None:
        self.ignores_asides = ignores_asides
        self.compared.append((asked.question, stored.question, answer))
        return self.says

    async def close(self) -> None: ...


@dataclass
class FakeCompressor:
    """Keeps the final message alone, 10 tokens a message."""

    down: bool = False
    terms: CompressionTerms | None = None

    async def compress(
        self,
        messages: list[Message],
        settings: CompressionSettings,
        *,
        model: str,
        terms: CompressionTerms | None = None,
        tenant: int | None = None,
    ) -> CompressionResult:
        if self.down:
            raise ToolUnavailable("compressor", "down")
        self.terms = terms
        before = 10 * len(messages)
        kept = messages[-1:] if before > settings.max_input_tokens else None
        after, recalled = (10, 2) if kept else (before, 0)
        return CompressionResult(
            messages=kept,
            before=before,
            after=after,
            engine=settings.engine,
            encoding="o200k_base",
            retrieved_tokens=recalled,
        )

    async def preview(
        self,
        messages: list[Message],
        settings: CompressionSettings,
        *,
        model: str,
        terms: CompressionTerms | None = None,
    ) -> Preview:
        if self.down:
            raise ToolUnavailable("compressor", "down")
        return build_preview(messages, settings, model=model, terms=terms)

    async def close(self) -> None: ...


@dataclass
class FakeChats:
    """Chats by id, and what was noted of each."""

    sent: dict[str, LastPrompt] = field(default_factory=dict)
    repeated: list[tuple[int, int]] = field(default_factory=list)
    down: bool = False

    def _check(self) -> None:
        if self.down:
            raise ToolUnavailable("chats", "down")

    async def load(self, chat: str | None, *, tenant: int, route: int) -> ConversationHistory:
        self._check()
        return ConversationHistory(last_prompt=self.sent.get(chat or ""))

    async def save(
        self,
        chat: str,
        sent: LastPrompt,
        *,
        turn: int,
        tenant: int,
        route: int,
        cached: int = 0,
        repeated: int = 0,
    ) -> None:
        self._check()
        self.sent[chat] = sent
        self.repeated.append((cached, repeated))

    async def close(self) -> None: ...


@dataclass
class FakeReply:
    status: int
    headers: Mapping[str, str]
    data: list[bytes]
    error: GatewayError | None = None
    hang: bool = False
    closed: bool = False

    async def read_body(self) -> bytes:
        return b"".join([part async for part in self.iter_chunks()])

    async def iter_chunks(self) -> AsyncIterator[bytes]:
        for part in self.data:
            yield part
        if self.hang:
            await asyncio.sleep(60)
        if self.error:
            raise self.error

    async def close(self) -> None:
        self.closed = True


def completion(
    text: str = "An answer.", *, finish: str = "stop", usage: bool = True
) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 7,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "finish_reason": finish,
            }
        ],
    }
    return (
        whole | {"usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}}
        if usage
        else whole
    )


@dataclass
class FakeUpstream:
    """Answers with `says`, whole or as a stream; or raises `error`; or hangs."""

    says: dict[str, Any] = field(default_factory=completion)
    error: GatewayError | None = None
    reply: FakeReply | None = None
    hang: bool = False
    bodies: list[dict[str, Any]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    forwarded: list[HeaderPairs] = field(default_factory=list)

    async def send(
        self,
        target: ProviderEndpoint,
        body: bytes,
        *,
        request_id: str,
        stream: bool,
        trace: str = "",
        forwarded: HeaderPairs = (),
    ) -> FakeReply:
        self.raw.append(body)
        self.forwarded.append(forwarded)
        self.bodies.append(orjson.loads(body))
        if self.error:
            raise self.error
        if self.hang:
            await asyncio.sleep(60)
        if self.reply:
            return self.reply
        if stream:
            usage = bool(self.bodies[-1].get("stream_options", {}).get("include_usage"))
            return FakeReply(
                200,
                {"content-type": "text/event-stream"},
                list(sse.replay_completion(self.says, include_usage=usage)),
            )
        return FakeReply(200, {"content-type": "application/json"}, [orjson.dumps(self.says)])

    async def close(self) -> None: ...


@dataclass
class FakeLedger:
    attempts: list[Attempt] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    entries: list[CacheEntryRecord] = field(default_factory=list)
    imprints: list[RequestFingerprint] = field(default_factory=list)

    def record_attempt(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)

    def record_event(self, event: Event) -> None:
        self.events.append(event)

    def record_cache_entry(self, entry: CacheEntryRecord) -> None:
        self.entries.append(entry)

    def record_fingerprint(self, imprint: RequestFingerprint) -> None:
        self.imprints.append(imprint)


@dataclass
class FakeSource:
    config: ConfigSnapshot


def directory(plan: PlanSnapshot | None = None) -> ConfigSnapshot:
    """One tenant with one key, one route, and the given plan or one with everything on."""
    key = KeySnapshot(
        id=1,
        name="app",
        digest=plans_keys.compute_key_digest(SECRET, pepper=PEPPER),
        tenant_id=1,
        tenant="acme",
    )
    upstream = ProviderEndpoint(id=1, name="openai", base_url="http://upstream/v1")
    route = Route(
        id=1, name="smart/balanced", version=1, upstream=upstream, model="gpt-4o-mini", price=PRICE
    )
    plan = plan or full_plan()
    return ConfigSnapshot(
        1,
        {key.digest: key},
        {(plan.tenant_id, plan.name): plan},
        {route.name: route},
        {1: frozenset({ALL_ROUTES})},
    )


def restated(entry: SemanticEntry, question: str) -> SemanticEntry:
    """The entry as if another question had been asked, in words, not in meaning:
    the vectors stay."""
    envelope = decode(entry.envelope)
    if envelope.chat:
        said, *rest = msgpack.unpackb(envelope.chat)
        envelope = replace(envelope, chat=msgpack.packb([[*said[:-1], question], *rest]))
    envelope = replace(envelope, question=question)
    return replace(entry, question=question, envelope=encode(envelope))


def resealed(entry: SemanticEntry, **fields: Any) -> SemanticEntry:
    """The entry with these fields, as if it had been stored so."""
    changed = replace(entry, **fields)
    envelope = replace(
        decode(entry.envelope),
        entry_id=changed.entry_id,
        bucket=changed.bucket,
        scope=changed.scope,
    )
    return replace(changed, envelope=encode(replace(envelope, question=changed.question)))


def full_plan(**fields: Any) -> PlanSnapshot:
    """The guide's plan, with fields replaced."""
    given: dict[str, Any] = {
        "id": 1,
        "name": "support",
        "version": 3,
        "cache": CacheSettings(),
        "compression": CompressionSettings(engine="trim", max_input_tokens=64),
    }
    return PlanSnapshot(**(given | fields))


@dataclass
class World:
    """A gateway made of fakes."""

    plan: PlanSnapshot | None = None
    exact: FakeExact = field(default_factory=FakeExact)
    semantic: FakeSemantic = field(default_factory=FakeSemantic)
    embedder: FakeEmbedder = field(default_factory=FakeEmbedder)
    verifier: FakeVerifier = field(default_factory=FakeVerifier)
    compressor: FakeCompressor = field(default_factory=FakeCompressor)
    upstream: FakeUpstream = field(default_factory=FakeUpstream)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    chats: FakeChats = field(default_factory=FakeChats)
    chat_verifier: FakeChatVerifier | None = None

    def __post_init__(self) -> None:
        self.source = FakeSource(directory(self.plan))
        self.tools = Toolbox(
            config_source=self.source,
            exact_cache=self.exact,
            semantic_caches={self.semantic.name: self.semantic},
            sealer=SEALER,
            embedder=self.embedder,
            compressor=self.compressor,
            conversations=self.chats,
            upstream=self.upstream,
            ledger=self.ledger,
            limits=Limits(key_pepper=PEPPER),
            verifier=self.verifier,
            chat_verifier=self.chat_verifier,
            local_cache=LocalCache(1024 * 1024),
        )

    def call(
        self,
        raw: bytes,
        *,
        secret: str | None = SECRET,
        cache_control: str = "",
        plan_header: str = "",
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> Call:
        return Call(
            request_id=new_request_id(),
            at=time.time(),
            started_at=time.monotonic(),
            client=FakeClient(sent=raw),
            secret=secret,
            cache_control=cache_control,
            plan_header=plan_header,
            headers=headers,
        )

    @property
    def event(self) -> Event:
        """The latest one."""
        return self.ledger.events[-1]


def body(
    question: str = "How do I pay?",
    *,
    history: int = 0,
    plan: str | None = "support",
    **fields: Any,
) -> bytes:
    """A chat request. `history`: earlier turns of user and assistant."""
    turns = [
        {"role": role, "content": f"turn {n}"}
        for n in range(history)
        for role in ("user", "assistant")
    ]
    asked: dict[str, Any] = {
        "model": "smart/balanced",
        "messages": [*turns, {"role": "user", "content": question}],
    }
    return orjson.dumps(asked | ({"token_saving_plan_id": plan} if plan else {}) | fields)


async def ask(world: World, raw: bytes, **fields: Any) -> FakeClient:
    """Send one request through the whole chain; the client with what it got."""
    call = world.call(raw, **fields)
    await chain.run(call, world.tools)
    assert isinstance(call.client, FakeClient)
    return call.client


def chunks_of(client: FakeClient) -> list[dict[str, Any]]:
    """The chunks of a stream that ended in `[DONE]`."""
    events = sse.SseDecoder().feed(client.received)
    assert events[-1].is_done
    return [orjson.loads(event.data) for event in events[:-1]]
