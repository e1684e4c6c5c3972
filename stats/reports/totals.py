"""What requests add up to, out of the roll-ups."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import Aggregate, DecimalField, ExpressionWrapper, F, Max, Min, Q, Sum

from stats.analysis.latency_buckets import percentiles
from stats.events import hit_rate
from stats.models import rollups
from stats.models.rollups import FULL, Rollup
from stats.reports.rollup_query import FULL_ONLY, Wanted
from stats.time_grains import DAY, HOUR, floor

# What requests add up to, out of the roll-ups: each sum as one SQL expression, all of them in one
# query.
#
# Only requests that count are summed: finished 2xx, with a plan that does more than watch
# (`Event.counts`). Failed ones and those in shadow are counted apart. Samples are no requests: what
# they cost is in the sums of tokens and money, as the semantic tier's.

COUNTED, SHADOW, SAMPLE = (
    Q(kind=kind) for kind in (rollups.COUNTED, rollups.SHADOW, rollups.SAMPLE)
)
EXACT, SEMANTIC, MISS, BYPASS = (Q(tier=tier) for tier in ("exact", "semantic", "miss", "bypass"))
ASIDE = Q(kind__in=(rollups.SAMPLE, rollups.JUDGED, rollups.UNJUDGED))
PAID = COUNTED | ASIDE
OF_SEMANTIC = COUNTED & SEMANTIC | ASIDE
# Of single requests.
FINISHED = Q(plan_id__isnull=False, status__gte=200, status__lt=300, outcome="ok")
PRICED = Q(would_cost__isnull=False, billed_cost__isnull=False)
UNPRICED = F("requests") - F("priced") - F("bill_unknown")
SAVED = ExpressionWrapper(
    F("would_cost") - F("billed_cost") - F("spent_cost"),
    output_field=DecimalField(max_digits=30, decimal_places=12),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over the requests that count.

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
        return (
            None if self.billed_cost is None else self.billed_cost + (self.spent_cost or Decimal(0))
        )

    @property
    def spent_embeddings(self) -> Decimal | None:
        """What was spent on saving beside samples: nothing, as long as embedders run here."""
        return (
            None if self.spent_cost is None else self.spent_cost - (self.sampled_cost or Decimal(0))
        )

    @property
    def saved_share(self) -> float | None:
        """Saved over what would have been paid; None when nothing would have been."""
        return (
            float(self.saved / self.would_cost)
            if self.saved is not None and self.would_cost
            else None
        )


def _count(column: str, which: Q) -> Aggregate:
    return Sum(column, filter=which, default=0)


def _dollars(column: "str | ExpressionWrapper[Any]", which: Q) -> Aggregate:
    """None where nothing had a price."""
    return Sum(column, filter=which & Q(priced__gt=0))


SUMS: dict[str, Aggregate] = {
    "requests": _count("requests", COUNTED),
    "exact": _count("requests", COUNTED & EXACT),
    "semantic": _count("requests", COUNTED & SEMANTIC),
    "stale": _count("stale", COUNTED),
    "misses": _count("requests", COUNTED & MISS),
    "bypassed": _count("requests", COUNTED & BYPASS),
    "streamed": _count("streamed", COUNTED),
    "compressed": _count("compressed", COUNTED),
    "unpriced": Sum(UNPRICED, filter=COUNTED, default=0),
    "estimated": _count("estimated", COUNTED),
    "bill_unknown": Sum("bill_unknown", default=0),
    "failed": _count("requests", Q(kind=rollups.FAILED)),
    "sampled": _count("called", SAMPLE),
    "judged": Sum("requests", filter=Q(kind__in=(rollups.JUDGED, rollups.UNJUDGED)), default=0),
    "unjudged": _count("requests", Q(kind=rollups.UNJUDGED)),
    "asked_tokens": _count("asked_tokens", COUNTED),
    "sent_tokens": _count("prompt_tokens", PAID),
    "completion_tokens": _count("completion_tokens", PAID),
    "cached_tokens": _count("cached_tokens", PAID),
    "written_tokens": _count("written_tokens", PAID),
    "served_tokens": _count("served_tokens", COUNTED),
    "tokens_saved": _count("tokens_saved", PAID),
    "tokens_saved_exact": _count("tokens_saved", COUNTED & EXACT),
    "tokens_saved_semantic": _count("tokens_saved", OF_SEMANTIC),
    "would_cost": _dollars("would_cost", COUNTED),
    "billed_cost": _dollars("billed_cost", COUNTED),
    "spent_cost": _dollars("spent_cost", PAID),
    "sampled_cost": _dollars("spent_cost", ASIDE),
    "saved": _dollars(SAVED, PAID),
    "saved_exact": _dollars(SAVED, COUNTED & EXACT),
    "saved_semantic": _dollars(SAVED, OF_SEMANTIC),
    "billed_failed": Sum("billed_cost", filter=Q(kind=rollups.FAILED, billed_cost__gt=0)),
    "shadow": _count("requests", SHADOW),
    "would_exact": _count("would_exact", SHADOW),
    "would_semantic": _count("would_semantic", SHADOW),
    "would_tokens": _count("would_tokens", SHADOW),
    "would_saved": _dollars("would_saved", SHADOW),
    "shadow_billed": _dollars("billed_cost", SHADOW),
    "first": Min("first_at", filter=COUNTED),
    "last": Max("last_at", filter=COUNTED),
}


def totals(wanted: Wanted) -> Totals:
    """The sums of one period, with durations. Two queries."""
    return totals_of(wanted.rollups().aggregate(**expressions()) | _durations(wanted))


def expressions() -> dict[str, Aggregate]:
    """The sums under names of their own: a sum named as the column it sums could not be told
    from it."""
    return {f"sum_{name}": sum_ for name, sum_ in SUMS.items()}


def totals_of(row: dict[str, Any]) -> Totals:
    """A row of `expressions`; it has no durations unless they were added."""
    return Totals(
        **{
            name.removeprefix("sum_"): value
            for name, value in row.items()
            if name.startswith("sum_")
        }
    )


def _durations(wanted: Wanted) -> dict[str, list[float] | None]:
    """Of hours or days; none of one key, route or model, which durations are not kept by."""
    if any(getattr(wanted, name) is not None for name in FULL_ONLY):
        return {}
    found: dict[str, Counter[int]] = {
        name: Counter()
        for name in ("exact_ms", "semantic_ms", "hit_ms", "miss_ms", "miss_added_ms")
    }
    rows = (
        wanted.tallies()
        .filter(what__in=("whole", "added"), kind=rollups.COUNTED)
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
    return {f"sum_{name}": percentiles(counts) for name, counts in found.items()}


# What plans saved and how much keys were used of late, for lists.

DAYS: Final = 30
USED_WITHIN: Final = timedelta(days=90)


def saved_lately(plan_ids: Collection[int]) -> dict[int, Decimal]:
    """US dollars in the last 30 days, by plan; without requests
    that had a price a plan is left out. One query over days."""
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(
        days=DAYS - 1
    )
    rows = (
        Wanted(start=start)
        .rollups(grain=DAY)
        .filter(plan_id__in=plan_ids)
        .values_list("plan_id")
        .annotate(sum_saved=SUMS["saved"])
    )
    return {plan: saved for plan, saved in rows if saved is not None}


def key_uses(key_ids: Collection[int]) -> dict[int, tuple[int, datetime]]:
    """By virtual key: requests in the last 24 hours (whole hours),
    and when the latest in 90 days was made. Refused ones count: somebody holds the key."""
    now = datetime.now(UTC)
    rows = Rollup.objects.filter(cut=FULL, key_id__in=key_ids).order_by()
    days = (
        rows.filter(grain=DAY, at__gte=now - USED_WITHIN)
        .values_list("key_id")
        .annotate(last=Max("last_at"))
    )
    hours = rows.filter(grain=HOUR, at__gte=floor(now - timedelta(days=1), HOUR))
    lately = dict(hours.values_list("key_id").annotate(found=Sum("requests")))
    return {key: (lately.get(key, 0), last) for key, last in days}
