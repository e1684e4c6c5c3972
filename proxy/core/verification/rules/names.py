"""Rules `names` and `capitals`: one text names what the other does not mention."""

from collections.abc import Iterable
from itertools import pairwise

from proxy.core.verification.lexicon.given_names import GIVEN_NAMES
from proxy.core.verification.lexicon.places import CALENDAR_NAMES, PLACE_NAMES
from proxy.core.verification.parsed_text import FILLERS, LINKS, ParsedText, canonicalize_word

_KNOWN_NAMES = frozenset(map(canonicalize_word, PLACE_NAMES | CALENDAR_NAMES | GIVEN_NAMES))
# York is not New York, nor is one Korea the other.
_PLACE_PREFIXES = frozenset("new north south east west northern southern papua san saint".split())
_PREFIXED_PLACES = frozenset(
    (
        "york jersey mexico orleans zealand delhi hampshire korea carolina dakota virginia africa "
        "america guinea ireland diego jose"
    ).split()
)


def names_differ(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether one text alone names a known place, person, day or month, in any case.

    Or the same place with another prefix: York, New York.
    """
    return not _KNOWN_NAMES.isdisjoint(asked.content ^ stored.content) or _place_prefixes_differ(
        _collect_place_prefixes(asked), _collect_place_prefixes(stored)
    )


def contains_known_name(words: Iterable[str]) -> bool:
    """Return whether a canonical word is a place, a person, a day or a month."""
    return not _KNOWN_NAMES.isdisjoint(words)


def capitals_differ(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether either text has a capitalised word that the other does not mention."""
    return _has_unmentioned_name(asked, stored) or _has_unmentioned_name(stored, asked)


def _collect_place_prefixes(reading: ParsedText) -> dict[str, set[str]]:
    """Return the words before places such as York: new, or "" for no such word."""
    found: dict[str, set[str]] = {}
    for before, word in pairwise(("", *reading.tokens)):
        if word in _PREFIXED_PLACES:
            found.setdefault(word, set()).add(before if before in _PLACE_PREFIXES else "")
    return found


def _place_prefixes_differ(here: dict[str, set[str]], there: dict[str, set[str]]) -> bool:
    return any(here[word] != there[word] for word in here.keys() & there.keys())


def _has_unmentioned_name(one: ParsedText, other: ParsedText) -> bool:
    """Return whether a name of the one is no word of the other, in any form."""
    missing = one.names.difference(other.tokens, FILLERS, LINKS)
    return any(canonicalize_word(name) not in other.content for name in missing)
