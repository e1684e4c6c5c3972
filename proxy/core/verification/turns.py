"""Whether one turn of a chat may stand for another."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from proxy.core.verification.accents import named_alike
from proxy.core.verification.notation import equivalent
from proxy.core.verification.parsed_text import LINKS, Reading, canonical, reading_of, remembered
from proxy.core.verification.rules.names import capitals_differ, names_differ
from proxy.core.verification.rules.negation import polarity_differs
from proxy.core.verification.rules.numbers import numbers_differ
from proxy.core.verification.rules.registry import RULES, unread
from proxy.core.verification.spelling import repaired

# May one turn of a chat stand for another? As `verdict`, for what somebody tells rather than asks.
#
# What is told is said in more ways than what is asked, so rules on the form of a question do not
# apply. Instead: texts that are nearly the same, one word apart, were written about two things
# (renew it, cancel it), while who says the same anew uses other words throughout.

# By name, of the rules on questions. Numbers and names are compared over the whole chat: one turn may say what another repeats.
_RULES: Final = {name: RULES[name] for name in ("units", "antonyms", "scope", "dates", "spelling", "unlisted", "particles", "replaced")}
# Part of the words, small ones included, that two texts share when one is the other, edited (Dice 1945).
_EDITED = 0.75
# Part of the words of content of the shorter text from which on a negation, or an opposite, is about the same thing.
_SAME_THING, _RELATED = 0.6, 0.34
_YES, _NO = frozenset("yes yeah yep yup sure absolutely definitely correct right".split()), frozenset("no nope nah not never".split())
_DIRECTIONS = frozenset({"to", "from"})


def turn_veto(asked: str, stored: str) -> str | None:
    """Why the turns say different things, a short name; None when nothing shows it. The same both ways round."""
    asked, stored = named_alike(asked, stored)
    if equivalent(asked, stored):
        return None
    return unread(asked, stored) or _told_otherwise(asked, stored)


def _told_otherwise(asked: str, stored: str) -> str | None:
    """By the rules, of English turns with the same marks."""
    ours, theirs = repaired(remembered(asked), remembered(stored))
    if ours == theirs or ours.keys == theirs.keys == ():
        return None
    if ours.content != theirs.content and (_dice(ours, theirs) >= _EDITED or _template(ours) == _template(theirs)):
        return "edited"
    shared = len(ours.content & theirs.content) / (min(len(ours.content), len(theirs.content)) or 1)
    if _yes_or_no(ours) * _yes_or_no(theirs) < 0 or (shared >= _SAME_THING and polarity_differs(ours, theirs)):
        return "negation"
    if _redirected(ours, theirs):
        return "order"
    return next((name for name, differs in _RULES.items() if (shared >= _RELATED or name != "antonyms") and differs(ours, theirs)), None)


def _yes_or_no(reading: Reading) -> int:
    """1 when it says yes to something, -1 for no, 0 for neither."""
    first = next(iter(reading.tokens), "")
    return (first in _YES) - (first in _NO)


def _dice(ours: Reading, theirs: Reading) -> float:
    return 2 * (Counter(ours.tokens) & Counter(theirs.tokens)).total() / (len(ours.tokens) + len(theirs.tokens))


def _template(reading: Reading) -> tuple[str, ...]:
    """The turn with one word of content left blank: from ... please. Longer ones are their own."""
    if len(reading.keys) - sum(key in LINKS for key in reading.keys) != 1:
        return reading.tokens
    return tuple("" if canonical(token) in reading.content else token for token in reading.tokens)


def _redirected(ours: Reading, theirs: Reading) -> bool:
    """Whether one goes to where the other comes from."""
    here, there = _bound(ours), _bound(theirs)
    return any(here.get(key, link) != link for key, link in there.items())


def _bound(reading: Reading) -> dict[str, str]:
    return {key: link for link, key in zip(reading.keys, reading.keys[1:], strict=False) if link in _DIRECTIONS}


# What a whole chat names: numbers, money, days, places, names. Said once anywhere they count, said
# twice no more.


def details_differ(asked: Iterable[str], stored: Iterable[str]) -> str | None:
    """`numbers` or `names` when one of two chats has one that the other has not, else None. Each is given by its turns."""
    ours, theirs = _once(asked), _once(stored)
    if numbers_differ(ours, theirs):
        return "numbers"
    return "names" if names_differ(ours, theirs) or capitals_differ(ours, theirs) else None


def _once(turns: Iterable[str]) -> Reading:
    """All turns as one reading, each word once."""
    readings = [remembered(turn) for turn in turns]
    tokens = dict.fromkeys(token for reading in readings for token in reading.tokens)
    return reading_of(tokens, {name for reading in readings for name in reading.names})
