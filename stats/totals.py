"""What requests add up to: each sum as one SQL expression, all of them in one query.

Only requests that count are summed: finished 2xx, with a plan that does more than watch (`Event.counts`). Failed ones and those in shadow
are counted apart. Samples are no requests: what they cost is in the sums of tokens and money, as the semantic tier's.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import Aggregate, Count, DecimalField, ExpressionWrapper, F, FloatField, Max, Min, Q, QuerySet, Sum

from stats.measures import hit_rate
from stats.models import RequestEvent

SAMPLE = Q(plan_id__isnull=False, tier="sample")
FINISHED = Q(plan_id__isnull=False, status__gte=200, status__lt=300, outcome="ok")
COUNTS, SHADOW = FINISHED & Q(shadow=False) & ~SAMPLE, FINISHED & Q(shadow=True) & ~SAMPLE
EXACT, SEMANTIC, MISS, BYPASS = (Q(tier=tier) for tier in ("exact", "semantic", "miss", "bypass"))
PAID = COUNTS | SAMPLE
OF_SEMANTIC = COUNTS & SEMANTIC | SAMPLE
HIT = EXACT | SEMANTIC
AT_ONCE = Q(upstream_ms=0)  # an expired answer may be served after the provider was waited for in vain
PRICED = Q(would_cost__isnull=False, billed_cost__isnull=False)
SAVED = ExpressionWrapper(F("would_cost") - F("billed_cost") - F("spent_cost"), output_field=DecimalField(max_digits=30, decimal_places=12))


class Percentiles(Aggregate):
    """Median and 99th percentile, as a list of two floats; None without rows."""

    function = "percentile_cont"
    template = "%(function)s(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = ArrayField(FloatField())


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over the requests that count. Tokens, US dollars (None: nothing had a price), milliseconds as (median, 99th percentile)."""

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
    failed: int = 0
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
        return hit_rate(self.hits, self.requests)

    @property
    def would_hit_rate(self) -> float:
        return hit_rate(self.would_exact + self.would_semantic, self.shadow)

    @property
    def tokens_saved_compression(self) -> int:
        """What the tiers did not save, compression did."""
        return self.tokens_saved - self.tokens_saved_exact - self.tokens_saved_semantic

    @property
    def saved_compression(self) -> Decimal | None:
        if self.saved is None:
            return None
        return self.saved - (self.saved_exact or Decimal(0)) - (self.saved_semantic or Decimal(0))

    @property
    def after(self) -> Decimal | None:
        """What was paid in the end: billed, and spent on saving."""
        return None if self.billed_cost is None else self.billed_cost + (self.spent_cost or Decimal(0))

    @property
    def saved_share(self) -> float | None:
        """Saved over what would have been paid; None when nothing would have been."""
        return float(self.saved / self.would_cost) if self.saved is not None and self.would_cost else None


SUMS: dict[str, Aggregate] = {
    "requests": Count("pk", filter=COUNTS),
    "exact": Count("pk", filter=COUNTS & EXACT),
    "semantic": Count("pk", filter=COUNTS & SEMANTIC),
    "stale": Count("pk", filter=COUNTS & Q(stale=True)),
    "misses": Count("pk", filter=COUNTS & MISS),
    "bypassed": Count("pk", filter=COUNTS & BYPASS),
    "streamed": Count("pk", filter=COUNTS & Q(stream=True)),
    "compressed": Count("pk", filter=COUNTS & ~Q(engine="")),
    "unpriced": Count("pk", filter=COUNTS & ~PRICED),
    "estimated": Count("pk", filter=COUNTS & Q(estimated=True)),
    "failed": Count("pk", filter=~FINISHED & ~SAMPLE),
    "asked_tokens": Sum("asked_tokens", filter=COUNTS, default=0),
    "sent_tokens": Sum("prompt_tokens", filter=PAID, default=0),
    "completion_tokens": Sum("completion_tokens", filter=PAID, default=0),
    "cached_tokens": Sum("cached_tokens", filter=PAID, default=0),
    "written_tokens": Sum("written_tokens", filter=PAID, default=0),
    "served_tokens": Sum("served_tokens", filter=COUNTS, default=0),
    "tokens_saved": Sum("tokens_saved", filter=PAID, default=0),
    "tokens_saved_exact": Sum("tokens_saved", filter=COUNTS & EXACT, default=0),
    "tokens_saved_semantic": Sum("tokens_saved", filter=OF_SEMANTIC, default=0),
    "would_cost": Sum("would_cost", filter=COUNTS & PRICED),
    "billed_cost": Sum("billed_cost", filter=COUNTS & PRICED),
    "spent_cost": Sum("spent_cost", filter=PAID & PRICED),
    "saved": Sum(SAVED, filter=PAID & PRICED),
    "saved_exact": Sum(SAVED, filter=COUNTS & PRICED & EXACT),
    "saved_semantic": Sum(SAVED, filter=OF_SEMANTIC & PRICED),
    "billed_failed": Sum("billed_cost", filter=~FINISHED & ~SAMPLE),
    "shadow": Count("pk", filter=SHADOW),
    "would_exact": Count("pk", filter=SHADOW & Q(would="exact")),
    "would_semantic": Count("pk", filter=SHADOW & Q(would="semantic")),
    "would_tokens": Sum("would_tokens", filter=SHADOW, default=0),
    "would_saved": Sum("would_saved", filter=SHADOW & PRICED),
    "shadow_billed": Sum("billed_cost", filter=SHADOW & PRICED),
    "first": Min("at", filter=COUNTS),
    "last": Max("at", filter=COUNTS),
}
LATENCIES: dict[str, Aggregate] = {
    "exact_ms": Percentiles("duration_ms", filter=COUNTS & EXACT & AT_ONCE),
    "semantic_ms": Percentiles("duration_ms", filter=COUNTS & SEMANTIC),
    "hit_ms": Percentiles("duration_ms", filter=COUNTS & HIT & AT_ONCE),
    "miss_ms": Percentiles("duration_ms", filter=COUNTS & MISS),
    "miss_added_ms": Percentiles("overhead_ms", filter=COUNTS & MISS),
}


def totals(events: QuerySet[RequestEvent], *, latencies: bool = False) -> Totals:
    """One query; `latencies` sorts all durations, so it is asked for."""
    row = events.aggregate(**expressions(latencies=latencies))
    return totals_of(row)


def expressions(*, latencies: bool = False) -> dict[str, Aggregate]:
    """The sums under names of their own: a sum named as the column it sums could not be told from it."""
    return {f"sum_{name}": sum_ for name, sum_ in (SUMS | (LATENCIES if latencies else {})).items()}


def totals_of(row: dict[str, Any]) -> Totals:
    """A row of `expressions`."""
    return Totals(**{name.removeprefix("sum_"): value for name, value in row.items() if name.startswith("sum_")})
