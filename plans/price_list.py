"""The published prices of providers, read from the data that come with the package genai-prices.

One price per model is kept, the one that applies to an ordinary call today: of several dates the newest that has begun; of prices
by time of day the one without a condition; of tiers by prompt length the base tier; variants (batch, priority) are left out.
So a very long prompt, or a call at a provider's peak hours, may cost more than the ledger says: edit the row to bill those instead.

The package is imported by who needs it: it takes 30 MB, which a worker can do without as long as every model has a price by its own name.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from plans.pricing import Price

if TYPE_CHECKING:
    from genai_prices import types as listed

MICRO_DOLLAR = Decimal("0.000001")
PriceKey = tuple[str, str]


def published(at: datetime | None = None) -> dict[PriceKey, Price]:
    """Price by (provider id, model id) of every model that bills both prompt and completion tokens, about 2,000.

    Models billed otherwise (embeddings, images, audio by the minute) are left out.
    """
    from genai_prices import data_snapshot

    at = at or datetime.now(UTC)
    prices = {}
    for provider in data_snapshot.get_snapshot().providers:
        for model in provider.models:
            if price := _price(_ordinary(model, at)):
                prices[provider.id, model.id] = price
    return prices


def aliases(provider: str, model: str) -> Iterator[PriceKey]:
    """The listed names of what a provider calls `model`, such as gpt-4o-mini for gpt-4o-mini-2024-07-18; none when it is unknown.

    A provider that resells another's models (Azure those of OpenAI) is followed by the other's name.
    """
    from genai_prices import data_snapshot

    snapshot = data_snapshot.get_snapshot()
    try:
        found, info = snapshot.find_provider_model(model, None, provider, None)
    except LookupError:
        return
    yield found.id, info.id
    yield from ((other, info.id) for other in found.fallback_model_providers or ())


def _ordinary(model: "listed.ModelInfo", at: datetime) -> "listed.ModelPrice":
    from genai_prices import types as listed

    if isinstance(model.prices, listed.ModelPrice):
        return model.prices
    begun = [
        conditional.prices
        for conditional in model.prices
        if conditional.constraint is None
        or (isinstance(conditional.constraint, listed.StartDateConstraint) and conditional.constraint.active(at))
    ]
    return begun[-1] if begun else model.prices[0].prices


def _price(prices: "listed.ModelPrice") -> Price | None:
    prompt, completion = _base(prices.input_mtok), _base(prices.output_mtok)
    if prompt is None or completion is None:
        return None
    return Price(
        input=prompt, output=completion, cached_input=_base(prices.cache_read_mtok), cache_write=_premium(prompt, prices.cache_write_mtok)
    )


def _premium(prompt: Decimal, value: "Decimal | listed.TieredPrices | None") -> Decimal | None:
    """The price of a written token where it is above that of any other. A few rows list less, such as what storage costs besides
    (OpenRouter's for Gemini): that is no price of the token."""
    price = _base(value)
    return price if price is not None and price > prompt else None


def _base(value: "Decimal | listed.TieredPrices | None") -> Decimal | None:
    from genai_prices import types as listed

    base = value.base if isinstance(value, listed.TieredPrices) else value
    return None if base is None else base.quantize(MICRO_DOLLAR)
