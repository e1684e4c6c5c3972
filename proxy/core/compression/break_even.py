"""Whether it pays to cut a chat. Pure arithmetic in units of one fresh input token."""

from collections.abc import Sequence
from dataclasses import dataclass

from plans.snapshot import CompressionSettings
from proxy.core.compression.layout import HIGH, LOW, RECALL, block_share
from proxy.core.compression.registry import ENGINES
from proxy.core.compression.turn_forecast import expected
from proxy.core.compression.types import Terms

# What is sent of a cut chat, in tokens, before it is cut.


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """`head`: system text, the same cut or whole; `block`; `low` and `high` water of the recent
    turns; `recalled`, at most; `budget` for all."""

    head: int
    block: int
    low: int
    high: int
    recalled: int
    budget: int

    @classmethod
    def of(cls, settings: CompressionSettings, head: int = 0) -> "Sizes":
        """What a chat is cut to by a plan. An engine that keeps whole messages keeps others each turn: nothing stays the same."""
        engine, budget = ENGINES[settings.engine], settings.max_input_tokens
        if engine.grain == "message":
            return cls(head=head, block=0, low=0, high=0, recalled=budget, budget=budget)
        block = block_share(budget, focused=settings.focus == "question" and engine.focus is not None)
        low, high, recalled = (round(share * budget) for share in (LOW, HIGH, RECALL))
        return cls(head=head, block=block, low=low, high=high, recalled=recalled, budget=budget)

    def prefix(self, recent: int) -> int:
        """What stays the same until the next mark."""
        return self.head + self.block + recent

    def fresh(self, recent: int) -> int:
        """What is recalled beside so many tokens of recent turns, at most."""
        return max(0, min(self.recalled, self.budget - self.prefix(recent)))


# Whether it pays to cut a chat, for `"when": "saves"`. Pure arithmetic in units of one fresh input
# token.
#
# Sent whole, a chat of H tokens costs r H a turn while the provider holds it, r being the price of
# a cached token over that of a fresh one, and H when it does not. Cut, what is new to the provider
# is written once, and each turn costs r for the prefix that stays (system text, frozen block,
# recent turns) and the whole price for what was recalled for its question. With w the premium for
# writing, C the prefix, R the recalled, k the turns still to be expected and m what is written
# twice (a turn behind what was recalled and, one turn later, before it; all of the prefix each time
# the recent turns reach their high water), cutting pays when
#
#     w C + R + k (r C + R + m) < (k + 1) r H       while the provider holds the chat,
#     w C + R + k (r C + R + m) < w H + k r H       when it does not: at first contact, or after a longer rest than it keeps a prefix.
#
# k is only an expectation, so bounds stand beside it. What a warm chat's cut costs at first must
# come back in a quarter of the turns expected (`HASTE`), which two of three chats reach when as
# many are expected as there were. A chat may end right now: then cutting must not have cost more
# than a hundredth of what the chat cost so far, as in ski rental (Karlin, Manasse, Rudolph and
# Sleator 1988), but with a much smaller ratio. And a cut that pays only because the provider was
# cold, and loses at every later turn, must still pay after `PATIENCE` times the turns expected,
# which by Markov's inequality at most one chat in `PATIENCE` exceeds.
#
# What was cut stays cut: going back would write H. H only grows, so all turns of the chat are
# looked at again: what paid at an earlier one pays now, and no state is needed to know that. What
# the provider holds is the exception, see `Terms`.

# What a chat may have cost more than whole, whenever it ends.
RISK = 0.01
PATIENCE = 8.0
HASTE = 4.0
# So many turns of recalling all there is room for are added to what a chat's turns recalled.
DOUBT = 16
# A chat that comes to speak of much it spoke of before recalls more than it did.
MARGIN = 1.25


def pays(asked: Sequence[int], sizes: Sizes, terms: Terms) -> bool:
    """Whether to cut now. `asked`: tokens of the whole prompt at each turn of the chat so far, the present one last."""
    if len(asked) < 2:
        return False
    if terms.last == "cut":
        return True
    costs = _Costs(sizes, terms)
    if terms.held is False and costs.pays_cold(asked):
        return True
    return costs.paid(asked)


class _Costs:
    """The sums of the module's text for sizes and one set of terms. What the present turn adds costs the same either way."""

    def __init__(self, sizes: Sizes, terms: Terms) -> None:
        self.terms, self.budget = terms, sizes.budget
        self.gap = max(1, sizes.high - sizes.low)
        self.rewritten = sizes.block + sizes.low
        low, high = sizes.prefix(sizes.low), sizes.prefix(sizes.high)
        self.now = self._sent(sizes.head) + terms.write * (high - sizes.head) + sizes.fresh(sizes.high)
        self.most = (sizes.fresh(sizes.low) + sizes.fresh(sizes.high)) / 2
        self.later = self._between(low, high)

    def paid(self, asked: Sequence[int]) -> bool:
        """Whether cutting pays at this turn or did at an earlier one, the provider holding the chat."""
        before = asked[0]
        spent = self.terms.write * before
        for turn, whole in enumerate(asked[1:], 2):
            spent += self._sent(before) + self.terms.write * max(0, whole - before)
            extra = self.now - self._sent(before)
            gain = self.terms.read * whole - self._turn(whole, (whole - asked[0]) / (turn - 1))
            if whole > self.budget and gain > 0 and HASTE * extra < expected(turn, self.terms.ahead) * gain and extra <= RISK * spent:
                return True
            before = whole
        return False

    def pays_cold(self, asked: Sequence[int]) -> bool:
        """Whether it pays now, the provider holding nothing."""
        turns = len(asked)
        gained = self.terms.write * asked[-2] - self.now
        loss = self._turn(asked[-1], (asked[-1] - asked[0]) / (turns - 1)) - self.terms.read * asked[-1]
        return gained > 0 and gained > PATIENCE * expected(turns, self.terms.ahead) * loss

    def _turn(self, whole: int, grown: float) -> float:
        """A later turn of a cut chat of so many tokens, to which each turn adds so many. They are written behind what was recalled, and
        again before it when that is another."""
        again = grown + self.rewritten * min(1.0, grown / self.gap)
        return self.later + self._recalled(whole) + (self.terms.write - self.terms.read) * again

    def _recalled(self, whole: int) -> float:
        """What a turn recalls: the longer the chat, the more there is to recall."""
        terms = self.terms
        return min(self.most, MARGIN * whole * (terms.recalled + DOUBT * self.most) / (terms.searched + DOUBT * whole))

    def _sent(self, tokens: float) -> float:
        """A prefix the provider was sent before. That of a later turn is longer, so it is taken as long enough to be held."""
        return (self.terms.read if tokens >= self.terms.minimum else 1.0) * tokens

    def _between(self, low: int, high: int) -> float:
        """A prefix that grows from `low` to `high`, on average."""
        warm = max(low, min(high, self.terms.minimum))
        share = (high - warm) / (high - low) if high > low else float(high >= self.terms.minimum)
        return share * self.terms.read * (warm + high) / 2 + (1 - share) * (low + warm) / 2
