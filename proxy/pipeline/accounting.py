"""Compute what a call cost and saved, in tokens and dollars, and the provider's cache discount."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from plans.pricing import NO_TOKEN_DETAILS, Price, TokenDetails
from proxy.core.answers import CachedAnswer
from proxy.core.compression.results import CompressionResult
from proxy.core.formats.chat_completions import extract_text
from proxy.core.formats.usage import Usage
from proxy.core.prompt_caching.breakpoints import (
    has_breakpoint,
    reads_breakpoints,
)
from proxy.core.prompt_caching.terms import (
    prefix_is_warm,
)
from proxy.core.providers import get_provider
from proxy.core.tokens import TOKENS_PER_MESSAGE, count_characters, count_text, find_encoding
from proxy.pipeline.call import Call, StreamingAnswer, evolve

# How the amounts of a call are computed. Billed, served and saved are never mixed.
#
# - Hit: the provider bills nothing; the baseline is the whole prompt as asked plus the stored
#   answer.
# - Miss with compression: the baseline is the whole prompt. Without compression it is what was
#   billed.
# - The whole prompt is priced as the provider would have priced it, with the discount for the
#   prefix it had cached (`expected_cached_tokens`); compression loses that discount.
# - An expired answer saves nothing if the provider is called all the same, before or after it.
# - A sample answers no client: everything billed for it is sampling cost.
# - If the provider reports what it charged, that is the bill, whatever the price list says.
# - The cost of a call that was abandoned before its answer is unknown, which is not zero.

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
    """Tokens and costs of a call; costs in US dollars, or None if the model has no price."""

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
    """Compute tokens and costs of a call; only the compression's before a stream has ended."""
    price = call.route.price if call.route else None
    if call.tier == "sample":
        return _sampling_savings(call)
    if isinstance(call.answer, CachedAnswer):
        # A malformed count in a stored envelope must not lose the ledger row.
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
    """Return the dollars that the provider reports as charged, or else by the price list.

    None if the provider reports nothing and the model has no price.
    """
    usage, price = call.usage, call.route.price if call.route else None
    if usage.charged_usd is not None:
        return usage.charged_usd
    return None if price is None else _list_price(call, price)


def _list_price(call: Call, price: Price, details: TokenDetails | None = None) -> Decimal:
    """Price the usage by the price list, with `details` in place of the usage's own if given."""
    usage = call.usage
    if not call.attempts and not (usage.prompt_tokens or usage.completion_tokens):
        return Decimal(0)  # no request was sent, so there is no fee per request either
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
    """Compute the savings for the headers of a stream, before its usage is known."""
    cut = call.compression
    if (
        isinstance(call.answer, StreamingAnswer)
        and cut is not None
        and cut.messages is not None
        and not call.usage.prompt_tokens
    ):
        # A compressed prompt is assumed to be billed in full, as we counted it.
        call = evolve(call, usage=Usage(prompt_tokens=cut.after))
    return savings(call)


def _uncompressed_cost(call: Call, asked: int, price: Price) -> Decimal:
    """Compute what the uncompressed request (`asked` prompt tokens) would have cost."""
    usage, kept = call.usage, has_prefix_cache(call)
    cached = (
        # The uncompressed prompt shares the prefix of the compressed one, so at least as much of it
        # was cached.
        min(asked, max(usage.cached_tokens, expected_cached_tokens(call, asked))) if kept else 0
    )
    # A provider that charges for cache writes would have written the rest.
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
    # Add the surcharge or discount for audio and the like, which applies either way.
    whole += listed - _list_price(call, price, answered)
    if usage.charged_usd is None:
        return whole
    # Scale by the provider's own price if it differs from the list.
    return whole * usage.charged_usd / listed if listed else usage.charged_usd


def shadow_savings(call: Call) -> tuple[int, Decimal | None]:
    """Compute the tokens and dollars that shadow mode did not save.

    For a hit everything that was billed, else the tokens that compression would have removed.
    """
    if not call.is_in_shadow or not call.attempts or call.status >= 400:
        return 0, None
    if call.shadow_hit is not None:
        return call.usage.prompt_tokens + call.usage.completion_tokens, savings(call).billed_cost
    cut, price, usage = _removed_by(call.shadow_compression), call.resolved_route.price, call.usage
    if price is None:
        return cut, None
    # Removed tokens that were billed as cached are valued at the cached price.
    sent = max(0, usage.prompt_tokens - cut)
    cached = min(sent, max(0, usage.cached_tokens - cut))
    whole = price.compute_cost(
        prompt=sent + cut, completion=0, cached=min(sent + cut, usage.cached_tokens), at=call.at
    )
    return cut, whole - price.compute_cost(prompt=sent, completion=0, cached=cached, at=call.at)


def count_compared_tokens(call: Call) -> int:
    """Count the tokens in which a stored prompt may differ from this one under semantic matching.

    The question only, or all turns if earlier turns may differ too.
    """
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
    """Return the prompt tokens that compression removed; 0 if nothing was removed or sent."""
    return _removed_by(call.compression) if call.attempts and call.status < 400 else 0


def _removed_by(cut: CompressionResult | None) -> int:
    return 0 if cut is None or cut.messages is None else max(0, cut.before - cut.after)


# How much of a prompt the provider would have billed at its cached price without a plan. This is a
# model, not a measurement.
#
# Without a plan every turn of a conversation goes to the provider whole, so the prompt of the
# previous turn is still cached when the next one comes, and a repeated identical request is cached
# entirely. Modelled is OpenAI's rule (developers.openai.com/api/docs/guides/prompt-caching:
# prefixes from 1,024 tokens on, in steps of 128). Anthropic caches only up to the breakpoints that
# the client set, so without one nothing is cached. Not modelled: instructions shared by many
# conversations, which makes the modelled saving of first turns too high; and unrecorded pauses
# within a conversation, which makes that of later turns too low. A holdout measures both
# (`stats.analysis.holdout_estimate`).

MIN_CACHED_TOKENS: Final = 1024
CACHED_TOKENS_STEP: Final = 128


def expected_cached_tokens(call: Call, asked: int) -> int:
    """Estimate how many of the `asked` prompt tokens would have been read from the prefix cache.

    0 if the price list has no discount for cached input.
    """
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
    """Whether the provider caches prompts in the form in which the client sends them."""
    upstream = call.resolved_route.upstream
    return not get_provider(upstream.provider).reads_breakpoints or (
        reads_breakpoints(upstream) and has_breakpoint(call.chat_request.body)
    )


def _is_repeated_prompt(call: Call) -> bool:
    """Whether the identical prompt was sent while the provider still has it cached."""
    # Of concurrent identical requests none would have found another's prompt in the cache.
    if call.coalesced or not isinstance(call.answer, CachedAnswer) or call.answer.tier != "exact":
        return False
    provider = get_provider(call.resolved_route.upstream.provider)
    return call.at - call.answer.envelope.created_at <= provider.prefix_lifetime_seconds


def _previous_turn_share(call: Call) -> float:
    """Return the share of the prompt, by characters, that the previous turn already sent.

    0 for a first turn, and for a conversation that the provider no longer has cached.
    """
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
    # Characters, because counting tokens would take too long here.
    return count_characters(messages[:ends]) / count_characters(messages)
