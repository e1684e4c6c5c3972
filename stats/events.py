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


# Not frozen, which would make its forty fields three times as slow to set.
@dataclass(slots=True, kw_only=True)
class Event:
    """One finished request, never changed.

    Token counts are ints, times milliseconds, costs Decimal US dollars or None (unpriced).

    `asked_tokens`: the prompt as the client sent it; `prompt_tokens`/`completion_tokens`: what the
    provider billed (0 on a hit); `cached_tokens`/`written_tokens`: of the prompt, read from and
    written into the provider's prefix cache; `served_tokens`: completion tokens the client
    received. `estimated`: the provider sent no usage. `score`: the verifier's, of the best
    neighbour; `entry_id`: of what was or would have been served, else of what the answer was to be
    stored as; `would`: the tier that would have answered, in shadow or when a hit was sampled;
    `sample`: `right`, `wrong` or `unclear` once the would-be answer was compared with the
    provider's, on terms named by `basis`; `shadow`: the plan only watched, and `would_tokens` and
    `would_saved` are what it would have saved; `collapsed`: it shared the call of an identical
    request in flight; `stale`: an expired answer was served, as the plan allows; `turns`: which
    turn of its chat it was, counted by its user's, 0 where it was not read; `holdout`: the share of
    its plan's chats that were held out then, 0 where no lot was drawn, `replicate` the group that
    its chat fell into, and `size` what it measured before, in dollars. Of a request held out the
    `reason` is `HOLDOUT`. `token_details`: of the tokens those that may have a price of their own,
    by kind; `bill`: where `billed_cost` comes from. `plan` without a `plan_id`: the name that was
    asked for, of a plan that does not exist. `upstream_request_id`: what the provider calls the
    request, "" where it gave it no id; `not_kept`: why its answer was not stored.
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
