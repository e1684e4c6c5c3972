"""Do all who counted agree?

The client, the gateway's statistics and the upstream's own ledger, each counted for itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from demo.figures import Bill
from demo.replay import HIT_TIERS, Outcome

HEADER_STEP = Decimal("0.000001")  # what rounding may lose of each request's dollars in a header


def disagreements(plan: str, outcomes: Sequence[Outcome], bill: Bill) -> Iterator[str]:
    """One line for each figure of a plan on which the client's headers
    and the gateway's statistics differ."""
    tiers = [outcome.tier for outcome in outcomes]
    yield from unequal(f"{plan}: requests", len(outcomes), "total_requests", bill.requests)
    yield from unequal(
        f"{plan}: exact hits in the headers",
        tiers.count("exact"),
        "in the statistics",
        bill.exact_hits,
    )
    yield from unequal(
        f"{plan}: semantic hits in the headers",
        tiers.count("semantic"),
        "in the statistics",
        bill.semantic_hits,
    )
    compressed = sum(outcome.compressed for outcome in outcomes)
    yield from unequal(
        f"{plan}: compressed requests in the headers",
        compressed,
        "in the statistics",
        bill.compressed,
    )
    saved = sum(outcome.tokens_saved for outcome in outcomes)
    joined = any(outcome.joined for outcome in outcomes)  # then the statistics know of more
    if not joined or saved > bill.tokens_saved:
        yield from unequal(
            f"{plan}: tokens saved in the headers", saved, "tokens_saved", bill.tokens_saved
        )
    if bill.cost_saved is not None:
        cost = sum((outcome.cost_saved for outcome in outcomes), Decimal(0))
        apart = cost - bill.cost_saved if joined else abs(cost - bill.cost_saved)
        if apart > HEADER_STEP * len(outcomes):
            yield f"{plan}: dollars saved in the headers {cost}, cost_saved_usd {bill.cost_saved}"


def mixed_up(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """One line for each answer straight from the upstream that was made for another question:
    no cache may be blamed for these."""
    for outcome in outcomes:
        if outcome.tier not in HIT_TIERS and outcome.made_for not in (None, outcome.question.label):
            yield (
                f"a {outcome.tier} for {outcome.question.label!r} was answered with "
                f"{outcome.made_for!r}"
            )


def ledger_disagreements(
    outcomes: Sequence[Outcome], bill: Bill, ledger: Mapping[str, Any]
) -> Iterator[str]:
    """One line for each figure on which the upstream's own ledger differs from the total
    of the plans."""
    asked = sum(outcome.tier not in HIT_TIERS for outcome in outcomes)
    yield from unequal(
        "misses in the headers", asked, "the upstream's requests", ledger["requests"]
    )
    yield from unequal(
        "prompt tokens sent, by the statistics",
        bill.tokens_after,
        "by the upstream",
        ledger["prompt_tokens"],
    )
    yield from unequal(
        "completion tokens billed, by the statistics",
        bill.completion_tokens,
        "by the upstream",
        ledger["completion_tokens"],
    )


def unequal(name: str, value: int | Decimal, other: str, counted: int | Decimal) -> Iterator[str]:
    """One line when two that counted the same thing differ."""
    if value != counted:
        yield f"{name} {value:,}, {other} {counted:,}"
