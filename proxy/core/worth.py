"""What one call was worth: tokens and dollars, billed, served and saved, never mixed.

On a hit the provider bills nothing and the request would have cost the whole prompt as asked plus the stored answer. On a miss that
something was cut from it would have cost the whole prompt too; a request that nothing was cut from costs what it would have. The whole
prompt is priced as the provider would have: with the discount for what it held of the chat (`proxy.core.warm`), which cutting loses. An
expired answer saves nothing where the provider is asked all the same, before it or after it. A sample answers nobody: all that is
billed for it is spent on saving. What the provider says it charged is the bill, whatever the price list says. What a call costs that was
given up before its answer is not known, which is not nothing.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from plans.pricing import NO_DETAILS, Details, Price
from proxy.core.chat import text_of
from proxy.core.exchange import Call, Live, Stored, Usage, revise
from proxy.core.ports import Cut
from proxy.core.tokens import PER_MESSAGE, count_text, encoding_for
from proxy.core.warm import keeps, warm_tokens

ANSWER_DETAILS: Final = ("output_audio", "output_image", "output_video", "reasoning", "citation", "searches")


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """Token counts, and US dollars or None where the model has no price."""

    asked: int
    served: int
    saved: int
    would: Decimal | None
    billed: Decimal | None
    spent: Decimal = Decimal(0)

    @property
    def cost_saved(self) -> Decimal | None:
        return None if self.would is None or self.billed is None else self.would - self.billed - self.spent


def worth(call: Call) -> Worth:
    """The worth of a call as far as it is known: before a stream ended, only what was cut."""
    price = call.route.price if call.route else None
    if call.tier == "sample":
        return _sample(call)
    if isinstance(call.answer, Stored):
        # Whatever stands in a store must not cost the row.
        asked, served = max(0, call.answer.asked_tokens), max(0, call.answer.envelope.completion_tokens)
        nothing = Decimal(0) if price else None
        if call.refresh or call.attempts:
            return Worth(asked=0, served=served, saved=0, would=nothing, billed=None if call.given_up else nothing)
        would = price.cost(prompt=asked, completion=served, cached=warm_tokens(call, asked), at=call.at) if price else None
        return Worth(asked=asked, served=served, saved=asked + served, would=would, billed=nothing)
    usage, cut = call.usage, tokens_cut(call)
    billed = bill(call)
    would = _whole(call, usage.prompt + cut, price) if cut and price else billed
    return Worth(asked=usage.prompt + cut, served=usage.completion, saved=cut, would=would, billed=None if call.given_up else billed)


def bill(call: Call) -> Decimal | None:
    """What the provider takes for the call: what it says it took, else by the price list; None where neither says anything."""
    usage, price = call.usage, call.route.price if call.route else None
    if usage.charged is not None:
        return usage.charged
    return None if price is None else _listed(call, price)


def _listed(call: Call, price: Price, details: Details | None = None) -> Decimal:
    """By the price list. `details`: others than those of the usage."""
    usage = call.usage
    if not call.attempts and not (usage.prompt or usage.completion):
        return Decimal(0)  # nobody was asked: no sum for each request either
    return price.cost(
        prompt=usage.prompt,
        completion=usage.completion,
        cached=usage.cached,
        written=usage.written,
        details=usage.details if details is None else details,
        at=call.at,
        service_tier=usage.service_tier,
    )


def foretold(call: Call) -> Worth:
    """The worth before a stream has begun, for its headers: a cut prompt is taken to be billed as it was counted, in full."""
    cut = call.cut
    if isinstance(call.answer, Live) and cut is not None and cut.messages is not None and not call.usage.prompt:
        call = revise(call, usage=Usage(prompt=cut.after))
    return worth(call)


def _whole(call: Call, asked: int, price: Price) -> Decimal:
    """What the request would have cost whole. What the cut prompt began with, the whole one does too, so that is no less warm; and a
    provider that charges for writing into its cache would have written the rest."""
    usage, kept = call.usage, keeps(call)
    cached = min(asked, max(usage.cached, warm_tokens(call, asked))) if kept else 0
    written = asked - cached if kept and usage.written else 0
    answered = replace(NO_DETAILS, **{name: getattr(usage.details, name) for name in ANSWER_DETAILS})
    whole = price.cost(
        prompt=asked,
        completion=usage.completion,
        cached=cached,
        written=written,
        details=answered,
        at=call.at,
        service_tier=usage.service_tier,
    )
    listed = _listed(call, price)
    whole += listed - _listed(call, price, answered)  # what audio and the like cost more or less than text, cut or not
    if usage.charged is None:
        return whole
    return whole * usage.charged / listed if listed else usage.charged  # a provider with prices of its own has them for all of it


def forgone(call: Call) -> tuple[int, Decimal | None]:
    """Tokens and dollars that shadow let go: of a hit all that was billed, else of a cut what it would have taken out; of that the part
    that was billed as cached is worth no more."""
    if not call.in_shadow or not call.attempts or call.status >= 400:
        return 0, None
    if call.would is not None:
        return call.usage.prompt + call.usage.completion, worth(call).billed
    cut, price, usage = _taken_out(call.would_cut), call.target.price, call.usage
    if price is None:
        return cut, None
    sent = max(0, usage.prompt - cut)
    cached = min(sent, max(0, usage.cached - cut))
    whole = price.cost(prompt=sent + cut, completion=0, cached=min(sent + cut, usage.cached), at=call.at)
    return cut, whole - price.cost(prompt=sent, completion=0, cached=cached, at=call.at)


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


def _sample(call: Call) -> Worth:
    tokens, spent = call.usage.prompt + call.usage.completion, bill(call)
    if spent is None or call.given_up:
        return Worth(asked=0, served=0, saved=-tokens, would=None, billed=None)
    return Worth(asked=0, served=0, saved=-tokens, would=Decimal(0), billed=Decimal(0), spent=spent)


def tokens_cut(call: Call) -> int:
    """Prompt tokens that compression took out, 0 when it did nothing or nothing was sent."""
    return _taken_out(call.cut) if call.attempts and call.status < 400 else 0


def _taken_out(cut: Cut | None) -> int:
    return 0 if cut is None or cut.messages is None else max(0, cut.before - cut.after)
