"""Named things: neither text names what the other does not mention."""

from collections.abc import Iterable
from itertools import pairwise

from proxy.core.verification.lexicon.given_names import GIVEN
from proxy.core.verification.lexicon.places import CALENDAR, PLACES
from proxy.core.verification.parsed_text import FILLERS, LINKS, Reading, canonical

_KNOWN = frozenset(map(canonical, PLACES | CALENDAR | GIVEN))
# York is not New York, nor is one Korea the other.
_BEFORE = frozenset("new north south east west northern southern papua san saint".split())
_PLACES = frozenset(
    "york jersey mexico orleans zealand delhi hampshire korea carolina dakota virginia africa america guinea ireland diego jose".split()
)


def names_differ(asked: Reading, stored: Reading) -> bool:
    """Whether either text names something that the other does not mention, in lower case: a place, a person, a day, a month."""
    return not _KNOWN.isdisjoint(asked.content ^ stored.content) or _placed_otherwise(_places(asked), _places(stored))


def names_something(words: Iterable[str]) -> bool:
    """Whether one of these words, each by what stands for it, is a place, a person, a day or a month."""
    return not _KNOWN.isdisjoint(words)


def capitals_differ(asked: Reading, stored: Reading) -> bool:
    """Whether either text has a capitalised word that the other does not mention."""
    return _unmentioned(asked, stored) or _unmentioned(stored, asked)


def _places(reading: Reading) -> dict[str, set[str]]:
    """York to what stands before it: new, or nothing of that kind."""
    found: dict[str, set[str]] = {}
    for before, word in pairwise(("", *reading.tokens)):
        if word in _PLACES:
            found.setdefault(word, set()).add(before if before in _BEFORE else "")
    return found


def _placed_otherwise(here: dict[str, set[str]], there: dict[str, set[str]]) -> bool:
    return any(here[word] != there[word] for word in here.keys() & there.keys())


def _unmentioned(one: Reading, other: Reading) -> bool:
    """Whether a name of the one is no word of the other, in any form."""
    missing = one.names.difference(other.tokens, FILLERS, LINKS)
    return any(canonical(name) not in other.content for name in missing)
