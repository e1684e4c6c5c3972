"""What one call was worth in tokens and dollars, and what the provider had cached of it."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from plans.pricing import NO_DETAILS, Details, Price
from proxy.core.answers import Stored
from proxy.core.compression.types import Cut
from proxy.core.formats.chat_completions import text_of
from proxy.core.formats.usage import Usage
from proxy.core.prompt_caching.breakpoints import PROVIDERS, has_breakpoint, reads_breakpoints
from proxy.core.prompt_caching.terms import HELD_BY, HELD_SECONDS, held
from proxy.core.tokens import PER_MESSAGE, characters, count_text, encoding_for
from proxy.pipeline.call import Call, Live, revise

# What one call was worth: tokens and dollars, billed, served and saved, never mixed.
#
# On a hit the provider bills nothing and the request would have cost the whole prompt as asked plus
# the stored answer. On a miss that something was cut from it would have cost the whole prompt too;
# a request that nothing was cut from costs what it would have. The whole prompt is priced as the
# provider would have: with the discount for what it held of the chat (`proxy.pipeline.accounting`), which
# cutting loses. An expired answer saves nothing where the provider is asked all the same, before it
# or after it. A sample answers nobody: all that is billed for it is spent on saving. What the
# provider says it charged is the bill, whatever the price list says. What a call costs that was
# given up before its answer is not known, which is not nothing.

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


# How much of a prompt the provider would have billed at its cached price, had there been no plan. A
# model, not a measurement.
#
# Without a plan every turn of a chat goes to the provider, whole, so the prompt of the turn before
# is warm when the next one comes; and an identical request is warm altogether while the first is
# still held. What is modelled: OpenAI's rule (developers.openai.com/api/docs/guides/ prompt-
# caching: prefixes from 1,024 tokens on, in steps of 128). Anthropic reads only what the client
# marked, so nothing is warm without a mark. Not modelled: instructions that many chats share, which
# makes the modelled saving of first turns too high; and pauses within a chat that nobody noted,
# which makes that of later turns too low. A holdout measures both (`stats.analysis.holdout`).

MINIMUM: Final = 1024
STEP: Final = 128


def warm_tokens(call: Call, asked: int) -> int:
    """Of the `asked` tokens of the whole prompt those that would have been read from the provider's prefix cache; 0 where its price list
    knows no discount."""
    price = call.target.price
    if price is None or price.cached_input is None or asked < MINIMUM or not keeps(call):
        return 0
    tokens = asked if _repeated(call) else int(asked * _share_of_last_turn(call))
    return tokens // STEP * STEP if tokens >= MINIMUM else 0


def keeps(call: Call) -> bool:
    """Whether the provider remembers prompts as the client sends them."""
    upstream = call.target.upstream
    return upstream.provider not in PROVIDERS or (reads_breakpoints(upstream) and has_breakpoint(call.asked.body))


def _repeated(call: Call) -> bool:
    """Whether the very same prompt was sent a moment ago; of requests at the same time none finds another's."""
    if call.collapsed or not isinstance(call.answer, Stored) or call.answer.tier != "exact":
        return False
    return call.at - call.answer.envelope.created_at <= HELD_BY.get(call.target.upstream.provider, HELD_SECONDS)


def _share_of_last_turn(call: Call) -> float:
    """Which share of the prompt the turn before sent already, by its characters; counting tokens would take too long here. 0 of the first
    turn, and of a chat that the provider is known to hold no more."""
    last = call.known.last if call.known else None
    messages = call.asked.messages
    ends = max((index for index, message in enumerate(messages) if message.get("role") == "assistant"), default=0)
    if not ends or (last is not None and not held(last, call.target.upstream.provider, call.at)):
        return 0.0
    return characters(messages[:ends]) / characters(messages)
