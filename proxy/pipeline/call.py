"""One request on its way: `Call`, frozen; every stage hands on a changed copy."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from plans.snapshot import KeySnapshot, PlanSnapshot
from proxy.core.answers import CachedAnswer, CompleteAnswer, ErrorAnswer
from proxy.core.compression.types import CompressionResult
from proxy.core.config import ConfigSnapshot, Route
from proxy.core.flights import Flight
from proxy.core.formats.chat_completions import ChatRequest
from proxy.core.formats.usage import Usage
from proxy.core.ports import Candidate, Client, UpstreamReply
from proxy.core.prompt_caching.conversations import ConversationHistory
from proxy.core.quality.holdout import HoldoutAssignment
from proxy.core.trace_context import TraceContext
from proxy.core.types import Message, Vector
from proxy.core.verification.conversation import ChatTurns
from proxy.pipeline.clients import NullClient, SharedClient
from stats.analysis.error_rate import Verdict
from stats.events import Event, NotStoredReason, Outcome, Tier

__all__ = [
    "Answer",
    "CacheKeys",
    "Call",
    "CandidateVerdict",
    "StreamingAnswer",
    "evolve",
    "open_call",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateVerdict:
    """What was decided about one neighbour.

    `score`: the verifier's, None when it was not asked; `reason`: against it, "" when it is served.
    """

    entry_id: str
    question: str
    similarity: float
    score: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StreamingAnswer:
    """The provider's answer, still arriving."""

    reply: UpstreamReply


Answer = CachedAnswer | CompleteAnswer | StreamingAnswer | ErrorAnswer
# A stage, when it began and when it ended, by the monotonic clock.
StageTime = tuple[str, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheKeys:
    """Digests under which answers to this request are looked up and stored.

    `compressed`: of the compressed request, when something was cut.
    """

    scope: str
    exact: str
    compressed: str | None = None
    bucket: str | None = None


EMPTY_CONFIG = ConfigSnapshot()
if TYPE_CHECKING:
    from dataclasses import replace as evolve
else:

    def evolve(call, **changes):
        """The call with these fields changed: `dataclasses.replace`,
        which would run a constructor of forty fields, 25 times as fast."""
        revised = object.__new__(Call)
        object.__setattr__(revised, "__dict__", {**call.__dict__, **changes})
        return revised


def get_tenant_id(call: "Call") -> int:
    """Whose request it is; only after the authenticate stage."""
    assert call.key is not None, "authenticate comes first"  # noqa: S101 -- the chain's order is fixed
    return call.key.tenant_id


@dataclass(frozen=True, kw_only=True)  # no slots: `evolve` copies the dictionary
class Call:
    """A request and all that was decided about it.

    `config`: the configuration it began under and finishes on; `raw_body`: the body until it is
    parsed. Times: `started_at`, `body_read_at` (body read) and `cache_deadline` (no cache work
    after it) by the monotonic clock, `at` in epoch seconds, durations in seconds.
    `conversation_id`: its id, and `conversation` what was noted of it, under plans that cut when it
    saves. `window`: the chat, where it is compared as a whole. `feedback_threshold`: the threshold
    in force around this question, where a hit was said to be wrong. `candidate_verdicts`: the
    neighbours looked at, best first; `shadow_hit`: the hit that was not served, in shadow or as a
    sample; `shadow_compression`: what shadow would have cut. `flight`: with whom the answer is
    shared; `coalesced`: another request called for it. `stale_answer`: an expired answer to this
    very request; `needs_revalidation`: it is served and this call is to fetch a new one, which is
    billed to the event of what was `served_event`. Under an error budget: `cohort` (see
    `proxy.core.quality.cohort`), the `learned_threshold` learned, `semantic_disabled` while its
    semantic tier is off; `sample_candidate`: the stored answer to be compared with the provider's;
    in the call that does so, `sample_of`: the id of the request it samples, and the `verdict`.
    `shadow_keys`: of a hit in shadow. `holdout`: whether it is held out, under a plan with a
    holdout, whose copy here then does nothing. `abandoned`: the provider had the request and its
    answer was not heard, so that nobody knows what it bills. `completion`: the answer, where it is
    sound; `partial_completion`: what was understood of another one, to count its tokens;
    `streamed_bytes`: of a stream's chunks, as JSON; `stream_fault`: the error that ended a stream,
    as those get it who asked for a whole answer. `upstream_request_id`: what the provider called
    its call; `not_stored_reason`: why the answer was not stored, "" where it was; `may_be_stored`:
    it may be. `stage_times`: of the stages that sought the answer; `trace`: what it is called in
    the traces of others, where those are exported.
    """

    request_id: str
    at: float
    started_at: float
    client: Client
    secret: str | None = None
    cache_control: str = ""
    config: ConfigSnapshot = EMPTY_CONFIG
    key: KeySnapshot | None = None
    raw_body: bytes = b""
    request: ChatRequest | None = None
    route: Route | None = None
    plan: PlanSnapshot | None = None
    holdout: HoldoutAssignment | None = None

    tier: Tier = "bypass"
    reason: str = "no-plan"
    reads_cache: bool = False
    writes_cache: bool = False
    cache_keys: CacheKeys | None = None
    shadow_keys: CacheKeys | None = None
    question: str | None = None
    vector: Vector | None = None
    window: ChatTurns | None = None
    candidates: tuple[Candidate, ...] = ()
    vetoes: tuple[str, ...] = ()
    feedback_threshold: float = 0.0
    candidate_verdicts: tuple[CandidateVerdict, ...] = ()
    shadow_hit: CachedAnswer | None = None
    shadow_compression: CompressionResult | None = None
    stale_answer: CachedAnswer | None = None
    needs_revalidation: bool = False
    served_event: Event | None = None
    cohort: str = ""
    learned_threshold: float | None = None
    semantic_disabled: bool = False
    sample_candidate: CachedAnswer | None = None
    sample_of: str = ""
    verdict: Verdict | Literal[""] = ""
    compression: CompressionResult | None = None
    conversation_id: str | None = None
    conversation: ConversationHistory | None = None
    failures: tuple[str, ...] = ()

    body_read_at: float = 0.0
    cache_deadline: float = 0.0
    upstream_body: bytes = b""
    attempts: int = 0
    abandoned: bool = False
    upstream_request_id: str = ""
    upstream_seconds: float = 0.0
    overhead_seconds: float = 0.0
    answer: Answer | None = None
    completion: dict[str, Any] | None = None
    partial_completion: dict[str, Any] | None = None
    streamed_bytes: int = 0
    stream_fault: "CompleteAnswer | ErrorAnswer | None" = None
    usage: Usage = field(default_factory=Usage)
    not_stored_reason: NotStoredReason = ""
    may_be_stored: bool = False
    outcome: Outcome = "ok"
    status: int = 0
    flight: Flight | None = None
    coalesced: bool = False
    stage_times: tuple[StageTime, ...] = ()
    trace: TraceContext | None = None

    def add_failure(self, tool: str) -> "Call":
        """The same call, with one more tool that could not help."""
        return evolve(self, failures=(*self.failures, tool))

    def overhead_until(self, now: float) -> float:
        """Seconds of our own since the body was read, 0 before:
        all that was not the wait for the upstream."""
        return (
            max(0.0, now - self.body_read_at - self.upstream_seconds) if self.body_read_at else 0.0
        )

    @property
    def is_leader(self) -> bool:
        """Whether others may follow this request to its answer."""
        return isinstance(self.client, SharedClient)

    @property
    def client_left(self) -> bool:
        """Whether its client went while the call was kept up for others."""
        return isinstance(self.client, SharedClient) and self.client.client_left

    @property
    def is_in_shadow(self) -> bool:
        """Whether everything is decided and nothing of it done:
        the answer is the upstream's, to the whole chat."""
        return self.plan is not None and self.plan.mode == "shadow"

    @property
    def has_exact_tier(self) -> bool:
        """Whether the plan keeps answers for identical requests."""
        return self.plan is not None and self.plan.cache is not None and self.plan.cache.exact

    @property
    def chat_request(self) -> ChatRequest:
        """The parsed request; only after the parse stage."""
        assert self.request is not None, "parse comes first"  # noqa: S101 -- the chain's order is fixed
        return self.request

    @property
    def resolved_route(self) -> Route:
        """The route; only after the load_plan stage."""
        assert self.route is not None, "load_plan comes first"  # noqa: S101 -- likewise
        return self.route

    @property
    def outgoing_messages(self) -> list[Message]:
        """The messages as they would be sent: cut if something was cut."""
        return (
            self.compression.messages
            if self.compression and self.compression.messages is not None
            else self.chat_request.messages
        )


_BLANK_CALL: Final = Call(request_id="", at=0.0, started_at=0.0, client=NullClient())


def open_call(
    client: Client,
    *,
    request_id: str,
    secret: str | None,
    cache_control: str,
    trace: TraceContext | None,
) -> Call:
    """The call of a request that begins now."""
    # A revised blank: a frozen class sets its seventy fields one by one, which takes five times as
    # long.
    return evolve(
        _BLANK_CALL,
        request_id=request_id,
        at=time.time(),
        started_at=time.monotonic(),
        client=client,
        secret=secret,
        cache_control=cache_control,
        trace=trace,
    )
