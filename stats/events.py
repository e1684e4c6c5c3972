"""What is recorded of a request and of a cached answer. Pure."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal

# What one finished request was worth, and how many of them add up. Pure.
#
# Columns never mix: *billed* is what the provider charged, *served* is what the client got, *saved*
# is the difference to what the same request would have cost without a plan.

# A sample is no request: a stored answer compared with the provider's, in a row of its own. So is
# what a judge model was asked about it: those rows are of the same tier, have `JUDGE` for their
# reason and no `basis`, and their `sample` is what the judge said.
Tier = Literal["exact", "semantic", "miss", "bypass", "sample"]
JUDGE_REASON: Final = "judge"
UNKNOWN_PLAN_REASON: Final = "unknown-plan"
# The reason of a request that went without its plan, to measure what the plan saves.
HOLDOUT_REASON: Final = "holdout"
Outcome = Literal["ok", "refused", "upstream_error", "cut", "client_closed", "failed"]
# Where the bill of a request comes from: the price list, what the provider says it charged;
# "unknown" where the provider was asked and its answer never heard, "" where nobody was asked.
BillSource = Literal["", "list", "charged", "unknown"]
# Why an answer that a plan could have kept was not stored; "" where it was, or where nothing was to
# be stored.
NotStoredReason = Literal[
    "",
    "status",
    "no-answer",
    "refusal",
    "finish-reason",
    "invalid-json",
    "schema",
    "tool-calls",
    "no-tool-call",
    "tool-arguments",
    "not-understood",
    "stream-cut",
    "too-large",
]
MAX_PLAN_NAME_LENGTH: Final = 64
MAX_UPSTREAM_REQUEST_ID_LENGTH: Final = 200


# The columns of the ledger, in the order of a request's page.

RecordSection = Literal["", "Asked", "Decided", "Tokens", "Money", "Time"]
ColumnKind = Literal["text", "count", "dollars", "milliseconds", "score", "flag", "time", "other"]
# Which requests a roll-up adds: all, those with a price, or those and what failed ones cost.
SumCondition = Literal["", "all", "priced", "billed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerColumn:
    """One column of the ledger: what it means, where it is shown, how it is summed."""

    name: str
    kind: ColumnKind
    # For docs/ledger.md.
    meaning: str
    # Of the request's page; "": the column is not shown by itself.
    section: RecordSection = ""
    label: str = ""
    explanation: str = ""
    # Left out of the page where it is empty.
    is_optional: bool = False
    summed: SumCondition = ""


LEDGER_COLUMNS: Final = (
    LedgerColumn(name="event_id", kind="text", meaning="the `x-request-id` of the reply, a UUIDv7"),
    LedgerColumn(
        name="at", kind="time", section="Asked", label="Made", meaning="when the request came"
    ),
    LedgerColumn(name="tenant_id", kind="count", meaning="the tenant; null before it is known"),
    LedgerColumn(
        name="tenant", kind="text", section="Asked", label="Tenant", meaning="its short name then"
    ),
    LedgerColumn(name="key_id", kind="count", meaning="the virtual key"),
    LedgerColumn(name="key", kind="text", section="Asked", label="Key", meaning="its name then"),
    LedgerColumn(
        name="plan_id", kind="count", meaning="the plan; null: none, or one that does not exist"
    ),
    LedgerColumn(
        name="plan",
        kind="text",
        section="Asked",
        label="Plan",
        meaning="its name then, or the name that was asked for",
    ),
    LedgerColumn(
        name="plan_version", kind="count", meaning="the version that the request began with"
    ),
    LedgerColumn(
        name="route",
        kind="text",
        section="Asked",
        label="Route",
        explanation="the model name that the client asked for, or the wildcard that serves it",
        meaning="the model name that the client asked for, or the wildcard that serves it",
    ),
    LedgerColumn(name="upstream", kind="text", meaning="the upstream of the route"),
    LedgerColumn(
        name="model",
        kind="text",
        section="Asked",
        label="Model",
        explanation="who would answer it, and is paid",
        meaning="the model's name at the upstream",
    ),
    LedgerColumn(
        name="stream",
        kind="flag",
        section="Asked",
        label="Shape",
        meaning="whether the client asked for a stream",
    ),
    LedgerColumn(
        name="turns",
        kind="count",
        section="Asked",
        label="Turn",
        explanation="which of its chat's, counted by the user's; – where it was not read",
        meaning="which turn of its chat it was, counted by the user's; 0: not read",
    ),
    LedgerColumn(
        name="outcome",
        kind="text",
        section="Decided",
        label="Outcome",
        meaning="how the request ended",
    ),
    LedgerColumn(
        name="status",
        kind="count",
        meaning="the HTTP status of the reply; 499: the client left before it",
    ),
    LedgerColumn(
        name="error_code", kind="text", meaning="the code of the error, ours or the provider's"
    ),
    LedgerColumn(
        name="tier",
        kind="text",
        section="Decided",
        label="Tier",
        meaning=(
            "what answered: `exact`, `semantic`, `miss`, `bypass`; `sample`: no request of a client"
        ),
    ),
    LedgerColumn(
        name="reason",
        kind="text",
        section="Decided",
        label="Reason",
        meaning="why a stored answer was not served, or an expired one was",
    ),
    LedgerColumn(
        name="similarity",
        kind="score",
        section="Decided",
        label="Similarity",
        explanation="the cosine of the nearest stored question",
        meaning="the cosine of the nearest stored question",
    ),
    LedgerColumn(
        name="score",
        kind="score",
        section="Decided",
        label="Score",
        explanation=(
            "the verifier's; the plan's threshold is compared with it under match: verified"
        ),
        meaning="the verifier's score of it",
    ),
    LedgerColumn(
        name="entry_id",
        kind="text",
        section="Decided",
        label="Stored answer",
        meaning=(
            "the stored answer that was served or would have been, else what the answer was to be "
            "stored as"
        ),
    ),
    LedgerColumn(
        name="failures",
        kind="other",
        section="Decided",
        label="Went on without",
        explanation="tools that did not answer in time",
        meaning="the caches and tools that did not answer in time",
    ),
    LedgerColumn(
        name="not_kept",
        kind="text",
        section="Decided",
        label="Not kept",
        is_optional=True,
        meaning="why the answer was not stored",
    ),
    LedgerColumn(
        name="upstream_request_id",
        kind="text",
        section="Decided",
        label="Provider's id",
        explanation="of this request: its support asks for it",
        is_optional=True,
        meaning="the provider's own id of the request",
    ),
    LedgerColumn(
        name="would",
        kind="text",
        section="Decided",
        label="Would have been",
        explanation="the tier that would have answered",
        is_optional=True,
        meaning="the tier that would have answered, in shadow or where a hit was sampled",
    ),
    LedgerColumn(
        name="sample",
        kind="text",
        section="Decided",
        label="Sample",
        explanation="the stored answer, compared with the provider's",
        is_optional=True,
        meaning="`right`, `wrong` or `unclear`: the stored answer beside the provider's",
    ),
    LedgerColumn(name="basis", kind="text", meaning="the terms that the sample counts under"),
    LedgerColumn(name="shadow", kind="flag", meaning="the plan only watched"),
    LedgerColumn(
        name="would_tokens",
        kind="count",
        summed="all",
        meaning="the tokens that the plan would have saved, in shadow",
    ),
    LedgerColumn(
        name="would_saved",
        kind="dollars",
        summed="priced",
        meaning="the US dollars that the plan would have saved, in shadow",
    ),
    LedgerColumn(
        name="wrong",
        kind="flag",
        section="Decided",
        label="Reported",
        explanation="somebody said so of the answer",
        is_optional=True,
        meaning="somebody reported the stored answer as wrong, afterwards",
    ),
    LedgerColumn(
        name="collapsed",
        kind="flag",
        meaning="it shared the call of an identical request in flight",
    ),
    LedgerColumn(
        name="stale",
        kind="flag",
        section="Decided",
        label="Age",
        explanation="served all the same, as the plan allows",
        is_optional=True,
        meaning="an expired answer was served",
    ),
    LedgerColumn(
        name="engine",
        kind="text",
        section="Decided",
        label="Compressed by",
        is_optional=True,
        meaning="the compression engine, if the prompt was compressed",
    ),
    LedgerColumn(
        name="note",
        kind="text",
        section="Decided",
        label="Note",
        is_optional=True,
        meaning="what compression did, or what a sample is of",
    ),
    LedgerColumn(
        name="holdout",
        kind="score",
        meaning="the share of chats that the plan held out then; 0: no lot was drawn",
    ),
    LedgerColumn(
        name="replicate", kind="count", meaning="the group of chats that the lot put it into"
    ),
    LedgerColumn(
        name="size", kind="score", meaning="its chat's size before the lot, in US dollars"
    ),
    LedgerColumn(
        name="asked_tokens",
        kind="count",
        section="Tokens",
        label="Asked",
        explanation="the prompt as the client sent it",
        summed="all",
        meaning="the prompt as the client sent it",
    ),
    LedgerColumn(
        name="prompt_tokens",
        kind="count",
        section="Tokens",
        label="Sent",
        summed="all",
        meaning="the prompt that the provider billed; 0 on a hit",
    ),
    LedgerColumn(
        name="estimated",
        kind="flag",
        meaning="the provider reported no usage: tokens are counted by the gateway",
    ),
    LedgerColumn(
        name="cached_tokens",
        kind="count",
        section="Tokens",
        label="Read from prefix cache",
        explanation="of those sent, at the provider's lower price",
        summed="all",
        meaning="of the prompt, read from the provider's prefix cache",
    ),
    LedgerColumn(
        name="written_tokens",
        kind="count",
        section="Tokens",
        label="Written to prefix cache",
        summed="all",
        meaning="of the prompt, written into it",
    ),
    LedgerColumn(
        name="completion_tokens",
        kind="count",
        section="Tokens",
        label="Completion billed",
        explanation="what the model thought and nobody saw included",
        summed="all",
        meaning="the completion that the provider billed, reasoning included",
    ),
    LedgerColumn(
        name="token_details",
        kind="other",
        section="Tokens",
        meaning="of the tokens those that may have a price of their own, by kind",
    ),
    LedgerColumn(
        name="served_tokens",
        kind="count",
        section="Tokens",
        label="Completion served",
        explanation="what the client received",
        summed="all",
        meaning="the completion that the client received",
    ),
    LedgerColumn(
        name="tokens_saved",
        kind="count",
        section="Tokens",
        label="Saved",
        explanation="prompt and completion that nobody billed",
        summed="all",
        meaning="prompt and completion that nobody billed",
    ),
    LedgerColumn(
        name="would_cost",
        kind="dollars",
        section="Money",
        label="Would have cost",
        explanation="without a plan; – where the model has no price",
        summed="priced",
        meaning="what the request would have cost without a plan; null: no price",
    ),
    LedgerColumn(
        name="billed_cost",
        kind="dollars",
        section="Money",
        label="Billed",
        summed="billed",
        meaning="what the provider charges; null: unknown",
    ),
    LedgerColumn(name="bill", kind="text", meaning="where that comes from, see above"),
    LedgerColumn(
        name="spent_cost",
        kind="dollars",
        section="Money",
        label="Spent on saving",
        explanation="embedding, sampling, judging",
        summed="priced",
        meaning="what was spent on saving: embedding, sampling, judging",
    ),
    LedgerColumn(
        name="duration_ms",
        kind="milliseconds",
        section="Time",
        label="Until the last byte",
        meaning="until the last byte",
    ),
    LedgerColumn(
        name="upstream_ms",
        kind="milliseconds",
        section="Time",
        label="Of it the provider's",
        meaning="of it, the provider's",
    ),
    LedgerColumn(
        name="overhead_ms",
        kind="milliseconds",
        section="Time",
        label="Of it the gateway's",
        meaning="of it, the gateway's",
    ),
    LedgerColumn(
        name="attempts",
        kind="count",
        section="Time",
        label="Calls to the provider",
        explanation="more than one: it was tried again, or elsewhere",
        meaning="calls to the provider",
    ),
)
# Written afterwards, into the row alone.
LATER_COLUMNS: Final = frozenset({"wrong"})


# Not frozen, which would make its forty fields three times as slow to set.
@dataclass(slots=True, kw_only=True)
class Event:
    """One finished request, never changed.

    Token counts are ints, times milliseconds, costs Decimal US dollars or None (unpriced). What
    each is says `LEDGER_COLUMNS`. Of a request held out the `reason` is `HOLDOUT_REASON`.
    """

    event_id: str
    at: float
    tenant_id: int | None = None
    tenant: str = ""
    key_id: int | None = None
    key: str = ""
    plan_id: int | None = None
    plan: str = ""
    plan_version: int | None = None
    route: str = ""
    upstream: str = ""
    model: str = ""
    stream: bool = False
    status: int = 200
    outcome: Outcome = "ok"
    error_code: str = ""
    tier: Tier = "bypass"
    reason: str = ""
    similarity: float | None = None
    score: float | None = None
    entry_id: str = ""
    would: str = ""
    sample: str = ""
    shadow: bool = False
    would_tokens: int = 0
    would_saved: Decimal | None = None
    basis: str = ""
    collapsed: bool = False
    stale: bool = False
    turns: int = 0
    holdout: float = 0.0
    replicate: int = 0
    size: float = 0.0
    failures: tuple[str, ...] = ()
    not_kept: NotStoredReason = ""
    attempts: int = 0
    upstream_request_id: str = ""
    engine: str = ""
    note: str = ""
    asked_tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    completion_tokens: int = 0
    token_details: dict[str, int] = field(default_factory=dict)
    served_tokens: int = 0
    tokens_saved: int = 0
    estimated: bool = False
    bill: BillSource = ""
    would_cost: Decimal | None = None
    billed_cost: Decimal | None = None
    spent_cost: Decimal = Decimal(0)
    duration_ms: float = 0.0
    upstream_ms: float = 0.0
    overhead_ms: float = 0.0

    @property
    def cost_saved(self) -> Decimal | None:
        """Would have cost, less billed, less spent on saving.

        None when the model has no price. It may be negative.
        """
        if self.would_cost is None or self.billed_cost is None:
            return None
        return self.would_cost - self.billed_cost - self.spent_cost

    @property
    def is_counted(self) -> bool:
        """Whether the request is one of the plan's `total_requests`: it named a plan that was
        found, finished 2xx, and the plan did more than watch. A sample is nobody's request."""
        finished = self.plan_id is not None and 200 <= self.status < 300 and self.outcome == "ok"
        return finished and not self.shadow and self.tier != "sample"


@dataclass(frozen=True, slots=True)
class Attempt:
    """Written before an upstream call starts, so that a killed worker leaves a trace:
    started, never settled."""

    event_id: str
    at: float
    tenant_id: int | None
    upstream: str
    model: str
    plan_id: int | None = None


def compute_hit_rate(hits: int, total: int) -> float:
    """Hits over requests, 0.0 when there are none, rounded to four places."""
    return round(hits / total, 4) if total else 0.0


# What is known of an answer that a cache keeps, so that it can be found again by whose and what it
# is; none of its text.


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntryRecord:
    """One stored answer, written before the answer itself. `sent`: the second exact key, of the
    compressed request, "" without one; `route`: the model's name as clients say it; `end_user`: a
    digest (`proxy.core.caching.cache_keys`), "" when the request named nobody; `backend`: the
    semantic cache that has it, "" for none; `exact`: whether the exact tier has it; `bytes`: in all
    of them together; times in epoch seconds."""

    entry_id: str
    sent: str
    tenant_id: int
    tenant: str
    plan_id: int
    plan: str
    route: str
    namespace: str
    end_user: str
    backend: str
    exact: bool
    bytes: int
    created_at: float
    expires_at: float


# What is kept of a request for a few days, so that another plan can be tried on it: which requests
# are one and the same, and how near their questions are. None of its text.


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFingerprint:
    """`asked`: 32 hex characters of the exact key, the same for identical requests; `bucket`:
    likewise of what must be identical for questions to be compared, "" where they are not;
    `end_user`: a digest (`proxy.core.caching.cache_keys`), "" for nobody; `vector`: of the
    question, base64 of one signed byte a dimension, "" where it was not embedded. `at` in epoch
    seconds."""

    event_id: str
    at: float
    tenant_id: int
    plan_id: int
    key_id: int
    asked: str
    bucket: str
    end_user: str
    vector: str
