"""What one call was worth in tokens and dollars, and what the provider had cached of it."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from plans.pricing import NO_TOKEN_DETAILS, Price, TokenDetails
from proxy.core.answers import CachedAnswer
from proxy.core.compression.types import CompressionResult
from proxy.core.formats.chat_completions import extract_text
from proxy.core.formats.usage import Usage
from proxy.core.prompt_caching.breakpoints import (
    BREAKPOINT_PROVIDERS,
    has_breakpoint,
    reads_breakpoints,
)
from proxy.core.prompt_caching.terms import (
    PREFIX_LIFETIME_SECONDS,
    PREFIX_LIFETIME_SECONDS_BY_PROVIDER,
    prefix_is_warm,
)
from proxy.core.tokens import TOKENS_PER_MESSAGE, count_characters, count_text, find_encoding
from proxy.pipeline.call import Call, StreamingAnswer, evolve

# What one call was worth: tokens and dollars, billed, served and saved, never mixed.
#
# On a hit the provider bills nothing and the request would have cost the whole prompt as asked plus
# the stored answer. On a miss that something was cut from it would have cost the whole prompt too;
# a request that nothing was cut from costs what it would have. The whole prompt is priced as the
# provider would have: with the discount for what it held of the chat (`proxy.pipeline.accounting`),
# which cutting loses. An expired answer saves nothing where the provider is asked all the same,
# before it or after it. A sample answers nobody: all that is billed for it is spent on saving. What
# the provider says it charged is the bill, whatever the price list says. What a call costs that was
# given up before its answer is not known, which is not nothing.

ANSWER_DETAILS: Final = (
    "output_audio",
    "output_image",
    "output_video",
    "reasoning",
    "citation",
    "searches",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Savings:
    """Token counts, and US dollars or None where the model has no price."""

    prompt_tokens: int
    served_tokens: int
    saved_tokens: int
    baseline_cost: Decimal | None
    billed_cost: Decimal | None
    sampling_cost: Decimal = Decimal(0)

    @property
    def cost_saved(self) -> Decimal | None:
        return (
            None
            if self.baseline_cost is None or self.billed_cost is None
            else self.baseline_cost - self.billed_cost - self.sampling_cost
        )


def savings(call: Call) -> Savings:
    """The worth of a call as far as it is known: before a stream ended, only what was cut."""
    price = call.route.price if call.route else None
    if call.tier == "sample":
        return _sampling_savings(call)
    if isinstance(call.answer, CachedAnswer):
        # Whatever stands in a store must not cost the row.
        asked, served = (
            max(0, call.answer.prompt_tokens),
            max(0, call.answer.envelope.completion_tokens),
        )
        nothing = Decimal(0) if price else None
        if call.needs_revalidation or call.attempts:
            return Savings(
                prompt_tokens=0,
                served_tokens=served,
                saved_tokens=0,
                baseline_cost=nothing,
                billed_cost=None if call.abandoned else nothing,
            )
        would = (
            price.compute_cost(
                prompt=asked,
                completion=served,
                cached=expected_cached_tokens(call, asked),
                at=call.at,
            )
            if price
            else None
        )
        return Savings(
            prompt_tokens=asked,
            served_tokens=served,
            saved_tokens=asked + served,
            baseline_cost=would,
            billed_cost=nothing,
        )
    usage, cut = call.usage, removed_tokens(call)
    billed = billed_amount(call)
    would = _uncompressed_cost(call, usage.prompt_tokens + cut, price) if cut and price else billed
    return Savings(
        prompt_tokens=usage.prompt_tokens + cut,
        served_tokens=usage.completion_tokens,
        saved_tokens=cut,
        baseline_cost=would,
        billed_cost=None if call.abandoned else billed,
    )


def billed_amount(call: Call) -> Decimal | None:
    """What the provider takes for the call: what it says it took, else by the price list;
    None where neither says anything."""
    usage, price = call.usage, call.route.price if call.route else None
    if usage.charged_usd is not None:
        return usage.charged_usd
    return None if price is None else _list_price(call, price)


def _list_price(call: Call, price: Price, details: TokenDetails | None = None) -> Decimal:
    """By the price list. `details`: others than those of the usage."""
    usage = call.usage
    if not call.attempts and not (usage.prompt_tokens or usage.completion_tokens):
        return Decimal(0)  # nobody was asked: no sum for each request either
    return price.compute_cost(
        prompt=usage.prompt_tokens,
        completion=usage.completion_tokens,
        cached=usage.cached_tokens,
        written=usage.cache_write_tokens,
        details=usage.details if details is None else details,
        at=call.at,
        service_tier=usage.service_tier,
    )


def estimated_savings(call: Call) -> Savings:
    """The worth before a stream has begun, for its headers:
    a cut prompt is taken to be billed as it was counted, in full."""
    cut = call.compression
    if (
        isinstance(call.answer, StreamingAnswer)
        and cut is not None
        and cut.messages is not None
        and not call.usage.prompt_tokens
    ):
        call = evolve(call, usage=Usage(prompt_tokens=cut.after))
    return savings(call)


def _uncompressed_cost(call: Call, asked: int, price: Price) -> Decimal:
    """What the request would have cost whole.

    What the cut prompt began with, the whole one does too, so that is no less warm; and a provider
    that charges for writing into its cache would have written the rest.
    """
    usage, kept = call.usage, has_prefix_cache(call)
    cached = (
        min(asked, max(usage.cached_tokens, expected_cached_tokens(call, asked))) if kept else 0
    )
    written = asked - cached if kept and usage.cache_write_tokens else 0
    answered = replace(
        NO_TOKEN_DETAILS, **{name: getattr(usage.details, name) for name in ANSWER_DETAILS}
    )
    whole = price.compute_cost(
        prompt=asked,
        completion=usage.completion_tokens,
        cached=cached,
        written=written,
        details=answered,
        at=call.at,
        service_tier=usage.service_tier,
    )
    listed = _list_price(call, price)
    # What audio and the like cost more or less than text, cut or not.
    whole += listed - _list_price(call, price, answered)
    if usage.charged_usd is None:
        return whole
    # A provider with prices of its own has them for all of it.
    return whole * usage.charged_usd / listed if listed else usage.charged_usd


def shadow_savings(call: Call) -> tuple[int, Decimal | None]:
    """Tokens and dollars that shadow let go: of a hit all that was billed,
    else of a cut what it would have taken out; of that the part that was billed as cached is worth
    no more."""
    if not call.is_in_shadow or not call.attempts or call.status >= 400:
        return 0, None
    if call.shadow_hit is not None:
        return call.usage.prompt_tokens + call.usage.completion_tokens, savings(call).billed_cost
    cut, price, usage = _removed_by(call.shadow_compression), call.resolved_route.price, call.usage
    if price is None:
        return cut, None
    sent = max(0, usage.prompt_tokens - cut)
    cached = min(sent, max(0, usage.cached_tokens - cut))
    whole = price.compute_cost(
        prompt=sent + cut, completion=0, cached=min(sent + cut, usage.cached_tokens), at=call.at
    )
    return cut, whole - price.compute_cost(prompt=sent, completion=0, cached=cached, at=call.at)


def count_compared_tokens(call: Call) -> int:
    """Tokens of what the semantic tier compares by meaning or not at all:
    the question, or all turns where the earlier ones may differ. A stored prompt differs from the
    one asked by no more than that."""
    if call.question is None or call.plan is None or call.plan.cache is None:
        return 0
    encoding, _ = find_encoding(call.resolved_route.model)
    if call.window is None and call.plan.cache.context != "last_message":
        return count_text(call.question, encoding)
    turns = [
        message
        for message in call.chat_request.messages
        if message["role"] in ("user", "assistant")
    ]
    return sum(
        TOKENS_PER_MESSAGE + count_text(extract_text(turn) or "", encoding) for turn in turns
    )


def _sampling_savings(call: Call) -> Savings:
    tokens, spent = call.usage.prompt_tokens + call.usage.completion_tokens, billed_amount(call)
    if spent is None or call.abandoned:
        return Savings(
            prompt_tokens=0,
            served_tokens=0,
            saved_tokens=-tokens,
            baseline_cost=None,
            billed_cost=None,
        )
    return Savings(
        prompt_tokens=0,
        served_tokens=0,
        saved_tokens=-tokens,
        baseline_cost=Decimal(0),
        billed_cost=Decimal(0),
        sampling_cost=spent,
    )


def removed_tokens(call: Call) -> int:
    """Prompt tokens that compression took out, 0 when it did nothing or nothing was sent."""
    return _removed_by(call.compression) if call.attempts and call.status < 400 else 0


def _removed_by(cut: CompressionResult | None) -> int:
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

MIN_CACHED_TOKENS: Final = 1024
CACHED_TOKENS_STEP: Final = 128


def expected_cached_tokens(call: Call, asked: int) -> int:
    """Of the `prompt_tokens` tokens of the whole prompt those
    that would have been read from the provider's prefix cache; 0 where its price list knows no
    discount."""
    price = call.resolved_route.price
    if (
        price is None
        or price.cached_input is None
        or asked < MIN_CACHED_TOKENS
        or not has_prefix_cache(call)
    ):
        return 0
    tokens = asked if _is_repeated_prompt(call) else int(asked * _previous_turn_share(call))
    return tokens // CACHED_TOKENS_STEP * CACHED_TOKENS_STEP if tokens >= MIN_CACHED_TOKENS else 0


def has_prefix_cache(call: Call) -> bool:
    """Whether the provider remembers prompts as the client sends them."""
    upstream = call.resolved_route.upstream
    return upstream.provider not in BREAKPOINT_PROVIDERS or (
        reads_breakpoints(upstream) and has_breakpoint(call.chat_request.body)
    )


def _is_repeated_prompt(call: Call) -> bool:
    """Whether the very same prompt was sent a moment ago;
    of requests at the same time none finds another's."""
    if call.coalesced or not isinstance(call.answer, CachedAnswer) or call.answer.tier != "exact":
        return False
    return call.at - call.answer.envelope.created_at <= PREFIX_LIFETIME_SECONDS_BY_PROVIDER.get(
        call.resolved_route.upstream.provider, PREFIX_LIFETIME_SECONDS
    )


def _previous_turn_share(call: Call) -> float:
    """Which share of the prompt the turn before sent already, by its characters;
    counting tokens would take too long here. 0 of the first turn, and of a chat that the provider
    is known to hold no more."""
    last = call.conversation.last_prompt if call.conversation else None
    messages = call.chat_request.messages
    ends = max(
        (index for index, message in enumerate(messages) if message.get("role") == "assistant"),
        default=0,
    )
    if not ends or (
        last is not None
        and not prefix_is_warm(last, call.resolved_route.upstream.provider, call.at)
    ):
        return 0.0
    return count_characters(messages[:ends]) / count_characters(messages)
