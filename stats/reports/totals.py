"""Totals of requests, from the rollups."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import Aggregate, DecimalField, ExpressionWrapper, F, Max, Min, Q, Sum

from stats.analysis.latency_buckets import compute_percentiles
from stats.events import compute_hit_rate
from stats.models import rollups
from stats.models.rollups import FULL_CUT, Rollup
from stats.reports.rollup_query import FULL_CUT_COLUMNS, RollupQuery
from stats.time_grains import DAY, HOUR, floor_to_grain

# Each sum is one SQL expression, all of them in one query.
#
# Only counted requests are summed: finished with 2xx, under a plan that is not in shadow mode
# (`Event.counts`). Failed ones and those in shadow are counted separately. Samples are no requests:
# their costs are in the sums of tokens and money, as the semantic tier's.

IS_COUNTED, IS_SHADOW, IS_SAMPLE = (
    Q(kind=kind) for kind in (rollups.COUNTED_KIND, rollups.SHADOW_KIND, rollups.SAMPLE_KIND)
)
IS_EXACT, IS_SEMANTIC, IS_MISS, IS_BYPASS = (
    Q(tier=tier) for tier in ("exact", "semantic", "miss", "bypass")
)
IS_SAMPLING = Q(kind__in=(rollups.SAMPLE_KIND, rollups.JUDGED_KIND, rollups.UNJUDGED_KIND))
IS_PAID_FOR = IS_COUNTED | IS_SAMPLING
IS_SEMANTIC_COST = IS_COUNTED & IS_SEMANTIC | IS_SAMPLING
# Of single requests.
IS_FINISHED = Q(plan_id__isnull=False, status__gte=200, status__lt=300, outcome="ok")
IS_PRICED = Q(would_cost__isnull=False, billed_cost__isnull=False)
UNPRICED_REQUESTS = F("requests") - F("priced") - F("bill_unknown")
SAVED_COST = ExpressionWrapper(
    F("would_cost") - F("billed_cost") - F("spent_cost"),
    output_field=DecimalField(max_digits=30, decimal_places=12),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums of the counted requests.

    Tokens, US dollars (None: nothing had a price), milliseconds as (median, 99th percentile).
    """

    requests: int = 0
    exact: int = 0
    semantic: int = 0
    stale: int = 0
    misses: int = 0
    bypassed: int = 0
    streamed: int = 0
    compressed: int = 0
    unpriced: int = 0
    estimated: int = 0
    bill_unknown: int = 0
    failed: int = 0
    sampled: int = 0
    judged: int = 0
    unjudged: int = 0
    asked_tokens: int = 0
    sent_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    served_tokens: int = 0
    tokens_saved: int = 0
    tokens_saved_exact: int = 0
    tokens_saved_semantic: int = 0
    would_cost: Decimal | None = None
    billed_cost: Decimal | None = None
    spent_cost: Decimal | None = None
    saved: Decimal | None = None
    saved_exact: Decimal | None = None
    saved_semantic: Decimal | None = None
    billed_failed: Decimal | None = None
    sampled_cost: Decimal | None = None
    shadow: int = 0
    would_exact: int = 0
    would_semantic: int = 0
    would_tokens: int = 0
    would_saved: Decimal | None = None
    shadow_billed: Decimal | None = None
    exact_ms: list[float] | None = None
    semantic_ms: list[float] | None = None
    hit_ms: list[float] | None = None
    miss_ms: list[float] | None = None
    miss_added_ms: list[float] | None = None
    first: datetime | None = None
    last: datetime | None = None

    @property
    def hits(self) -> int:
        return self.exact + self.semantic

    @property
    def hit_rate(self) -> float:
        return compute_hit_rate(self.hits, self.requests)

    @property
    def would_hit_rate(self) -> float:
        return compute_hit_rate(self.would_exact + self.would_semantic, self.shadow)

    @property
    def tokens_saved_compression(self) -> int:
        """Tokens saved by compression: what the tiers did not save."""
        return self.tokens_saved - self.tokens_saved_exact - self.tokens_saved_semantic

    @property
    def saved_compression(self) -> Decimal | None:
        if self.saved is None:
            return None
        return self.saved - (self.saved_exact or Decimal(0)) - (self.saved_semantic or Decimal(0))

    @property
    def after(self) -> Decimal | None:
        """What was paid in the end: billed, and spent on saving."""
        return (
            None if self.billed_cost is None else self.billed_cost + (self.spent_cost or Decimal(0))
        )

    @property
    def spent_embeddings(self) -> Decimal | None:
        """What was spent on saving beside samples; 0 while embedders run locally."""
        return (
            None if self.spent_cost is None else self.spent_cost - (self.sampled_cost or Decimal(0))
        )

    @property
    def saved_share(self) -> float | None:
        """Saved, as a share of the cost without a plan; None if that is unknown or 0."""
        return (
            float(self.saved / self.would_cost)
            if self.saved is not None and self.would_cost
            else None
        )


def _sum_column(column: str, which: Q) -> Aggregate:
    return Sum(column, filter=which, default=0)


def _sum_dollars(column: "str | ExpressionWrapper[Any]", which: Q) -> Aggregate:
    """Sum dollars; None if nothing had a price."""
    return Sum(column, filter=which & Q(priced__gt=0))


TOTAL_EXPRESSIONS: dict[str, Aggregate] = {
    "requests": _sum_column("requests", IS_COUNTED),
    "exact": _sum_column("requests", IS_COUNTED & IS_EXACT),
    "semantic": _sum_column("requests", IS_COUNTED & IS_SEMANTIC),
    "stale": _sum_column("stale", IS_COUNTED),
    "misses": _sum_column("requests", IS_COUNTED & IS_MISS),
    "bypassed": _sum_column("requests", IS_COUNTED & IS_BYPASS),
    "streamed": _sum_column("streamed", IS_COUNTED),
    "compressed": _sum_column("compressed", IS_COUNTED),
    "unpriced": Sum(UNPRICED_REQUESTS, filter=IS_COUNTED, default=0),
    "estimated": _sum_column("estimated", IS_COUNTED),
    "bill_unknown": Sum("bill_unknown", default=0),
    "failed": _sum_column("requests", Q(kind=rollups.FAILED_KIND)),
    "sampled": _sum_column("called", IS_SAMPLE),
    "judged": Sum(
        "requests", filter=Q(kind__in=(rollups.JUDGED_KIND, rollups.UNJUDGED_KIND)), default=0
    ),
    "unjudged": _sum_column("requests", Q(kind=rollups.UNJUDGED_KIND)),
    "asked_tokens": _sum_column("asked_tokens", IS_COUNTED),
    "sent_tokens": _sum_column("prompt_tokens", IS_PAID_FOR),
    "completion_tokens": _sum_column("completion_tokens", IS_PAID_FOR),
    "cached_tokens": _sum_column("cached_tokens", IS_PAID_FOR),
    "written_tokens": _sum_column("written_tokens", IS_PAID_FOR),
    "served_tokens": _sum_column("served_tokens", IS_COUNTED),
    "tokens_saved": _sum_column("tokens_saved", IS_PAID_FOR),
    "tokens_saved_exact": _sum_column("tokens_saved", IS_COUNTED & IS_EXACT),
    "tokens_saved_semantic": _sum_column("tokens_saved", IS_SEMANTIC_COST),
    "would_cost": _sum_dollars("would_cost", IS_COUNTED),
    "billed_cost": _sum_dollars("billed_cost", IS_COUNTED),
    "spent_cost": _sum_dollars("spent_cost", IS_PAID_FOR),
    "sampled_cost": _sum_dollars("spent_cost", IS_SAMPLING),
    "saved": _sum_dollars(SAVED_COST, IS_PAID_FOR),
    "saved_exact": _sum_dollars(SAVED_COST, IS_COUNTED & IS_EXACT),
    "saved_semantic": _sum_dollars(SAVED_COST, IS_SEMANTIC_COST),
    "billed_failed": Sum("billed_cost", filter=Q(kind=rollups.FAILED_KIND, billed_cost__gt=0)),
    "shadow": _sum_column("requests", IS_SHADOW),
    "would_exact": _sum_column("would_exact", IS_SHADOW),
    "would_semantic": _sum_column("would_semantic", IS_SHADOW),
    "would_tokens": _sum_column("would_tokens", IS_SHADOW),
    "would_saved": _sum_dollars("would_saved", IS_SHADOW),
    "shadow_billed": _sum_dollars("billed_cost", IS_SHADOW),
    "first": Min("first_at", filter=IS_COUNTED),
    "last": Max("last_at", filter=IS_COUNTED),
}


def compute_totals(wanted: RollupQuery) -> Totals:
    """Compute the sums of one period, with durations. Two queries."""
    return build_totals(
        wanted.query_rollups().aggregate(**build_expressions()) | _compute_durations(wanted)
    )


def build_expressions() -> dict[str, Aggregate]:
    """Build the aggregates with prefixed names."""
    # A sum with the name of its column could not be distinguished from it.
    return {f"sum_{name}": sum_ for name, sum_ in TOTAL_EXPRESSIONS.items()}


def build_totals(row: dict[str, Any]) -> Totals:
    """Build totals from a row of `build_expressions`; without durations unless they were added."""
    return Totals(
        **{
            name.removeprefix("sum_"): value
            for name, value in row.items()
            if name.startswith("sum_")
        }
    )


def _compute_durations(wanted: RollupQuery) -> dict[str, list[float] | None]:
    """Compute percentiles by hours or days; none if the filter names a key, route or model."""
    if any(getattr(wanted, name) is not None for name in FULL_CUT_COLUMNS):
        return {}
    found: dict[str, Counter[int]] = {
        name: Counter()
        for name in ("exact_ms", "semantic_ms", "hit_ms", "miss_ms", "miss_added_ms")
    }
    rows = (
        wanted.query_count_rollups()
        .filter(what__in=("whole", "added"), kind=rollups.COUNTED_KIND)
        .values_list("what", "tier", "word")
        .annotate(Sum("number"))
    )
    for what, tier, word, number in rows:
        names = (
            ["miss_added_ms"]
            if what == "added"
            else [f"{tier}_ms", *(["hit_ms"] if tier in {"exact", "semantic"} else [])]
        )
        for name in names:
            if name in found:
                found[name][int(word)] += number
    return {f"sum_{name}": compute_percentiles(counts) for name, counts in found.items()}


# Recent savings of plans and uses of keys, for lists.

RECENT_DAYS: Final = 30
KEY_USE_PERIOD: Final = timedelta(days=90)


def sum_recent_savings(plan_ids: Collection[int]) -> dict[int, Decimal]:
    """Sum the US dollars saved in the last 30 days, by plan, in one query.

    Plans without priced requests are left out.
    """
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(
        days=RECENT_DAYS - 1
    )
    rows = (
        RollupQuery(start=start)
        .query_rollups(grain=DAY)
        .filter(plan_id__in=plan_ids)
        .values_list("plan_id")
        .annotate(sum_saved=TOTAL_EXPRESSIONS["saved"])
    )
    return {plan: saved for plan, saved in rows if saved is not None}


def count_key_uses(key_ids: Collection[int]) -> dict[int, tuple[int, datetime]]:
    """Count each key's requests in the last 24 hours, and find its latest within 90 days."""
    now = datetime.now(UTC)
    # Refused requests count too: they show that the key is in use.
    rows = Rollup.objects.filter(cut=FULL_CUT, key_id__in=key_ids).order_by()
    days = (
        rows.filter(grain=DAY, at__gte=now - KEY_USE_PERIOD)
        .values_list("key_id")
        .annotate(last=Max("last_at"))
    )
    hours = rows.filter(grain=HOUR, at__gte=floor_to_grain(now - timedelta(days=1), HOUR))
    lately = dict(hours.values_list("key_id").annotate(found=Sum("requests")))
    return {key: (lately.get(key, 0), last) for key, last in days}
