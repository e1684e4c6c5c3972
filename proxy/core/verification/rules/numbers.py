"""Quantities: the same numbers, in the same half of the day, in the same units."""

from collections import Counter
from itertools import pairwise

from proxy.core.verification.parsed_text import Reading

# Words that may stand for a number and mean other things as well: each may be the digit, or nothing.
_LOOSE = {"one": "1", "first": "1", "once": "1", "single": "1", "second": "2", "twice": "2", "both": "2", "couple": "2"}
_HALVES = frozenset(("am", "pm"))
# The first word of each stands for the rest.
_UNITS = """
second seconds sec secs, minute minutes min mins, hour hours hr hrs h, day days, week weeks wk wks, month months, year years yr yrs, night
nights, decade decades, century centuries, gram grams g, kilogram kilograms kg kgs kilo kilos, milligram milligrams mg, ounce ounces oz,
ton tons tonne tonnes, meter meters metre metres m, kilometer kilometers kilometre kilometres km kms, centimeter centimeters centimetre
centimetres cm, millimeter millimeters millimetre millimetres mm, mile miles, yard yards, foot feet ft, inch inches, liter liters litre
litres l, milliliter milliliters millilitre millilitres ml, gallon gallons, pint pints, cup cups, tablespoon tablespoons tbsp, teaspoon
teaspoons tsp, byte bytes, kilobyte kilobytes kb, megabyte megabytes mb, gigabyte gigabytes gb, terabyte terabytes tb, celsius c,
fahrenheit f, kelvin, dozen dozens, hundred hundreds, thousand thousands k, million millions, billion billions bn, trillion trillions, $
dollar dollars usd buck bucks, € euro euros eur, £ pound pounds gbp quid lb lbs, ¥ yen jpy, ₹ rupee rupees inr, peso pesos, cent cents, %
percent, people person
"""
_TOLD = frozenset("$ € £ ¥ ₹ %".split())
_UNIT = {word: names.split()[0] for names in _UNITS.split(",") for word in names.split()}


def numbers_differ(asked: Reading, stored: Reading) -> bool:
    """Whether one text has a number, or a half of the day, that the other has not. `one` and its like may be 1 or nothing."""
    sure_asked, loose_asked = _numbers(asked)
    sure_stored, loose_stored = _numbers(stored)
    return bool(sure_asked - sure_stored - loose_stored or sure_stored - sure_asked - loose_asked)


def numbers_apart(asked: Reading, stored: Reading) -> bool:
    """Whether each text has a number that the other has not: what longer texts that say the same seldom have."""
    here, there = map(_numbers, (asked, stored))
    return all(one[0].keys() - other[0].keys() - other[1].keys() for one, other in ((here, there), (there, here)))


def measures_differ(asked: Reading, stored: Reading) -> bool:
    """Whether the same number counts one thing here and another there, or money or a share in one text alone: $20, 20."""
    if units_differ(asked, stored):
        return True
    here, there = _measures(asked), _measures(stored)
    both = asked.words & stored.words
    return any(token[0].isdecimal() and _told(here, token) != _told(there, token) for token in both)


def units_differ(asked: Reading, stored: Reading) -> bool:
    """Whether the same number counts one thing here and another there: 5 hours, 5 days; $20, €20."""
    here, there = _measures(asked), _measures(stored)
    return any(here[number].isdisjoint(there[number]) for number in here.keys() & there.keys())


def _told(measures: dict[str, set[str]], number: str) -> set[str]:
    return measures.get(number, set()) & _TOLD


def _numbers(reading: Reading) -> tuple[Counter[str], Counter[str]]:
    """Those written as such, and those that a word may stand for."""
    sure = Counter(token for token in reading.tokens if token[0].isdecimal())
    sure.update(token for before, token in pairwise(reading.tokens) if token in _HALVES and (before[0].isdecimal() or before == "one"))
    return sure, Counter(_LOOSE[token] for token in reading.tokens if token in _LOOSE)


def _measures(reading: Reading) -> dict[str, set[str]]:
    """Number to the units beside it; numbers without any are left out."""
    found: dict[str, set[str]] = {}
    for first, second in pairwise(reading.tokens):
        number, unit = (first, second) if first[0].isdecimal() else (second, first)
        if number[0].isdecimal() and unit in _UNIT:
            found.setdefault(number, set()).add(_UNIT[unit])
    return found
