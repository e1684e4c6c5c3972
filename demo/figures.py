"""What a replay showed, per plan and in total: the numbers of the table and of the JSON file."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from demo.replay import HIT_TIERS, Outcome, answered_label


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Counts are requests, tokens are prompt tokens as the provider bills them, times milliseconds;
    None where nothing was measured."""

    requests: int
    exact_hits: int
    semantic_hits: int
    wrong_hits: int
    unlabelled_hits: int
    compressed: int
    input_tokens_before: int
    input_tokens_after: int
    cost_before_usd: Decimal | None
    cost_after_usd: Decimal | None
    exact_hit_p50_ms: float | None
    exact_hit_p99_ms: float | None
    semantic_hit_p50_ms: float | None
    semantic_hit_p99_ms: float | None
    miss_added_p50_ms: float | None
    miss_added_p99_ms: float | None

    def as_json(self) -> dict[str, Any]:
        """All fields but the 99th percentiles, dollars as numbers."""
        values = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if "_p99_" not in field.name
        }
        return {
            name: float(value) if isinstance(value, Decimal) else value
            for name, value in values.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What the gateway's ledger says of some requests:
    the part of the table that a client cannot see for itself."""

    requests: int
    exact_hits: int
    semantic_hits: int
    compressed: int
    tokens_saved: int
    cost_saved: Decimal | None
    tokens_before: int
    tokens_after: int
    completion_tokens: int
    cost_before: Decimal | None
    cost_after: Decimal | None

    def __add__(self, other: "Bill") -> "Bill":
        return Bill(
            **{
                field.name: _plus(getattr(self, field.name), getattr(other, field.name))
                for field in fields(self)
            }
        )


def _plus(a: Any, b: Any) -> Any:
    if a is None or b is None:
        return a if b is None else b
    return a + b


def figures(outcomes: Sequence[Outcome], bill: Bill, known: Mapping[str, str]) -> Figures:
    """Counts and times as the client saw them, tokens and dollars from the bill.

    `known`: see `demo.replay.origins`.
    """
    exact = [outcome for outcome in outcomes if outcome.tier == "exact"]
    semantic = [outcome for outcome in outcomes if outcome.tier == "semantic"]
    misses = [outcome for outcome in outcomes if outcome.tier not in HIT_TIERS]
    verdicts = [
        outcome.question.verdict(answered_label(outcome, known)) for outcome in exact + semantic
    ]
    exact_ms, semantic_ms, added = (
        [o.ms for o in exact],
        [o.ms for o in semantic],
        [o.overhead_ms for o in misses],
    )
    return Figures(
        requests=len(outcomes),
        exact_hits=len(exact),
        semantic_hits=len(semantic),
        wrong_hits=verdicts.count("wrong"),
        unlabelled_hits=verdicts.count("unlabelled"),
        compressed=sum(outcome.compressed for outcome in outcomes),
        input_tokens_before=bill.tokens_before,
        input_tokens_after=bill.tokens_after,
        cost_before_usd=bill.cost_before,
        cost_after_usd=bill.cost_after,
        exact_hit_p50_ms=percentile(exact_ms, 50),
        exact_hit_p99_ms=percentile(exact_ms, 99),
        semantic_hit_p50_ms=percentile(semantic_ms, 50),
        semantic_hit_p99_ms=percentile(semantic_ms, 99),
        miss_added_p50_ms=percentile(added, 50),
        miss_added_p99_ms=percentile(added, 99),
    )


def percentile(values: Sequence[float], rank: float) -> float | None:
    """Nearest-rank percentile, rounded to a hundredth; None of nothing."""
    if not values:
        return None
    return round(sorted(values)[math.ceil(rank / 100 * len(values)) - 1], 2)
