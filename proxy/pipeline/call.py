"""`Call`: the frozen state of one request; every stage returns a changed copy."""

import math
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from plans.snapshot import KeySnapshot, PlanSnapshot
from proxy.core.answers import CachedAnswer, CompleteAnswer, ErrorAnswer
from proxy.core.compression.results import CompressionResult
from proxy.core.config import ConfigSnapshot, Route
from proxy.core.flights import Flight
from proxy.core.formats.chat_completions import ChatRequest
from proxy.core.formats.usage import Usage
from proxy.core.ports import Candidate, Client, UpstreamReply
from proxy.core.prompt_caching.conversations import ConversationHistory
from proxy.core.quality.holdout_assignment import HoldoutAssignment
from proxy.core.trace_context import TraceContext
from proxy.core.types import Message, Vector
from proxy.core.upstream_headers import HeaderPairs
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
    """The decision about one candidate of the semantic tier.

    `score`: the verifier's, None if it was not asked; `reason`: why it was rejected, "" if served.
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
# Label of a stage, its begin and its end by the monotonic clock.
StageTime = tuple[str, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheKeys:
    """Digests under which answers to this request are looked up and stored.

    `compressed`: of the compressed request, if compression removed something.
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
        """Return the call with these fields changed."""
        # `dataclasses.replace` would run a constructor of sixty fields; this is 25 times as fast.
        revised = object.__new__(Call)
        object.__setattr__(revised, "__dict__", {**call.__dict__, **changes})
        return revised


def get_tenant_id(call: "Call") -> int:
    """Return the tenant of the request; only after the authenticate stage."""
    assert call.key is not None, "authenticate comes first"  # noqa: S101 -- the chain's order is fixed
    return call.key.tenant_id


@dataclass(frozen=True, kw_only=True)  # no slots: `evolve` copies the dictionary
class Call:
    """A request and everything decided about it.

    Times are seconds: `started_at`, `body_read_at` and `cache_deadline` by the monotonic clock,
    `at` since the epoch, the rest durations.
    """

    request_id: str
    at: float
    started_at: float
    client: Client
    secret: str | None = None
    cache_control: str = ""
    # The plan that a header names; "": none.
    plan_header: str = ""
    # Of the client. `passable_headers`: those that some upstream is sent; `forwarded_headers`:
    # those that this one is.
    headers: Collection[tuple[bytes, bytes]] = ()
    passable_headers: HeaderPairs = ()
    forwarded_headers: HeaderPairs = ()
    # The configuration that the call began under and finishes on.
    config: ConfigSnapshot = EMPTY_CONFIG
    key: KeySnapshot | None = None
    # The body until it is parsed.
    raw_body: bytes = b""
    request: ChatRequest | None = None
    route: Route | None = None
    plan: PlanSnapshot | None = None
    # The holdout assignment, under a plan with a holdout. If the request is held out, `plan` is a
    # copy that does nothing.
    holdout: HoldoutAssignment | None = None

    tier: Tier = "bypass"
    reason: str = "no-plan"
    reads_cache: bool = False
    writes_cache: bool = False
    cache_keys: CacheKeys | None = None
    # The keys of a hit in shadow mode.
    shadow_keys: CacheKeys | None = None
    question: str | None = None
    vector: Vector | None = None
    # The turns, if the plan compares the conversation as a whole.
    window: ChatTurns | None = None
    candidates: tuple[Candidate, ...] = ()
    vetoes: tuple[str, ...] = ()
    # By the monotonic clock; past it no reading waits for those of other requests.
    reading_deadline: float = math.inf
    # The threshold around this question after a hit near it was reported as wrong.
    feedback_threshold: float = 0.0
    # The candidates that were checked, best first.
    candidate_verdicts: tuple[CandidateVerdict, ...] = ()
    # The hit that was not served, in shadow mode or as a sample; what shadow mode would have
    # compressed.
    shadow_hit: CachedAnswer | None = None
    shadow_compression: CompressionResult | None = None
    # An expired answer to this very request. `needs_revalidation`: it is served and this call
    # fetches a fresh one, billed to `served_event`, the event of the served answer.
    stale_answer: CachedAnswer | None = None
    needs_revalidation: bool = False
    served_event: Event | None = None
    # Under an error budget: the cohort (`proxy.core.quality.cohort`), the threshold learned from
    # its samples, and whether its semantic tier is off.
    cohort: str = ""
    learned_threshold: float | None = None
    semantic_disabled: bool = False
    # The stored answer to be compared with the provider's. In the call that does so, `sample_of` is
    # the id of the sampled request and `verdict` the outcome.
    sample_candidate: CachedAnswer | None = None
    sample_of: str = ""
    verdict: Verdict | Literal[""] = ""
    compression: CompressionResult | None = None
    # Under plans that compress only if it saves: the conversation and what is stored about it.
    conversation_id: str | None = None
    conversation: ConversationHistory | None = None
    failures: tuple[str, ...] = ()

    body_read_at: float = 0.0
    # No cache work after this.
    cache_deadline: float = 0.0
    upstream_body: bytes = b""
    attempts: int = 0
    # The provider had the request but its answer was not read, so what it bills is unknown.
    abandoned: bool = False
    # The provider's id of the request.
    upstream_request_id: str = ""
    upstream_seconds: float = 0.0
    overhead_seconds: float = 0.0
    answer: Answer | None = None
    # The answer if it is sound; `partial_completion` is what was understood of any answer, to count
    # its tokens.
    completion: dict[str, Any] | None = None
    partial_completion: dict[str, Any] | None = None
    # Bytes of a stream's chunks as JSON, and the error that ended a stream, for followers that
    # asked for a whole answer.
    streamed_bytes: int = 0
    stream_fault: "CompleteAnswer | ErrorAnswer | None" = None
    usage: Usage = field(default_factory=Usage)
    # Why the answer was not stored; "" if it was.
    not_stored_reason: NotStoredReason = ""
    may_be_stored: bool = False
    outcome: Outcome = "ok"
    status: int = 0
    # With whom the answer is shared. `coalesced`: another request made the upstream call.
    flight: Flight | None = None
    coalesced: bool = False
    # Of the stages that looked for the answer.
    stage_times: tuple[StageTime, ...] = ()
    # The trace context sent upstream, if traces are exported.
    trace: TraceContext | None = None

    def add_failure(self, tool: str) -> "Call":
        """Return the call with one more unavailable tool in `failures`."""
        return evolve(self, failures=(*self.failures, tool))

    def overhead_until(self, now: float) -> float:
        """Return the seconds since the body was read, without those spent on the upstream."""
        return (
            max(0.0, now - self.body_read_at - self.upstream_seconds) if self.body_read_at else 0.0
        )

    @property
    def is_leader(self) -> bool:
        """Whether other requests may follow this one to its answer."""
        return isinstance(self.client, SharedClient)

    @property
    def client_left(self) -> bool:
        """Whether the leader's client disconnected while the call went on for its followers."""
        return isinstance(self.client, SharedClient) and self.client.client_left

    @property
    def is_in_shadow(self) -> bool:
        """Whether the plan is in shadow mode: everything is decided and nothing of it applied."""
        return self.plan is not None and self.plan.mode == "shadow"

    @property
    def has_exact_tier(self) -> bool:
        """Whether the plan stores answers for identical requests."""
        return self.plan is not None and self.plan.cache is not None and self.plan.cache.exact

    @property
    def chat_request(self) -> ChatRequest:
        """The parsed request; only after the parse stage."""
        assert self.request is not None, "parse comes first"  # noqa: S101 -- the chain's order is fixed
        return self.request

    @property
    def asked_plan(self) -> str | None:
        """The plan that the body names, else the header; None if neither does."""
        named = self.request.plan_name if self.request else None
        return named if named is not None else self.plan_header or None

    @property
    def resolved_route(self) -> Route:
        """The route; only after the load_plan stage."""
        assert self.route is not None, "load_plan comes first"  # noqa: S101 -- likewise
        return self.route

    @property
    def outgoing_messages(self) -> list[Message]:
        """The messages to be sent: the compressed ones if compression removed something."""
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
    plan_header: str,
    headers: Collection[tuple[bytes, bytes]],
    trace: TraceContext | None,
) -> Call:
    """Create the call of a request that begins now."""
    # Evolved from a blank call: the constructor of a frozen class sets its sixty fields one by
    # one, which takes five times as long.
    return evolve(
        _BLANK_CALL,
        request_id=request_id,
        at=time.time(),
        started_at=time.monotonic(),
        client=client,
        secret=secret,
        cache_control=cache_control,
        plan_header=plan_header,
        headers=headers,
        trace=trace,
    )
