"""Providers' published prices, from the data of the package genai-prices.

Included is all a chat can be billed by: ordinary rates as fields of a price, others as its terms
(tiers by prompt length, hours of the day, future dates, service tiers, audio, images, reasoning, an
amount per request). Left out are batches and what a chat's usage does not report (hours of audio,
pages, characters).
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from plans.pricing import BASE_RATE_NAMES, ORDINARY_CONDITION, Price, PriceTerm, RateCondition

# The functions import the package themselves: it takes 30 MB, which a worker can do without as long
# as every model has a price by its own name.
if TYPE_CHECKING:
    from genai_prices import types as listed

MICRO_DOLLAR = Decimal("0.000001")
PriceKey = tuple[str, str]
MAX_REMEMBERED_MODELS: Final = 4096  # of one provider, by their names
# The name of each rate in the published data.
_LISTED_NAMES: Final = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "input_audio": "input_audio_mtok",
    "cached_audio": "cache_audio_read_mtok",
    "output_audio": "output_audio_mtok",
    "input_image": "input_image_mtok",
    "cached_image": "cache_image_read_mtok",
    "output_image": "output_image_mtok",
    "input_video": "input_video_mtok",
    "output_video": "output_video_mtok",
    "output_reasoning": "output_reasoning_mtok",
    "output_citation": "output_citation_mtok",
    "request": "requests_kcount",
    "search": "web_searches_kcount",
}
_RATES_PER_THOUSAND: Final = ("request", "search")
_RatesByLength = dict[int, dict[str, Decimal]]  # rates by name, by the length they hold above


def load_published_prices(at: datetime | None = None) -> dict[PriceKey, Price]:
    """Return about 2,000 prices by (provider id, model id).

    Models not billed by prompt and completion tokens (embeddings, images, audio by the minute) are
    left out.
    """
    from genai_prices import data_snapshot

    at = at or datetime.now(UTC)
    prices = {}
    for provider in data_snapshot.get_snapshot().providers:
        for model in provider.models:
            if price := _build_price(model, at, storage=provider.id == "openrouter"):
                prices[provider.id, model.id] = price
    return prices


class ProviderPrices:
    """The prices of one provider, for models that are known only once somebody asks for them."""

    def __init__(self, provider: str, prices: Mapping[PriceKey, Price]) -> None:
        self._provider, self._prices = provider, prices
        # Looking for aliases takes a millisecond.
        self.find_price = lru_cache(MAX_REMEMBERED_MODELS)(self._find_price)

    @property
    def models(self) -> list[str]:
        """The models of the provider that have a price, by name."""
        return sorted(model for provider, model in self._prices if provider == self._provider)

    def _find_price(self, model: str) -> Price | None:
        """Return the price of a model: that of its name, else of what it is an alias of."""
        if found := self._prices.get((self._provider, model)):
            return found
        aliases = iter_aliases(self._provider, model)
        return next((self._prices[each] for each in aliases if each in self._prices), None)


def iter_aliases(provider: str, model: str) -> Iterator[PriceKey]:
    """Yield the published names of a model, such as gpt-4o-mini for gpt-4o-mini-2024-07-18.

    For a provider that resells another's models (Azure those of OpenAI), the other's name follows.
    Yields nothing for an unknown model.
    """
    from genai_prices import data_snapshot

    snapshot = data_snapshot.get_snapshot()
    try:
        found, info = snapshot.find_provider_model(model, None, provider, None)
    except LookupError:
        return
    yield found.id, info.id
    yield from ((other, info.id) for other in found.fallback_model_providers or ())


def _build_price(model: "listed.ModelInfo", at: datetime, *, storage: bool) -> Price | None:
    """Build the price of a model; None if it has no rate for input or output.

    `storage`: the listed rate for cache writes may be for storage only.
    """
    prices, others = _split_ordinary_prices(model, at)
    rates = _collect_rates(prices, storage=storage)
    own = rates.get(0, {})
    if "input" not in own or "output" not in own:
        return None
    terms = [*_iter_terms(rates, ORDINARY_CONDITION)]
    for condition, other in (*others, *_iter_tier_prices(model, prices, at)):
        different = _collect_rates(other, storage=storage)
        if different != rates:
            terms += _iter_terms(different, condition)
    return Price(
        input=own["input"],
        output=own["output"],
        cached_input=own.get("cached_input"),
        cache_write=own.get("cache_write"),
        terms=tuple(terms),
    )


def _split_ordinary_prices(
    model: "listed.ModelInfo", at: datetime
) -> "tuple[listed.ModelPrice, list[tuple[RateCondition, listed.ModelPrice]]]":
    """Return the ordinary price at that moment, and the conditional prices that replace it.

    The ordinary price is that of the latest date that has begun. Conditional prices have hours of
    the day or a future date, and are listed after it.
    """
    from genai_prices import types as listed

    if isinstance(model.prices, listed.ModelPrice):
        return model.prices, []
    ordinary, others = model.prices[0].prices, list[tuple[RateCondition, listed.ModelPrice]]()
    for conditional in model.prices:
        limit = conditional.constraint
        if isinstance(limit, listed.TimeOfDateConstraint):
            daily = limit.start_time.replace(tzinfo=None), limit.end_time.replace(tzinfo=None)
            others.append((RateCondition(daily_hours=daily), conditional.prices))
        elif limit is not None and not limit.active(at):
            others.append((RateCondition(since=limit.start_date), conditional.prices))
        else:
            # The last that holds counts, so earlier conditions no longer matter.
            ordinary, others = conditional.prices, []
    return ordinary, others


def _iter_tier_prices(
    model: "listed.ModelInfo", ordinary: "listed.ModelPrice", at: datetime
) -> "Iterator[tuple[RateCondition, listed.ModelPrice]]":
    """Yield the prices of each service tier that has begun."""
    from genai_prices import types as listed

    variants = [
        variant for variant in model.price_variants or () if set(variant.when) == {"service_tier"}
    ]
    for tier in sorted({variant.when["service_tier"] for variant in variants}):
        # A variant names only what differs from the ordinary price.
        values = dict(ordinary.__dict__)
        for variant in reversed(variants):  # the first that is active takes precedence
            if variant.when["service_tier"] == tier and (
                variant.constraint is None or variant.constraint.active(at)
            ):
                values |= {
                    name: value
                    for name, value in variant.prices.__dict__.items()
                    if value is not None
                }
        yield RateCondition(service_tier=tier), listed.ModelPrice(**values)


def _collect_rates(prices: "listed.ModelPrice", *, storage: bool) -> _RatesByLength:
    from genai_prices import types as listed

    found: _RatesByLength = {}
    for name, key in _LISTED_NAMES.items():
        value = getattr(prices, key)
        if value is None:
            continue
        tiers = [(0, value)]
        if isinstance(value, listed.TieredPrices):
            tiers = [(0, value.base), *((tier.start, tier.price) for tier in value.tiers)]
        for above, rate in tiers:
            found.setdefault(above, {})[name] = _convert_rate(name, rate)
    own = found.get(0, {})
    # A few models list less for cache writes than for input: that is the extra cost of storage
    # (Gemini behind OpenRouter).
    if storage and own.get("cache_write", MICRO_DOLLAR) <= own.get("input", Decimal(0)):
        for rates in found.values():
            rates.pop("cache_write", None)
    return {above: rates for above, rates in found.items() if rates}


def _convert_rate(name: str, rate: Decimal) -> Decimal:
    return rate / 1000 if name in _RATES_PER_THOUSAND else rate.quantize(MICRO_DOLLAR)


def _iter_terms(rates: _RatesByLength, condition: RateCondition) -> Iterator[PriceTerm]:
    """Yield the rates as terms, except those that the price's own fields hold."""
    for above in sorted(rates):
        own = BASE_RATE_NAMES if condition == ORDINARY_CONDITION and not above else ()
        named = tuple((name, rate) for name, rate in rates[above].items() if name not in own)
        if named:
            yield PriceTerm(rates=named, above_tokens=above, condition=condition)
