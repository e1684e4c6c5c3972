"""Response bodies of the statistics API, as documented in the OpenAPI schema."""

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from plans.models import Plan
from stats.analysis.holdout_estimate import HoldoutMeasurement
from stats.quality.error_budget_report import PlanErrorBudget
from stats.quality.recalibration import describe_recalibration, find_state, load_recalibration
from stats.reports.filters import ReportFilter
from stats.reports.rows import ReportRow, RowSerializer
from stats.reports.selectors import ReasonCounts
from stats.reports.totals import Totals

# The measured savings.


class RangeSerializer(serializers.Serializer[Any]):
    """A figure with its 95 % confidence interval."""

    value = serializers.FloatField(help_text="The estimate.")
    low = serializers.FloatField(help_text="Lower bound of its 95 % interval.")
    high = serializers.FloatField(help_text="Upper bound of its 95 % interval.")


class HoldoutSerializer(serializers.Serializer[Any]):
    """What the plan saved, measured: requests with the plan against conversations held out of it.

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


def build_holdout_body(found: HoldoutMeasurement | None) -> dict[str, Any] | None:
    """Build the body of `HoldoutSerializer`; None if nothing is held out."""
    return None if found is None else asdict(found) | {"disagrees": found.is_model_ruled_out}


# The statistics of a plan.

NARROW_NOTE = "Not kept by key, route or model: null where one is asked for."
USD_NOTE = "US dollars as text, exact to the last digit; null when nothing had a price."


def _build_usd_field(text: str = "") -> serializers.CharField:
    return serializers.CharField(allow_null=True, help_text=f"{text} {USD_NOTE}".strip())


def _build_count_field(text: str) -> serializers.IntegerField:
    return serializers.IntegerField(help_text=text)


def _build_reasons_field(text: str = "") -> serializers.DictField:
    return serializers.DictField(
        child=serializers.IntegerField(), allow_null=True, help_text=f"{text} {NARROW_NOTE}".strip()
    )


class HitsSerializer(serializers.Serializer[Any]):
    exact = _build_count_field("Answered with the stored answer of an identical request.")
    semantic = _build_count_field(
        "Answered with the stored answer of a question that means the same."
    )
    collapsed = serializers.IntegerField(
        allow_null=True,
        help_text=f"Of the exact ones: joined an identical request in flight. {NARROW_NOTE}",
    )
    stale = _build_count_field(
        "Of the exact ones: an expired answer was served, as the plan allows."
    )


class TokensSerializer(serializers.Serializer[Any]):
    asked = _build_count_field("Prompts as the clients sent them.")
    sent = _build_count_field("Prompts as the provider billed them.")
    cached = _build_count_field("Of those sent: billed at the provider's cached price.")
    written = _build_count_field(
        "Of those sent: billed at the provider's price for writing into its prefix cache."
    )
    completion = _build_count_field("Completions the provider billed.")
    served = _build_count_field("Completions the clients received.")
    saved_exact = _build_count_field("Tokens saved by exact hits.")
    saved_semantic = _build_count_field("Tokens saved by semantic hits.")
    saved_compression = _build_count_field("Tokens saved by compression.")


class CostSerializer(serializers.Serializer[Any]):
    would = _build_usd_field("What the same requests would have cost without a plan.")
    billed = _build_usd_field("What the provider charges.")
    spent = _build_usd_field("Spent on saving: the next two.")
    spent_samples = _build_usd_field("Of that: samples and calls of a judge model.")
    spent_embeddings = _build_usd_field("Of that: embeddings; 0, as embedders run in the gateway.")
    saved_exact = _build_usd_field("Saved by exact hits.")
    saved_semantic = _build_usd_field("Saved by semantic hits.")
    saved_compression = _build_usd_field("Saved by compression.")
    billed_failed = _build_usd_field(
        "What the provider charges for requests that failed or broke off: in none "
        "of the other sums."
    )


class PercentilesSerializer(serializers.Serializer[Any]):
    p50 = serializers.FloatField(help_text="Median, in milliseconds.")
    p99 = serializers.FloatField(help_text="99th percentile, in milliseconds.")


class LatencySerializer(serializers.Serializer[Any]):
    """Milliseconds; null if nothing was measured."""

    exact = PercentilesSerializer(allow_null=True, help_text="Exact hits.")
    semantic = PercentilesSerializer(allow_null=True, help_text="Semantic hits.")
    hit = PercentilesSerializer(allow_null=True, help_text="Hits of both tiers.")
    miss = PercentilesSerializer(allow_null=True, help_text="Misses, the upstream's time included.")
    miss_added = PercentilesSerializer(
        allow_null=True, help_text="What the gateway added to a miss."
    )


class WouldHaveSerializer(serializers.Serializer[Any]):
    """What the plan would have done to the requests of shadow mode; not part of other numbers."""

    requests = _build_count_field("Requests under mode shadow that finished with 2xx.")
    exact = _build_count_field(
        "Would have been answered with the stored answer of an identical request."
    )
    semantic = _build_count_field(
        "Would have been answered with the stored answer of a question that means the same."
    )
    hit_rate = serializers.FloatField(
        help_text="Both tiers over requests, four places; 0 without requests."
    )
    tokens_saved = _build_count_field(
        "Of those hits, all that the provider billed; of the others, what "
        "compression would have removed."
    )
    cost_saved_usd = _build_usd_field(
        "The price of these tokens: of a hit as billed, of a compressed prompt at list price."
    )
    billed_usd = _build_usd_field("What the provider charges for the requests watched.")


class TenantBudgetSerializer(serializers.Serializer[Any]):
    """The error budget for one tenant's requests.

    The semantic tier is turned off for each tenant separately.
    """

    tenant = serializers.CharField(help_text="Its slug.")
    samples = _build_count_field("Stored answers compared for this tenant.")
    wrong = _build_count_field("Stored answers found wrong.")
    unclear = _build_count_field("Neither right nor wrong for certain.")
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
    """How often semantic hits were wrong, by samples that were compared with the provider's answer.

    Bounds: Wilson, 95 %. Of all visible tenants that use the plan together; off if it is off for
    one of them.
    """

    max_error_rate = serializers.FloatField(help_text="The plan's cache.max_error_rate.")
    sample_rate = serializers.FloatField(help_text="The plan's cache.sample_rate.")
    samples = _build_count_field(
        "Stored answers compared under the plan's present settings: of the last 30 days, the "
        "newest 2,000 (more for budgets below 0.005)."
    )
    wrong = _build_count_field("Of those: stored answers found wrong.")
    unclear = _build_count_field(
        "Of those: neither for certain. They count as right in the lower bound, as wrong in the "
        "upper."
    )
    wrong_rate = serializers.FloatField(allow_null=True, help_text="wrong / (samples - unclear).")
    lower = serializers.FloatField(help_text="Lower Wilson bound of the rate, 95 %.")
    upper = serializers.FloatField(help_text="Upper Wilson bound of the rate, 95 %.")
    still_needed = _build_count_field(
        "Samples until the upper bound is within the budget, if all of them are right."
    )
    vouched = serializers.BooleanField(help_text="The upper bound is within the budget.")
    threshold = serializers.FloatField(
        help_text=(
            "The threshold in force: the plan's, or the one learned from samples; the highest of "
            "all tenants."
        )
    )
    plan_threshold = serializers.FloatField(
        help_text="The plan's cache.similarity_threshold, or that of its cache.strictness."
    )
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
    sampling_calls = _build_count_field(
        "Samples that cost a call to the provider; the others were answered by it anyway."
    )
    judge_model = serializers.CharField(
        allow_null=True, help_text="The plan's cache.judge_model; null: rules decide."
    )
    judge_calls = _build_count_field("Samples for which a verdict of the judge model was due.")
    judge_failures = _build_count_field(
        "Of those: the call failed, the route does not exist or is not allowed for the key, or the "
        "reply was not a verdict."
    )
    spent_usd = _build_usd_field("What measuring cost, the judge's calls included.")
    tenants = TenantBudgetSerializer(
        many=True, help_text="Each tenant with samples, 100 at most, those that are off first."
    )


class RecalibrationSerializer(serializers.Serializer[Any]):
    """The plan's threshold measured by its labelled pairs, and the one proposed in shadow.

    Of all tenants together. Nothing that is served depends on it until it is applied.
    """

    state = serializers.ChoiceField(
        choices=("none", "shadow", "held"),
        help_text=(
            "none: no other threshold is proposed; shadow: one is, and pairs from after it are "
            "awaited; held: it may be applied, by manage.py recalibrate --apply."
        ),
    )
    detail = serializers.CharField(help_text="The same in a sentence.")
    max_error_rate = serializers.FloatField(
        help_text="The accepted rate of wrong hits: the plan's, or that of its strictness."
    )
    threshold = serializers.FloatField(help_text="The plan's threshold when it was measured.")
    proposed_threshold = serializers.FloatField(allow_null=True, help_text="null: none.")
    pairs = _build_count_field("Labelled pairs of the last 30 days, of former thresholds too.")
    wrong = _build_count_field("Of those: wrong.")
    unclear = _build_count_field("Of those: neither right nor wrong for certain.")
    new_pairs = _build_count_field("Pairs from after the proposal that it would have served.")
    new_wrong = _build_count_field("Of those: wrong.")
    new_unclear = _build_count_field("Of those: neither right nor wrong for certain.")
    proposed_at = serializers.DateTimeField(allow_null=True, help_text="In shadow since then.")
    measured_at = serializers.DateTimeField(help_text="When it was measured last.")
    applied_threshold = serializers.FloatField(
        allow_null=True, help_text="The last proposal that was applied; null: none."
    )
    applied_at = serializers.DateTimeField(allow_null=True, help_text="When that was.")


class PeriodSerializer(serializers.Serializer[Any]):
    """The period of the numbers: whole minutes (UTC), the end not included."""

    def get_fields(self) -> dict[str, Any]:
        """Return the fields `from` and `to`."""
        # Not as attributes: `from` is a keyword of Python.
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
    misses = _build_count_field("Requests looked up and not found.")
    miss_reasons = _build_reasons_field("Why a similar stored question was not served.")
    bypassed = _build_count_field("Requests that no cache was asked about.")
    bypass_reasons = _build_reasons_field("Why they were not looked up.")
    failed = _build_count_field(
        "Requests that named the plan and were refused, failed or broken off: in none of "
        "the other numbers."
    )
    outcome_unknown = _build_count_field(
        "Sent upstream by a worker that was killed before the answer was recorded: in none of "
        "the other numbers."
    )
    compressed_requests = _build_count_field("Requests whose prompt was compressed.")
    streamed_requests = _build_count_field("Requests answered as a stream.")
    unpriced_requests = _build_count_field(
        "Requests of a model without a price: in no sum of money."
    )
    unpriced_models = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="Models without a price, with the number of their requests.",
    )
    estimated_requests = _build_count_field(
        "Requests without usage from the provider: tokens counted by the gateway."
    )
    bill_unknown_requests = _build_count_field(
        "Calls given up before their answer (a timeout, a client that left): what they "
        "cost is in no sum."
    )
    tool_failures = _build_reasons_field("Requests that went on without a cache or another tool.")
    would_have = WouldHaveSerializer(help_text="Requests under mode shadow.")
    tokens = TokensSerializer(help_text="Tokens.")
    cost_usd = CostSerializer(help_text="US dollars.")
    latency_ms = LatencySerializer(help_text="Milliseconds; null where nothing was measured.")
    error_budget = ErrorBudgetSerializer(allow_null=True, help_text="null: the plan has none.")
    recalibration = RecalibrationSerializer(
        allow_null=True,
        help_text="null: the plan was not measured, or it is the platform's and a tenant asks.",
    )
    holdout = HoldoutSerializer(
        allow_null=True, help_text=f"null: nothing is held out. {NARROW_NOTE}"
    )
    first_request_at = serializers.DateTimeField(
        allow_null=True, help_text="When the first of these requests was made."
    )
    last_request_at = serializers.DateTimeField(
        allow_null=True, help_text="When the last of these requests was made."
    )


class PlanStatsSerializer(serializers.Serializer[Any]):
    """What a plan saved since it was created. A tenant sees its own requests only."""

    total_requests = _build_count_field("Requests that named the plan and finished with 2xx.")
    cache_hits = _build_count_field("Exact and semantic hits.")
    cache_hit_rate = serializers.FloatField(
        help_text="cache_hits / total_requests, four places; 0 without requests."
    )
    tokens_saved = _build_count_field(
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
class StatsResult:
    """The figures of a response.

    `reasons`: None if they are not stored for this filter; `report_filter`: None for all time.
    """

    totals: Totals
    reasons: ReasonCounts | None
    unpriced_models: dict[str, int]
    unknown_outcomes: int
    error_budget: PlanErrorBudget | None = None
    recalibration: dict[str, Any] | None = None
    holdout: HoldoutMeasurement | None = None
    report_filter: ReportFilter | None = None
    series: list[ReportRow] | None = None
    groups: list[ReportRow] | None = None


def build_stats_body(found: StatsResult) -> dict[str, Any]:
    """Build the body of `PlanStatsSerializer`."""
    totals, reasons = found.totals, found.reasons
    return {
        "total_requests": totals.requests,
        "cache_hits": totals.hits,
        "cache_hit_rate": totals.hit_rate,
        "tokens_saved": totals.tokens_saved,
        "cost_saved_usd": None if totals.saved is None else float(totals.saved),
        "detail": {
            "period": found.report_filter
            and {
                "from": found.report_filter.start.isoformat(),
                "to": found.report_filter.end.isoformat(),
            },
            "series": found.series,
            "groups": found.groups,
            "hits": {
                "exact": totals.exact,
                "semantic": totals.semantic,
                "collapsed": reasons and reasons.hit_reasons.get("collapsed", 0),
                "stale": totals.stale,
            },
            "misses": totals.misses,
            "miss_reasons": reasons and reasons.miss_reasons,
            "bypassed": totals.bypassed,
            "bypass_reasons": reasons and reasons.bypass_reasons,
            "failed": totals.failed,
            "outcome_unknown": found.unknown_outcomes,
            "compressed_requests": totals.compressed,
            "streamed_requests": totals.streamed,
            "unpriced_requests": totals.unpriced,
            "unpriced_models": found.unpriced_models,
            "estimated_requests": totals.estimated,
            "bill_unknown_requests": totals.bill_unknown,
            "tool_failures": reasons and reasons.failures,
            "would_have": _build_shadow_body(totals),
            "tokens": _build_tokens_body(totals),
            "cost_usd": _build_cost_body(totals),
            "latency_ms": _build_latency_body(totals),
            "error_budget": found.error_budget and build_error_budget_body(found.error_budget),
            "recalibration": found.recalibration,
            "holdout": build_holdout_body(found.holdout),
            "first_request_at": totals.first and totals.first.isoformat(),
            "last_request_at": totals.last and totals.last.isoformat(),
        },
    }


def _build_shadow_body(totals: Totals) -> dict[str, Any]:
    return {
        "requests": totals.shadow,
        "exact": totals.would_exact,
        "semantic": totals.would_semantic,
        "hit_rate": totals.would_hit_rate,
        "tokens_saved": totals.would_tokens,
        "cost_saved_usd": _format_dollars(totals.would_saved),
        "billed_usd": _format_dollars(totals.shadow_billed),
    }


def build_error_budget_body(budget: PlanErrorBudget) -> dict[str, Any]:
    """Build the body of `ErrorBudgetSerializer`."""
    found = budget.estimate
    return {
        "max_error_rate": budget.limit,
        "sample_rate": budget.sample_rate,
        **_build_budget_state(budget),
        "still_needed": found.needed,
        "vouched": found.is_within_budget,
        "plan_threshold": budget.plan_threshold,
        "number": budget.number,
        "tenants": [{"tenant": each.tenant} | _build_budget_state(each) for each in budget.tenants],
        "sampling_calls": budget.asked,
        "judge_model": budget.judge or None,
        "judge_calls": budget.judge_calls,
        "judge_failures": budget.unjudged,
        "spent_usd": None if budget.sampling_cost is None else f"{budget.sampling_cost:f}",
    }


def build_recalibration_body(plan: Plan) -> dict[str, Any] | None:
    """Build the body of `RecalibrationSerializer`; None if the plan was never measured."""
    row = load_recalibration(plan)
    if row is None:
        return None
    return {
        "state": find_state(row),
        "detail": describe_recalibration(plan, row),
        "max_error_rate": row.target,
        "threshold": row.threshold,
        "proposed_threshold": row.proposed,
        "pairs": row.right + row.wrong + row.unclear,
        "wrong": row.wrong,
        "unclear": row.unclear,
        "new_pairs": row.fresh,
        "new_wrong": row.fresh_wrong,
        "new_unclear": row.fresh_unclear,
        "proposed_at": row.proposed_at and row.proposed_at.isoformat(),
        "measured_at": row.measured_at.isoformat(),
        "applied_threshold": row.applied,
        "applied_at": row.applied_at and row.applied_at.isoformat(),
    }


def _build_budget_state(budget: PlanErrorBudget) -> dict[str, Any]:
    """Build the fields that a tenant's budget and the whole plan's have in common."""
    found = budget.estimate
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


def _build_tokens_body(totals: Totals) -> dict[str, int]:
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


def _build_cost_body(totals: Totals) -> dict[str, str | None]:
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
    return {name: _format_dollars(value) for name, value in sums.items()}


def _format_dollars(dollars: Decimal | None) -> str | None:
    return None if dollars is None else f"{dollars:f}"


def _build_latency_body(totals: Totals) -> dict[str, dict[str, float] | None]:
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
