"""The shapes of statistics that the OpenAPI document shows."""

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from stats.analysis.holdout import Measurement
from stats.quality.error_budget import PlanBudget
from stats.reports.filters import Asked
from stats.reports.rows import Row, RowSerializer
from stats.reports.selectors import Reasons
from stats.reports.totals import Totals

# The measured saving as JSON, and its shape in the OpenAPI document.


class RangeSerializer(serializers.Serializer[Any]):
    """A figure with its interval of 95 %."""

    value = serializers.FloatField(help_text="The estimate.")
    low = serializers.FloatField(help_text="Lower bound of its 95 % interval.")
    high = serializers.FloatField(help_text="Upper bound of its 95 % interval.")


class HoldoutSerializer(serializers.Serializer[Any]):
    """What the plan saved by measurement: requests with it beside chats held out at random.

    Of whole days (UTC).
    """

    held = serializers.IntegerField(help_text="Priced requests that were held out.")
    treated = serializers.IntegerField(
        help_text="Priced requests with the plan, made while some chats were held out."
    )
    unpriced = serializers.IntegerField(
        help_text="Requests of either kind whose model has no price: in no figure here."
    )
    share = RangeSerializer(
        allow_null=True,
        help_text=(
            "Saved, as a share of what the requests with the plan would have cost without it. "
            "null: too little data."
        ),
    )
    dollars = RangeSerializer(allow_null=True, help_text="The same in US dollars.")
    needed = serializers.IntegerField(
        help_text="Further requests that must be held out before there is a figure."
    )
    needed_requests = serializers.IntegerField(
        help_text="About as many requests in all, at the present share."
    )
    modelled_share = serializers.FloatField(
        allow_null=True, help_text="The modelled saving of the same requests, as a share."
    )
    modelled_dollars = serializers.FloatField(allow_null=True, help_text="The same in US dollars.")
    disagrees = serializers.BooleanField(
        help_text="The modelled saving lies outside the measured interval."
    )


def holdout_body(found: Measurement | None) -> dict[str, Any] | None:
    """`HoldoutSerializer`'s shape; None where nothing is held out."""
    return None if found is None else asdict(found) | {"disagrees": found.disagrees}


# The statistics of a plan as JSON, and their shape in the OpenAPI document.

NARROW = "Not kept by key, route or model: null where one is asked for."
USD = "US dollars as text, exact to the last digit; null when nothing had a price."


def _usd(text: str = "") -> serializers.CharField:
    return serializers.CharField(allow_null=True, help_text=f"{text} {USD}".strip())


def _count(text: str) -> serializers.IntegerField:
    return serializers.IntegerField(help_text=text)


def _reasons(text: str = "") -> serializers.DictField:
    return serializers.DictField(
        child=serializers.IntegerField(), allow_null=True, help_text=f"{text} {NARROW}".strip()
    )


class HitsSerializer(serializers.Serializer[Any]):
    exact = _count("Answered with the stored answer of an identical request.")
    semantic = _count("Answered with the stored answer of a question that means the same.")
    collapsed = serializers.IntegerField(
        allow_null=True,
        help_text=f"Of the exact ones: joined an identical request already in flight. {NARROW}",
    )
    stale = _count("Of the exact ones: an expired answer was served, as the plan allows.")


class TokensSerializer(serializers.Serializer[Any]):
    asked = _count("Prompts as the clients sent them.")
    sent = _count("Prompts as the provider billed them.")
    cached = _count("Of those sent: billed at the provider's cached price.")
    written = _count(
        "Of those sent: billed at the provider's price for writing into its prefix cache."
    )
    completion = _count("Completions the provider billed.")
    served = _count("Completions the clients received.")
    saved_exact = _count("Tokens saved by exact hits.")
    saved_semantic = _count("Tokens saved by semantic hits.")
    saved_compression = _count("Tokens saved by compression.")


class CostSerializer(serializers.Serializer[Any]):
    would = _usd("What the same requests would have cost without a plan.")
    billed = _usd("What the provider charges.")
    spent = _usd("Spent on saving: the next two.")
    spent_samples = _usd("Of that: samples and calls of a judge model.")
    spent_embeddings = _usd("Of that: embeddings; 0, as embedders run in the gateway.")
    saved_exact = _usd("Saved by exact hits.")
    saved_semantic = _usd("Saved by semantic hits.")
    saved_compression = _usd("Saved by compression.")
    billed_failed = _usd(
        "What the provider charges for requests that failed or broke off: in none "
        "of the other sums."
    )


class PercentilesSerializer(serializers.Serializer[Any]):
    p50 = serializers.FloatField(help_text="Median, in milliseconds.")
    p99 = serializers.FloatField(help_text="99th percentile, in milliseconds.")


class LatencySerializer(serializers.Serializer[Any]):
    """Milliseconds; null where nothing was measured."""

    exact = PercentilesSerializer(allow_null=True, help_text="Exact hits.")
    semantic = PercentilesSerializer(allow_null=True, help_text="Semantic hits.")
    hit = PercentilesSerializer(allow_null=True, help_text="Hits of both tiers.")
    miss = PercentilesSerializer(allow_null=True, help_text="Misses, the upstream's time included.")
    miss_added = PercentilesSerializer(
        allow_null=True, help_text="What the gateway added to a miss."
    )


class WouldHaveSerializer(serializers.Serializer[Any]):
    """What the plan would have done to the requests it only watched (mode shadow):
    in none of the other numbers."""

    requests = _count("Requests under mode shadow that finished with 2xx.")
    exact = _count("Would have been answered with the stored answer of an identical request.")
    semantic = _count(
        "Would have been answered with the stored answer of a question that means the same."
    )
    hit_rate = serializers.FloatField(
        help_text="Both tiers over requests, four places; 0 without requests."
    )
    tokens_saved = _count(
        "Of those hits, all that the provider billed; of the others, what "
        "compression would have removed."
    )
    cost_saved_usd = _usd(
        "The price of these tokens: of a hit as billed, of a compressed prompt at list price."
    )
    billed_usd = _usd("What the provider charges for the requests watched.")


class TenantBudgetSerializer(serializers.Serializer[Any]):
    """The error budget as one tenant keeps to it:
    who uses a plan turns its semantic tier off for itself alone."""

    tenant = serializers.CharField(help_text="Its slug.")
    samples = _count("Stored answers compared for this tenant.")
    wrong = _count("Stored answers found wrong.")
    unclear = _count("Neither right nor wrong for certain.")
    wrong_rate = serializers.FloatField(allow_null=True, help_text="wrong / (samples - unclear).")
    lower = serializers.FloatField(help_text="Lower Wilson bound of the rate, 95 %.")
    upper = serializers.FloatField(help_text="Upper Wilson bound of the rate, 95 %.")
    threshold = serializers.FloatField(help_text="The threshold in force for this tenant.")
    semantic_tier = serializers.ChoiceField(
        choices=("on", "off"), help_text="Whether it serves this tenant."
    )
    reason = serializers.CharField(
        allow_blank=True, help_text="Why it is off: error-budget, one-answer or hit-rate."
    )
    detail = serializers.CharField(allow_blank=True, help_text="The same in a sentence.")
    off_since = serializers.DateTimeField(allow_null=True, help_text="When it was turned off.")
    measured_since = serializers.DateTimeField(
        allow_null=True, help_text="When a person turned it on again, if ever."
    )


class ErrorBudgetSerializer(serializers.Serializer[Any]):
    """How often answers reused by meaning were wrong, by those that the provider was asked for too.

    Bounds: Wilson, 95 %. Of all tenants that use the plan together, as far as they are in sight;
    off where it is off for one.
    """

    max_error_rate = serializers.FloatField(help_text="The plan's cache.max_error_rate.")
    sample_rate = serializers.FloatField(help_text="The plan's cache.sample_rate.")
    samples = _count(
        "Stored answers compared under the plan's present settings: of the last 30 days, the "
        "newest 2,000 (more for budgets below 0.005)."
    )
    wrong = _count("Of those: stored answers found wrong.")
    unclear = _count(
        "Of those: neither for certain. They count as right in the lower bound, as wrong in the "
        "upper."
    )
    wrong_rate = serializers.FloatField(allow_null=True, help_text="wrong / (samples - unclear).")
    lower = serializers.FloatField(help_text="Lower Wilson bound of the rate, 95 %.")
    upper = serializers.FloatField(help_text="Upper Wilson bound of the rate, 95 %.")
    still_needed = _count(
        "Samples until the upper bound is within the budget, if all of them are right."
    )
    vouched = serializers.BooleanField(help_text="The upper bound is within the budget.")
    threshold = serializers.FloatField(
        help_text=(
            "The threshold in force: the plan's, or the one learned from samples; the highest of "
            "all tenants."
        )
    )
    plan_threshold = serializers.FloatField(help_text="The plan's cache.similarity_threshold.")
    number = serializers.ChoiceField(
        choices=("score", "cosine"),
        help_text="What the thresholds are compared with: the verifier's score, or the cosine.",
    )
    semantic_tier = serializers.ChoiceField(
        choices=("on", "off"), help_text="off: it is off for at least one tenant."
    )
    reason = serializers.CharField(
        allow_blank=True, help_text="Why it is off: error-budget, one-answer or hit-rate."
    )
    detail = serializers.CharField(allow_blank=True, help_text="The same in a sentence.")
    off_since = serializers.DateTimeField(allow_null=True, help_text="When it was turned off.")
    measured_since = serializers.DateTimeField(
        allow_null=True, help_text="When a person turned the tier on again, if ever."
    )
    sampling_calls = _count(
        "Samples that cost a call to the provider; the others were answered by it anyway."
    )
    judge_model = serializers.CharField(
        allow_null=True, help_text="The plan's cache.judge_model; null: rules decide."
    )
    judge_calls = _count("Samples for which a verdict of the judge model was due.")
    judge_failures = _count(
        "Of those: the call failed, the route does not exist or is not allowed for the key, or the "
        "reply was not a verdict."
    )
    spent_usd = _usd("What measuring cost, the judge's calls included.")
    tenants = TenantBudgetSerializer(
        many=True, help_text="Each tenant with samples, 100 at most, those that are off first."
    )


class PeriodSerializer(serializers.Serializer[Any]):
    """What the numbers are of: whole minutes (UTC), the end not included."""

    def get_fields(self) -> dict[str, Any]:
        """Not as attributes: `from` is a word of Python's."""
        return {
            "from": serializers.DateTimeField(help_text="Its first moment."),
            "to": serializers.DateTimeField(help_text="Its end, not included."),
        }


class DetailSerializer(serializers.Serializer[Any]):
    period = PeriodSerializer(allow_null=True, help_text="null: everything so far.")
    series = RowSerializer(
        many=True,
        allow_null=True,
        help_text="With `granularity`: one row for each step; by group too with `group_by`.",
    )
    groups = RowSerializer(
        many=True,
        allow_null=True,
        help_text="With `group_by`: one row for each group, those that lost money first.",
    )
    hits = HitsSerializer(help_text="Answered from a cache.")
    misses = _count("Requests looked up and not found.")
    miss_reasons = _reasons("Why a similar stored question was not served.")
    bypassed = _count("Requests that no cache was asked about.")
    bypass_reasons = _reasons("Why they were not looked up.")
    failed = _count(
        "Requests that named the plan and were refused, failed or broken off: in none of "
        "the other numbers."
    )
    outcome_unknown = _count(
        "Sent upstream by a worker that was killed before the answer was recorded: in none of "
        "the other numbers."
    )
    compressed_requests = _count("Requests whose prompt was compressed.")
    streamed_requests = _count("Requests answered as a stream.")
    unpriced_requests = _count("Requests of a model without a price: in no sum of money.")
    unpriced_models = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="Models without a price, with the number of their requests.",
    )
    estimated_requests = _count(
        "Requests without usage from the provider: tokens counted by the gateway."
    )
    bill_unknown_requests = _count(
        "Calls given up before their answer (a timeout, a client that left): what they "
        "cost is in no sum."
    )
    tool_failures = _reasons("Requests that went on without a cache or another tool.")
    would_have = WouldHaveSerializer(help_text="Requests under mode shadow.")
    tokens = TokensSerializer(help_text="Tokens.")
    cost_usd = CostSerializer(help_text="US dollars.")
    latency_ms = LatencySerializer(help_text="Milliseconds; null where nothing was measured.")
    error_budget = ErrorBudgetSerializer(allow_null=True, help_text="null: the plan has none.")
    holdout = HoldoutSerializer(allow_null=True, help_text=f"null: nothing is held out. {NARROW}")
    first_request_at = serializers.DateTimeField(
        allow_null=True, help_text="When the first of these requests was made."
    )
    last_request_at = serializers.DateTimeField(
        allow_null=True, help_text="When the last of these requests was made."
    )


class PlanStatsSerializer(serializers.Serializer[Any]):
    """What a plan saved since it was made. A tenant sees its own requests only."""

    total_requests = _count("Requests that named the plan and finished with 2xx.")
    cache_hits = _count("Exact and semantic hits.")
    cache_hit_rate = serializers.FloatField(
        help_text="cache_hits / total_requests, four places; 0 without requests."
    )
    tokens_saved = _count(
        "Tokens of prompts as the clients sent them and of completions served, less those that the "
        "provider billed."
    )
    cost_saved_usd = serializers.FloatField(
        allow_null=True,
        help_text=(
            "Would have cost, less billed, less spent on saving. May be negative; null when "
            "nothing had a price."
        ),
    )
    detail = DetailSerializer(help_text="Everything else.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a reply says.

    `reasons`: None where they are not kept; `asked`: None for everything so far.
    """

    totals: Totals
    reasons: Reasons | None
    unpriced: dict[str, int]
    outcome_unknown: int
    budget: PlanBudget | None = None
    holdout: Measurement | None = None
    asked: Asked | None = None
    series: list[Row] | None = None
    groups: list[Row] | None = None


def stats_body(found: Found) -> dict[str, Any]:
    """The reply: `PlanStatsSerializer`'s shape."""
    totals, reasons = found.totals, found.reasons
    return {
        "total_requests": totals.requests,
        "cache_hits": totals.hits,
        "cache_hit_rate": totals.hit_rate,
        "tokens_saved": totals.tokens_saved,
        "cost_saved_usd": None if totals.saved is None else float(totals.saved),
        "detail": {
            "period": found.asked
            and {"from": found.asked.start.isoformat(), "to": found.asked.end.isoformat()},
            "series": found.series,
            "groups": found.groups,
            "hits": {
                "exact": totals.exact,
                "semantic": totals.semantic,
                "collapsed": reasons and reasons.hit.get("collapsed", 0),
                "stale": totals.stale,
            },
            "misses": totals.misses,
            "miss_reasons": reasons and reasons.missed,
            "bypassed": totals.bypassed,
            "bypass_reasons": reasons and reasons.bypassed,
            "failed": totals.failed,
            "outcome_unknown": found.outcome_unknown,
            "compressed_requests": totals.compressed,
            "streamed_requests": totals.streamed,
            "unpriced_requests": totals.unpriced,
            "unpriced_models": found.unpriced,
            "estimated_requests": totals.estimated,
            "bill_unknown_requests": totals.bill_unknown,
            "tool_failures": reasons and reasons.failures,
            "would_have": _would_have(totals),
            "tokens": _tokens(totals),
            "cost_usd": _cost(totals),
            "latency_ms": _latency(totals),
            "error_budget": found.budget and budget_body(found.budget),
            "holdout": holdout_body(found.holdout),
            "first_request_at": totals.first and totals.first.isoformat(),
            "last_request_at": totals.last and totals.last.isoformat(),
        },
    }


def _would_have(totals: Totals) -> dict[str, Any]:
    return {
        "requests": totals.shadow,
        "exact": totals.would_exact,
        "semantic": totals.would_semantic,
        "hit_rate": totals.would_hit_rate,
        "tokens_saved": totals.would_tokens,
        "cost_saved_usd": _text(totals.would_saved),
        "billed_usd": _text(totals.shadow_billed),
    }


def budget_body(budget: PlanBudget) -> dict[str, Any]:
    """`ErrorBudgetSerializer`'s shape."""
    found = budget.found
    return {
        "max_error_rate": budget.limit,
        "sample_rate": budget.sample_rate,
        **_standing(budget),
        "still_needed": found.needed,
        "vouched": found.vouched,
        "plan_threshold": budget.plan_threshold,
        "number": budget.number,
        "tenants": [{"tenant": each.tenant} | _standing(each) for each in budget.tenants],
        "sampling_calls": budget.asked,
        "judge_model": budget.judge or None,
        "judge_calls": budget.judged,
        "judge_failures": budget.unjudged,
        "spent_usd": None if budget.spent is None else f"{budget.spent:f}",
    }


def _standing(budget: PlanBudget) -> dict[str, Any]:
    """What a tenant's budget and that of all say alike."""
    found = budget.found
    return {
        "samples": found.samples,
        "wrong": found.wrong,
        "unclear": found.unclear,
        "wrong_rate": found.rate,
        "lower": round(found.lower, 6),
        "upper": round(found.upper, 6),
        "threshold": found.threshold,
        "semantic_tier": "off" if budget.off_at else "on",
        "reason": budget.reason,
        "detail": budget.detail,
        "off_since": budget.off_at and budget.off_at.isoformat(),
        "measured_since": budget.since and budget.since.isoformat(),
    }


def _tokens(totals: Totals) -> dict[str, int]:
    return {
        "asked": totals.asked_tokens,
        "sent": totals.sent_tokens,
        "cached": totals.cached_tokens,
        "written": totals.written_tokens,
        "completion": totals.completion_tokens,
        "served": totals.served_tokens,
        "saved_exact": totals.tokens_saved_exact,
        "saved_semantic": totals.tokens_saved_semantic,
        "saved_compression": totals.tokens_saved_compression,
    }


def _cost(totals: Totals) -> dict[str, str | None]:
    sums: dict[str, Decimal | None] = {
        "would": totals.would_cost,
        "billed": totals.billed_cost,
        "spent": totals.spent_cost,
        "spent_samples": totals.sampled_cost,
        "spent_embeddings": totals.spent_embeddings,
        "saved_exact": totals.saved_exact,
        "saved_semantic": totals.saved_semantic,
        "saved_compression": totals.saved_compression,
        "billed_failed": totals.billed_failed,
    }
    return {name: _text(value) for name, value in sums.items()}


def _text(dollars: Decimal | None) -> str | None:
    return None if dollars is None else f"{dollars:f}"


def _latency(totals: Totals) -> dict[str, dict[str, float] | None]:
    measured = {
        "exact": totals.exact_ms,
        "semantic": totals.semantic_ms,
        "hit": totals.hit_ms,
        "miss": totals.miss_ms,
        "miss_added": totals.miss_added_ms,
    }
    return {
        name: {"p50": round(pair[0], 3), "p99": round(pair[1], 3)} if pair else None
        for name, pair in measured.items()
    }
