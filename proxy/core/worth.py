"""What one call was worth: tokens and dollars, billed, served and saved, never mixed.

On a hit the provider bills nothing and the request would have cost the whole prompt as asked plus the stored answer. On a miss it
would have cost what was billed plus the cut tokens at list price: a request that nothing was cut from costs what it would have.
"""

from dataclasses import dataclass
from decimal import Decimal

from proxy.core.chat import text_of
from proxy.core.exchange import Call, Stored
from proxy.core.tokens import PER_MESSAGE, count_text, encoding_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """Token counts, and US dollars or None where the model has no price."""

    asked: int
    served: int
    saved: int
    would: Decimal | None
    billed: Decimal | None

    @property
    def cost_saved(self) -> Decimal | None:
        return None if self.would is None or self.billed is None else self.would - self.billed


def worth(call: Call) -> Worth:
    """The worth of a call as far as it is known: before a stream ended, only what was cut."""
    price = call.route.price if call.route else None
    if isinstance(call.answer, Stored):
        asked, served = call.answer.asked_tokens, call.answer.envelope.completion_tokens
        would = price.cost(prompt=asked, completion=served) if price else None
        return Worth(asked=asked, served=served, saved=asked + served, would=would, billed=Decimal(0) if price else None)
    usage, cut = call.usage, tokens_cut(call)
    billed = None
    if price:
        billed = price.cost(prompt=usage.prompt, completion=usage.completion, cached=usage.cached, written=usage.written)
    would = billed + price.cost(prompt=cut, completion=0) if cut and price and billed is not None else billed
    return Worth(asked=usage.prompt + cut, served=usage.completion, saved=cut, would=would, billed=billed)


def compared_tokens(call: Call) -> int:
    """Tokens of what the semantic tier compares by meaning or not at all: the question, or all turns where the earlier ones may differ. A
    stored prompt differs from the one asked by no more than that."""
    if call.question is None or call.plan is None or call.plan.cache is None:
        return 0
    encoding, _ = encoding_for(call.target.model)
    if call.window is None and call.plan.cache.context != "last_message":
        return count_text(call.question, encoding)
    turns = [message for message in call.asked.messages if message["role"] in ("user", "assistant")]
    return sum(PER_MESSAGE + count_text(text_of(turn) or "", encoding) for turn in turns)


def tokens_cut(call: Call) -> int:
    """Prompt tokens that compression took out, 0 when it did nothing or nothing was sent."""
    if call.cut is None or call.cut.messages is None or not call.attempts or call.status >= 400:
        return 0
    return max(0, call.cut.before - call.cut.after)
