"""Rules `numbers` and `units`: different numbers, halves of the day (am, pm) or units."""

from collections import Counter
from itertools import pairwise

from proxy.core.verification.parsed_text import ParsedText

# Words that may stand for a number and mean other things as well: each may be the digit, or
# nothing.
AMBIGUOUS_NUMBER_WORDS = {
    "one": "1",
    "first": "1",
    "once": "1",
    "single": "1",
    "second": "2",
    "twice": "2",
    "both": "2",
    "couple": "2",
}
_DAY_HALVES = frozenset(("am", "pm"))
# The first name of each unit stands for the rest.
_UNIT_NAMES = """
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
_SYMBOL_UNITS = frozenset("$ € £ ¥ ₹ %".split())
_UNIT_BY_NAME = {
    word: names.split()[0] for names in _UNIT_NAMES.split(",") for word in names.split()
}


def numbers_differ(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether one text has a number, or a half of the day, that the other lacks.

    Words such as `one` may be the number or nothing.
    """
    sure_asked, loose_asked = _count_numbers(asked)
    sure_stored, loose_stored = _count_numbers(stored)
    return bool(sure_asked - sure_stored - loose_stored or sure_stored - sure_asked - loose_asked)


def numbers_differ_both_ways(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether each text has a number that the other lacks, as rewordings seldom have."""
    here, there = map(_count_numbers, (asked, stored))
    return all(
        one[0].keys() - other[0].keys() - other[1].keys()
        for one, other in ((here, there), (there, here))
    )


def measures_differ(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether a number has other units, or is money or a percentage in one text alone.

    So $20 is not 20.
    """
    if units_differ(asked, stored):
        return True
    here, there = _collect_units(asked), _collect_units(stored)
    both = asked.words & stored.words
    return any(
        token[0].isdecimal() and _get_symbol_units(here, token) != _get_symbol_units(there, token)
        for token in both
    )


def units_differ(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether the same number has other units: 5 hours, 5 days; $20, €20."""
    here, there = _collect_units(asked), _collect_units(stored)
    return any(here[number].isdisjoint(there[number]) for number in here.keys() & there.keys())


def _get_symbol_units(measures: dict[str, set[str]], number: str) -> set[str]:
    return measures.get(number, set()) & _SYMBOL_UNITS


def _count_numbers(reading: ParsedText) -> tuple[Counter[str], Counter[str]]:
    """Return the counts of numbers written as such, and of those that a word may stand for."""
    sure = Counter(token for token in reading.tokens if token[0].isdecimal())
    sure.update(
        token
        for before, token in pairwise(reading.tokens)
        if token in _DAY_HALVES and (before[0].isdecimal() or before == "one")
    )
    return sure, Counter(
        AMBIGUOUS_NUMBER_WORDS[token] for token in reading.tokens if token in AMBIGUOUS_NUMBER_WORDS
    )


def _collect_units(reading: ParsedText) -> dict[str, set[str]]:
    """Return the units beside each number; numbers without any are left out."""
    found: dict[str, set[str]] = {}
    for first, second in pairwise(reading.tokens):
        number, unit = (first, second) if first[0].isdecimal() else (second, first)
        if number[0].isdecimal() and unit in _UNIT_BY_NAME:
            found.setdefault(number, set()).add(_UNIT_BY_NAME[unit])
    return found
