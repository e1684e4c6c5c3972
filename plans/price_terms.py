"""Parser and formatter of price terms, one per line.

    cache_write_1h 6, input_audio 1
    above 200000: input 2.5, output 15, cached_input 0.25
    from 00:30 to 16:30: input 0.27, output 1.1
    since 2027-01-01: input 1, output 4
    since 2027-01-01, above 200000: input 2, output 6
    service tier flex: input 0.5, output 2

The part before the colon is the condition of the rates. Lines with a time, date or service tier
replace the whole price: a rate they do not name has none of its own. `plans.pricing.EXTRA_RATES`
names the rates and their units.
"""

import re
from datetime import date, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final

from plans.pricing import BASE_RATE_NAMES, EXTRA_RATES, PriceTerm, RateCondition

MAX_TERMS_LENGTH: Final = 5_000
MAX_RATE_USD: Final = Decimal(100_000_000)
RATE_NAMES: Final = (*BASE_RATE_NAMES, *EXTRA_RATES)
_ABOVE_PATTERN = re.compile(r"above (\d{1,9})")
_SINCE_PATTERN = re.compile(r"since (\d{4}-\d\d-\d\d)")
_DAILY_PATTERN = re.compile(r"from (\d\d:\d\d) to (\d\d:\d\d)")
_TIER_PATTERN = re.compile(r"service tier ([\w.-]{1,40})")
ACCEPTED_CONDITIONS: Final = (
    "above 200000, since 2027-01-01, from 00:30 to 16:30, service tier flex"
)


@lru_cache(maxsize=4096)
def parse_terms(text: str) -> tuple[PriceTerm, ...]:
    """Parse price terms. Raises ValueError that names the line and the accepted forms."""
    if len(text) > MAX_TERMS_LENGTH:
        raise ValueError(f"At most {MAX_TERMS_LENGTH} characters.")
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    return tuple(_parse_term(number, line) for number, line in lines if line)


def format_terms(terms: tuple[PriceTerm, ...]) -> str:
    """Format terms as lines; the inverse of `parse_terms`."""
    return "\n".join(map(_format_term, terms))


def _parse_term(number: int, line: str) -> PriceTerm:
    head, colon, rates = line.rpartition(": ")
    if not colon and line.endswith(":"):
        raise ValueError(f"Line {number}: no rate stands behind the colon.")
    above, condition = _parse_condition(number, head) if colon else (0, RateCondition())
    return PriceTerm(
        rates=tuple(_parse_rate(number, words) for words in rates.split(",")),
        above_tokens=above,
        condition=condition,
    )


def _parse_condition(number: int, head: str) -> tuple[int, RateCondition]:
    above, since, daily, tier = 0, None, None, ""
    for words in (each.strip() for each in head.split(",")):
        try:
            if found := _ABOVE_PATTERN.fullmatch(words):
                above = int(found[1])
            elif found := _SINCE_PATTERN.fullmatch(words):
                since = date.fromisoformat(found[1])
            elif found := _DAILY_PATTERN.fullmatch(words):
                daily = time.fromisoformat(found[1]), time.fromisoformat(found[2])
            elif found := _TIER_PATTERN.fullmatch(words):
                tier = found[1]
            else:
                raise ValueError
        except ValueError:
            raise ValueError(
                f"Line {number}: “{words[:60]}” says no condition. Accepted, such as: "
                f"{ACCEPTED_CONDITIONS}."
            ) from None
    return above, RateCondition(since=since, daily_hours=daily, service_tier=tier)


def _parse_rate(number: int, words: str) -> tuple[str, Decimal]:
    name, _, amount = words.strip().partition(" ")
    if name not in RATE_NAMES:
        raise ValueError(
            f"Line {number}: “{name[:60]}” is no rate. Accepted: {', '.join(RATE_NAMES)}."
        )
    try:
        rate = Decimal(amount.strip())
    except InvalidOperation:
        rate = Decimal("NaN")
    if not (rate.is_finite() and 0 <= rate < MAX_RATE_USD):
        raise ValueError(
            f"Line {number}: {name} needs an amount of US dollars from 0 on, such as {name} 2.5."
        )
    return name, rate


def _format_term(term: PriceTerm) -> str:
    heads = []
    if term.condition.since:
        heads.append(f"since {term.condition.since.isoformat()}")
    if term.condition.daily_hours:
        heads.append("from {:%H:%M} to {:%H:%M}".format(*term.condition.daily_hours))
    if term.condition.service_tier:
        heads.append(f"service tier {term.condition.service_tier}")
    if term.above_tokens:
        heads.append(f"above {term.above_tokens}")
    rates = ", ".join(f"{name} {_format_rate(rate)}" for name, rate in term.rates)
    return f"{', '.join(heads)}: {rates}" if heads else rates


def _format_rate(rate: Decimal) -> str:
    return f"{rate.normalize():f}"
