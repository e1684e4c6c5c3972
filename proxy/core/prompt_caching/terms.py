"""What `"when": "saves"` decides by, for one request: prices, what the provider still holds, and how long this tenant's chats last."""

import time
from dataclasses import replace

from plans.pricing import Price
from proxy.core.compression.turn_forecast import ahead
from proxy.core.compression.types import Terms
from proxy.core.prompt_caching.conversations import Known, Sent, tempered

# Without use OpenAI keeps a prefix for five to ten minutes and Anthropic for five (`evaluation.rules` cites their pages). Of others
# little is published. A warm chat taken for a cold one is cut too early at worst.
HELD_SECONDS = 600.0
HELD_BY = {"anthropic": 300.0}


def outlook(price: Price | None, known: Known | None, *, provider: str = "", now: float | None = None) -> Terms:
    """The terms of a request. `known` None: nobody could say, so the provider is taken to hold the chat. Without a price nothing is
    known to be cheaper when cached."""
    read, write = listed(price), premium(price)
    if known is None:
        return Terms(read=read, write=write, ahead=ahead({}))
    terms = Terms(read=tempered(read, known), write=write, ahead=ahead(known.requests), held=False)
    if (last := known.last) is None:
        return terms
    return replace(terms, held=held(last, provider, now), last=last.how, recalled=last.recalled, searched=last.searched)


def listed(price: Price | None) -> float:
    """The price of a cached input token over that of a fresh one, by the price list; 1.0 where there is no discount."""
    if price is None or price.cached_input is None or not price.input:
        return 1.0
    return min(1.0, float(price.cached_input / price.input))


def premium(price: Price | None) -> float:
    """The price of a token that the provider writes into its prefix cache over that of a fresh one; 1.0 where none is known."""
    if price is None or price.cache_write is None or not price.input:
        return 1.0
    return max(1.0, float(price.cache_write / price.input))


def held(sent: Sent, provider: str, now: float | None = None) -> bool:
    """Whether the provider, by the id of its prices, still has what was sent."""
    return (time.time() if now is None else now) - sent.at <= HELD_BY.get(provider, HELD_SECONDS)
