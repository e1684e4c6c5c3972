"""Days told from today: tomorrow, last week, next Friday; and times of the day."""

from itertools import pairwise

from proxy.core.verification.lexicon.places import CALENDAR
from proxy.core.verification.parsed_text import Reading

_DAYS = frozenset("tomorrow yesterday tonight weekend weekday".split())
_WHICH = {"next": "next", "coming": "next", "last": "last", "past": "last", "previous": "last"}
_PERIODS = CALENDAR | frozenset(
    "day week month quarter year night weekend morning afternoon evening spring summer autumn fall winter season term semester".split()
)
_TIMES = frozenset("morning afternoon evening night midnight noon".split())


def dates_differ(asked: Reading, stored: Reading) -> bool:
    """Whether one text tells a day from today that the other does not, or they name different times of the day."""
    here, there = asked.words, stored.words
    if (here ^ there) & _DAYS or _told(asked) != _told(stored):
        return True
    return bool((here - there) & _TIMES and (there - here) & _TIMES)


def _told(reading: Reading) -> set[tuple[str, str]]:
    """As (next, week)."""
    return {(_WHICH[which], period) for which, period in pairwise(reading.tokens) if which in _WHICH and period in _PERIODS}
