"""Decide whether compressing a chat pays, in units of one fresh input token."""

from collections.abc import Sequence
from dataclasses import dataclass

from plans.snapshot import CompressionSettings
from proxy.core.compression.algorithm_registry import ENGINES
from proxy.core.compression.layout import (
    HIGH_WATER_SHARE,
    LOW_WATER_SHARE,
    MAX_RETRIEVED_SHARE,
    max_block_tokens,
)
from proxy.core.compression.results import CompressionTerms
from proxy.core.compression.turn_forecast import expected_turns


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutSizes:
    """Token sizes of the parts of a compressed prompt."""

    # System text, which is sent whether or not the chat is compressed.
    head_tokens: int
    block_tokens: int
    # Recent turns right after the frozen boundary moves, and right before.
    low_water_tokens: int
    high_water_tokens: int
    # Upper bounds.
    max_retrieved_tokens: int
    budget_tokens: int

    @classmethod
    def for_settings(cls, settings: CompressionSettings, head: int = 0) -> "LayoutSizes":
        """Return the sizes for a plan's settings and `head` tokens of system text."""
        engine, budget = ENGINES[settings.engine], settings.max_input_tokens
        # Such an engine keeps other messages each turn: no prefix stays the same.
        if engine.grain == "message":
            return cls(
                head_tokens=head,
                block_tokens=0,
                low_water_tokens=0,
                high_water_tokens=0,
                max_retrieved_tokens=budget,
                budget_tokens=budget,
            )
        block = max_block_tokens(
            budget, focused=settings.focus == "question" and engine.focus is not None
        )
        low, high, recalled = (
            round(share * budget)
            for share in (LOW_WATER_SHARE, HIGH_WATER_SHARE, MAX_RETRIEVED_SHARE)
        )
        return cls(
            head_tokens=head,
            block_tokens=block,
            low_water_tokens=low,
            high_water_tokens=high,
            max_retrieved_tokens=recalled,
            budget_tokens=budget,
        )

    def count_prefix_tokens(self, recent: int) -> int:
        """Count the tokens that stay the same until the frozen boundary next moves."""
        return self.head_tokens + self.block_tokens + recent

    def count_fresh_tokens(self, recent: int) -> int:
        """Return the most tokens retrieved beside `recent` tokens of recent turns."""
        return max(
            0, min(self.max_retrieved_tokens, self.budget_tokens - self.count_prefix_tokens(recent))
        )


# Compression for `"when": "saves"`.
#
# Sent whole, a chat of H tokens costs r H a turn while the provider caches it, r being the price of
# a cached token over that of a fresh one, and H when it does not. Compressed, what is new to the
# provider is written once, and each turn costs r for the prefix that stays (system text, frozen
# block, recent turns) and the full price for what was retrieved for its question. With w the
# premium for writing, C the prefix, R the retrieved, k the turns still to be expected and m what is
# written twice (a turn behind what was retrieved and, one turn later, before it; all of the prefix
# each time the recent turns reach their high water), compressing pays when
#
#     w C + R + k (r C + R + m) < (k + 1) r H       while the provider caches the chat,
#     w C + R + k (r C + R + m) < w H + k r H       when it does not: at first contact, or after a
#                                                   pause longer than it caches a prefix.
#
# k is only an expectation, so it is bounded. What compressing a warm chat costs at first must come
# back in a quarter of the turns expected (`WARM_PAYBACK_FACTOR`), which two of three chats reach
# when as many are expected as there were. A chat may end right now: then compression must not have
# cost more than a hundredth of what the chat cost so far, as in ski rental (Karlin, Manasse,
# Rudolph and Sleator 1988), but with a much smaller ratio. And compression that pays only because
# the provider's cache was cold, and loses at every later turn, must still pay after
# `COLD_TURNS_FACTOR` times the turns expected, which by Markov's inequality at most one chat in
# `COLD_TURNS_FACTOR` exceeds.
#
# What was compressed stays compressed: going back would write H. H only grows, so all turns of the
# chat are looked at again: what paid at an earlier one pays now, and no state is needed to know
# that. What the provider has cached is the exception, see `CompressionTerms`.

# The share of its cost so far that a chat may lose by compression, whenever it ends.
MAX_LOSS_SHARE = 0.01
COLD_TURNS_FACTOR = 8.0
WARM_PAYBACK_FACTOR = 4.0
# The prior: so many turns that retrieve all there is room for are added to the observed ones.
RETRIEVAL_PRIOR_TURNS = 16
# A chat that returns to many earlier topics retrieves more than it did.
RETRIEVAL_MARGIN = 1.25


def compression_pays(asked: Sequence[int], sizes: LayoutSizes, terms: CompressionTerms) -> bool:
    """Return whether to compress now.

    `asked`: tokens of the whole prompt at each turn of the chat so far, the present one last.
    """
    if len(asked) < 2:
        return False
    if terms.last_sent == "cut":
        return True
    costs = _BreakEvenCosts(sizes, terms)
    if terms.prefix_is_warm is False and costs.pays_cold(asked):
        return True
    return costs.pays_warm(asked)


class _BreakEvenCosts:
    """The costs of the formulas above for given sizes and terms."""

    # What the present turn adds costs the same either way.
    def __init__(self, sizes: LayoutSizes, terms: CompressionTerms) -> None:
        self.terms, self.budget = terms, sizes.budget_tokens
        self.water_gap_tokens = max(1, sizes.high_water_tokens - sizes.low_water_tokens)
        self.rewritten_tokens = sizes.block_tokens + sizes.low_water_tokens
        low, high = (
            sizes.count_prefix_tokens(sizes.low_water_tokens),
            sizes.count_prefix_tokens(sizes.high_water_tokens),
        )
        self.first_turn_cost = (
            self._price_sent_prefix(sizes.head_tokens)
            + terms.cache_write_ratio * (high - sizes.head_tokens)
            + sizes.count_fresh_tokens(sizes.high_water_tokens)
        )
        self.max_retrieved_tokens = (
            sizes.count_fresh_tokens(sizes.low_water_tokens)
            + sizes.count_fresh_tokens(sizes.high_water_tokens)
        ) / 2
        self.later_prefix_cost = self._average_prefix_cost(low, high)

    def pays_warm(self, asked: Sequence[int]) -> bool:
        """Return whether compressing pays now or did at an earlier turn, with a warm prefix."""
        before = asked[0]
        spent = self.terms.cache_write_ratio * before
        for turn, whole in enumerate(asked[1:], 2):
            spent += self._price_sent_prefix(before) + self.terms.cache_write_ratio * max(
                0, whole - before
            )
            extra = self.first_turn_cost - self._price_sent_prefix(before)
            gain = self.terms.cached_price_ratio * whole - self._estimate_turn_cost(
                whole, (whole - asked[0]) / (turn - 1)
            )
            if (
                whole > self.budget
                and gain > 0
                and WARM_PAYBACK_FACTOR * extra
                < expected_turns(turn, self.terms.turn_forecast) * gain
                and extra <= MAX_LOSS_SHARE * spent
            ):
                return True
            before = whole
        return False

    def pays_cold(self, asked: Sequence[int]) -> bool:
        """Return whether compressing pays now, with nothing in the provider's cache."""
        turns = len(asked)
        gained = self.terms.cache_write_ratio * asked[-2] - self.first_turn_cost
        loss = (
            self._estimate_turn_cost(asked[-1], (asked[-1] - asked[0]) / (turns - 1))
            - self.terms.cached_price_ratio * asked[-1]
        )
        return (
            gained > 0
            and gained > COLD_TURNS_FACTOR * expected_turns(turns, self.terms.turn_forecast) * loss
        )

    def _estimate_turn_cost(self, whole: int, grown: float) -> float:
        """Estimate the cost of a later turn of a compressed chat.

        `whole`: tokens of the chat; `grown`: tokens that each turn adds.
        """
        # New tokens are written behind what was retrieved, and again before it when other pieces
        # are retrieved.
        again = grown + self.rewritten_tokens * min(1.0, grown / self.water_gap_tokens)
        return (
            self.later_prefix_cost
            + self._estimate_retrieved(whole)
            + (self.terms.cache_write_ratio - self.terms.cached_price_ratio) * again
        )

    def _estimate_retrieved(self, whole: int) -> float:
        """Estimate the tokens a turn retrieves, which grow with the chat."""
        terms = self.terms
        return min(
            self.max_retrieved_tokens,
            RETRIEVAL_MARGIN
            * whole
            * (terms.retrieved_tokens + RETRIEVAL_PRIOR_TURNS * self.max_retrieved_tokens)
            / (terms.searched_tokens + RETRIEVAL_PRIOR_TURNS * whole),
        )

    def _price_sent_prefix(self, tokens: float) -> float:
        """Return the cost of a prefix that the provider was sent before."""
        # The prefix of a later turn is longer, so it is taken as long enough to be cached.
        return (
            self.terms.cached_price_ratio if tokens >= self.terms.min_cacheable_tokens else 1.0
        ) * tokens

    def _average_prefix_cost(self, low: int, high: int) -> float:
        """Return the average cost of a prefix that grows from `low` to `high` tokens."""
        warm = max(low, min(high, self.terms.min_cacheable_tokens))
        share = (
            (high - warm) / (high - low)
            if high > low
            else float(high >= self.terms.min_cacheable_tokens)
        )
        return (
            share * self.terms.cached_price_ratio * (warm + high) / 2
            + (1 - share) * (low + warm) / 2
        )
