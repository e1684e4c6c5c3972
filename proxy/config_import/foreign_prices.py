"""Prices per token of a foreign file, as prices per million tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from proxy.config_files.reader import ValuePath
from proxy.config_import.report import EXACT, MANUAL, UNSUPPORTED
from proxy.config_import.rules import Ruling

MAX_DECIMALS: Final = 6  # of the table of prices
MAX_AMOUNT: Final = Decimal(10) ** 8
# LiteLLM's names (docs.litellm.ai/docs/proxy/custom_pricing) and ours.
BASE_RATES: Final = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cached_input",
    "cache_creation_input_token_cost": "cache_write",
}
OTHER_RATES: Final = {
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "input_cost_per_audio_token": "input_audio",
    "output_cost_per_audio_token": "output_audio",
    "input_cost_per_image_token": "input_image",
    "output_cost_per_image_token": "output_image",
    "output_cost_per_reasoning_token": "output_reasoning",
}


@dataclass(slots=True)
class ForeignPrice:
    """A price as a configuration file has it, and the verdict on each value it was made of."""

    fields: dict[str, str] = field(default_factory=dict)
    rulings: dict[ValuePath, Ruling] = field(default_factory=dict)


def read_price(costs: Mapping[ValuePath, Any]) -> ForeignPrice:
    """Read the costs of a model by their paths, of which the last name is LiteLLM's."""
    price = ForeignPrice()
    above: dict[int, list[str]] = {}
    others: list[str] = []
    for path, given in costs.items():
        name, tokens = _split_threshold(path[-1])
        rate = BASE_RATES.get(name) or ("" if tokens else OTHER_RATES.get(name, ""))
        if not rate:
            text = "A price here is per token of prompt, answer, prompt cache, audio or image."
            price.rulings[path] = Ruling(UNSUPPORTED, text)
        elif (amount := _read_amount(given)) is None:
            text = f"Must be an amount per token with {MAX_DECIMALS} decimals per million at most."
            price.rulings[path] = Ruling(MANUAL, text)
        else:
            price.rulings[path] = Ruling(EXACT, f"{rate} of the price, per million tokens.")
            if tokens:
                above.setdefault(tokens, []).append(f"{rate} {amount}")
            elif name in BASE_RATES:
                price.fields[rate] = amount
            else:
                others.append(f"{rate} {amount}")
    lines = [", ".join(others)] if others else []
    lines += [f"above {tokens}: {', '.join(rates)}" for tokens, rates in sorted(above.items())]
    if lines:
        price.fields["terms"] = "\n".join(lines)
    return _require_both_rates(price)


def _require_both_rates(price: ForeignPrice) -> ForeignPrice:
    if not price.fields or {"input", "output"} <= price.fields.keys():
        return price
    text = "A price needs input and output: add the other one by hand."
    kept = {path: each for path, each in price.rulings.items() if each.verdict != EXACT}
    lost = {path: Ruling(MANUAL, text) for path in price.rulings if path not in kept}
    return ForeignPrice(rulings=lost | kept)


def _split_threshold(name: str) -> tuple[str, int]:
    """Split `<rate>_above_200k_tokens` into the rate and the tokens, 0 without them."""
    rate, _, tail = name.partition("_above_")
    number = tail.removesuffix("k_tokens")
    if tail != number and number.isdecimal() and len(number) < 6:
        return rate, int(number) * 1000
    return name, 0


def _read_amount(given: Any) -> str | None:
    try:
        if isinstance(given, bool) or not isinstance(given, int | float | str):
            return None
        amount = Decimal(str(given)) * 1_000_000
    except InvalidOperation:
        return None
    if not amount.is_finite() or not 0 <= amount < MAX_AMOUNT:
        return None
    if amount != round(amount, MAX_DECIMALS):
        return None
    return f"{amount.normalize():f}"
