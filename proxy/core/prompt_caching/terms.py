"""Derive the terms by which `"when": "saves"` decides on one request."""

import time
from dataclasses import replace

from plans.pricing import Price
from proxy.core.compression.results import CompressionTerms
from proxy.core.compression.turn_forecast import forecast_turns
from proxy.core.prompt_caching.conversations import (
    ConversationHistory,
    LastPrompt,
    observed_price_ratio,
)
from proxy.core.providers import get_provider


def compression_terms(
    price: Price | None,
    known: ConversationHistory | None,
    *,
    provider: str = "",
    now: float | None = None,
) -> CompressionTerms:
    """Return the compression terms of a request.

    `known` None: the history is unavailable, so the prefix is taken as warm. Without a price
    caching gives no discount.
    """
    read, write = cached_price_ratio(price), cache_write_ratio(price)
    if known is None:
        return CompressionTerms(
            cached_price_ratio=read, cache_write_ratio=write, turn_forecast=forecast_turns({})
        )
    terms = CompressionTerms(
        cached_price_ratio=observed_price_ratio(read, known),
        cache_write_ratio=write,
        turn_forecast=forecast_turns(known.requests_by_turn),
        prefix_is_warm=False,
    )
    if (last := known.last_prompt) is None:
        return terms
    return replace(
        terms,
        prefix_is_warm=prefix_is_warm(last, provider, now),
        last_sent=last.form,
        retrieved_tokens=last.retrieved_tokens,
        searched_tokens=last.searched_tokens,
    )


def cached_price_ratio(price: Price | None) -> float:
    """Return the list price of a cached over a fresh input token; 1.0 without a discount."""
    if price is None or price.cached_input is None or not price.input:
        return 1.0
    return min(1.0, float(price.cached_input / price.input))


def cache_write_ratio(price: Price | None) -> float:
    """Return the list price of a written over a fresh input token; 1.0 if unknown."""
    if price is None or price.cache_write is None or not price.input:
        return 1.0
    return max(1.0, float(price.cache_write / price.input))


def prefix_is_warm(sent: LastPrompt, provider: str, now: float | None = None) -> bool:
    """Return whether the provider should still cache what was sent.

    `provider`: its id in the price list.
    """
    asked_at = time.time() if now is None else now
    return asked_at - sent.sent_at <= get_provider(provider).prefix_lifetime_seconds
