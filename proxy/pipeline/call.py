"""One request on its way: `Call`, frozen; every stage hands on a changed copy."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from plans.snapshot import KeySnapshot, PlanSnapshot
from proxy.core.answers import Refused, Stored, Whole
from proxy.core.compression.types import Cut
from proxy.core.config import Directory, Route
from proxy.core.flights import Flight
from proxy.core.formats.chat_completions import ChatRequest
from proxy.core.formats.usage import Usage
from proxy.core.ports import Candidate, Client, UpstreamReply
from proxy.core.prompt_caching.conversations import Known
from proxy.core.quality.holdout import Lot
from proxy.core.trace_context import Trace
from proxy.core.types import Message, Vector
from proxy.core.verification.conversation import Chat
from proxy.pipeline.clients import Led, Nobody
from stats.analysis.error_rate import Verdict
from stats.events import Event, NotKept, Outcome, Tier

__all__ = ["Answer", "Call", "Judged", "Keys", "Live", "open_call", "revise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What was decided about one neighbour. `score`: the verifier's, None when it was not asked; `reason`: against it,
    "" when it is served."""

    entry_id: str
    question: str
    similarity: float
    score: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Live:
    """The provider's answer, still arriving."""

    reply: UpstreamReply


Answer = Stored | Whole | Live | Refused
Timed = tuple[str, float, float]  # a stage, when it began and when it ended, by the monotonic clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Digests under which answers to this request are looked up and stored. `sent`: of the compressed request, when something was cut."""

    scope: str
    exact: str
    sent: str | None = None
    bucket: str | None = None


NOTHING = Directory()
if TYPE_CHECKING:
    from dataclasses import replace as revise
else:

    def revise(call, **changes):
        """The call with these fields changed: `dataclasses.replace`, which would run a constructor of forty fields, 25 times as fast."""
        revised = object.__new__(Call)
        object.__setattr__(revised, "__dict__", {**call.__dict__, **changes})
        return revised


def tenant_of(call: "Call") -> int:
    """Whose request it is; only after the authenticate stage."""
    assert call.key is not None, "authenticate comes first"  # noqa: S101 -- the chain's order is fixed
    return call.key.tenant_id


@dataclass(frozen=True, kw_only=True)  # no slots: `revise` copies the dictionary
class Call:
    """A request and all that was decided about it.

    `directory`: the configuration it began under and finishes on; `raw`: the body until it is
    parsed. Times: `started`, `ready` (body read) and `budget_ends` (no cache work after it) by the
    monotonic clock, `at` in epoch seconds, durations in seconds. `chat`: its id, and `known` what
    was noted of it, under plans that cut when it saves. `window`: the chat, where it is compared as
    a whole. `raised`: the threshold in force around this question, where a hit was said to be
    wrong. `judged`: the neighbours looked at, best first; `would`: the hit that was not served, in
    shadow or as a sample; `would_cut`: what shadow would have cut. `flight`: with whom the answer
    is shared; `collapsed`: another request called for it. `fallback`: an expired answer to this
    very request; `refresh`: it is served and this call is to fetch a new one, which is billed to
    the event of what was `given`. Under an error budget: `basis` (see `proxy.core.quality.cohort`),
    the `threshold` learned, `withheld` while its semantic tier is off; `probe`: the stored answer
    to be compared with the provider's; in the call that does so, `sample_of`: the id of the request
    it samples, and the `verdict`. `withheld_keys`: of a hit in shadow. `lot`: whether it is held
    out, under a plan with a holdout, whose copy here then does nothing. `given_up`: the provider
    had the request and its answer was not heard, so that nobody knows what it bills. `completion`:
    the answer, where it is sound; `partial_completion`: what was understood of another one, to
    count its tokens; `streamed_bytes`: of a stream's chunks, as JSON; `fault`: the error that ended
    a stream, as those get it who asked for a whole answer. `upstream_request_id`: what the provider
    called its call; `not_kept`: why the answer was not stored, "" where it was; `admitted`: it may
    be. `times`: of the stages that sought the answer; `trace`: what it is called in the traces of
    others, where those are exported.
    """

    request_id: str
    at: float
    started: float
    client: Client
    secret: str | None = None
    cache_control: str = ""
    directory: Directory = NOTHING
    key: KeySnapshot | None = None
    raw: bytes = b""
    request: ChatRequest | None = None
    route: Route | None = None
    plan: PlanSnapshot | None = None
    lot: Lot | None = None

    tier: Tier = "bypass"
    reason: str = "no-plan"
    reads: bool = False
    writes: bool = False
    keys: Keys | None = None
    withheld_keys: Keys | None = None
    question: str | None = None
    vector: Vector | None = None
    window: Chat | None = None
    candidates: tuple[Candidate, ...] = ()
    vetoes: tuple[str, ...] = ()
    raised: float = 0.0
    judged: tuple[Judged, ...] = ()
    would: Stored | None = None
    would_cut: Cut | None = None
    fallback: Stored | None = None
    refresh: bool = False
    given: Event | None = None
    basis: str = ""
    threshold: float | None = None
    withheld: bool = False
    probe: Stored | None = None
    sample_of: str = ""
    verdict: Verdict | Literal[""] = ""
    cut: Cut | None = None
    chat: str | None = None
    known: Known | None = None
    failures: tuple[str, ...] = ()

    ready: float = 0.0
    budget_ends: float = 0.0
    outgoing: bytes = b""
    attempts: int = 0
    given_up: bool = False
    upstream_request_id: str = ""
    upstream_seconds: float = 0.0
    overhead_seconds: float = 0.0
    answer: Answer | None = None
    completion: dict[str, Any] | None = None
    partial_completion: dict[str, Any] | None = None
    streamed_bytes: int = 0
    fault: "Whole | Refused | None" = None
    usage: Usage = field(default_factory=Usage)
    not_kept: NotKept = ""
    admitted: bool = False
    outcome: Outcome = "ok"
    status: int = 0
    flight: Flight | None = None
    collapsed: bool = False
    times: tuple[Timed, ...] = ()
    trace: Trace | None = None

    def failed_open(self, tool: str) -> "Call":
        """The same call, with one more tool that could not help."""
        return revise(self, failures=(*self.failures, tool))

    def overhead(self, now: float) -> float:
        """Seconds of our own since the body was read, 0 before: all that was not the wait for the upstream."""
        return max(0.0, now - self.ready - self.upstream_seconds) if self.ready else 0.0

    @property
    def leads(self) -> bool:
        """Whether others may follow this request to its answer."""
        return isinstance(self.client, Led)

    @property
    def left(self) -> bool:
        """Whether its client went while the call was kept up for others."""
        return isinstance(self.client, Led) and self.client.left

    @property
    def in_shadow(self) -> bool:
        """Whether everything is decided and nothing of it done: the answer is the upstream's, to the whole chat."""
        return self.plan is not None and self.plan.mode == "shadow"

    @property
    def exact_tier(self) -> bool:
        """Whether the plan keeps answers for identical requests."""
        return self.plan is not None and self.plan.cache is not None and self.plan.cache.exact

    @property
    def asked(self) -> ChatRequest:
        """The parsed request; only after the parse stage."""
        assert self.request is not None, "parse comes first"  # noqa: S101 -- the chain's order is fixed
        return self.request

    @property
    def target(self) -> Route:
        """The route; only after the load_plan stage."""
        assert self.route is not None, "load_plan comes first"  # noqa: S101 -- likewise
        return self.route

    @property
    def messages(self) -> list[Message]:
        """The messages as they would be sent: cut if something was cut."""
        return self.cut.messages if self.cut and self.cut.messages is not None else self.asked.messages


_BLANK: Final = Call(request_id="", at=0.0, started=0.0, client=Nobody())


def open_call(client: Client, *, request_id: str, secret: str | None, cache_control: str, trace: Trace | None) -> Call:
    """The call of a request that begins now."""
    # A revised blank: a frozen class sets its seventy fields one by one, which takes five times as long.
    return revise(
        _BLANK,
        request_id=request_id,
        at=time.time(),
        started=time.monotonic(),
        client=client,
        secret=secret,
        cache_control=cache_control,
        trace=trace,
    )
