"""Rule `dates`: days relative to today (tomorrow, last week), and times of the day."""

from itertools import pairwise

from proxy.core.verification.lexicon.places import CALENDAR_NAMES
from proxy.core.verification.parsed_text import ParsedText

_RELATIVE_DAYS = frozenset("tomorrow yesterday tonight weekend weekday".split())
_PERIOD_QUALIFIERS = {
    "next": "next",
    "coming": "next",
    "last": "last",
    "past": "last",
    "previous": "last",
}
_PERIODS = CALENDAR_NAMES | frozenset(
    (
        "day week month quarter year night weekend morning afternoon evening spring summer autumn "
        "fall winter season term semester"
    ).split()
)
_TIMES_OF_DAY = frozenset("morning afternoon evening night midnight noon".split())


def dates_differ(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether one text alone names a relative day, or their times of the day differ."""
    here, there = asked.words, stored.words
    if (here ^ there) & _RELATIVE_DAYS or _collect_relative_periods(
        asked
    ) != _collect_relative_periods(stored):
        return True
    return bool((here - there) & _TIMES_OF_DAY and (there - here) & _TIMES_OF_DAY)


def _collect_relative_periods(reading: ParsedText) -> set[tuple[str, str]]:
    """Return pairs such as (next, week)."""
    return {
        (_PERIOD_QUALIFIERS[which], period)
        for which, period in pairwise(reading.tokens)
        if which in _PERIOD_QUALIFIERS and period in _PERIODS
    }
