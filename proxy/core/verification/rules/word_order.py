"""Rule `order`: words of both texts, in an order that changes who does what to whom."""

from itertools import pairwise

from proxy.core.verification.parsed_text import SENTENCE_BREAK, ParsedText, canonicalize_word

# Breakpoints are places where neighbours are no longer neighbours (as in the sorting of genomes:
# Bafna and Pevzner 1998). A phrase that moves as a whole (tomorrow, in Paris) leaves at most three;
# two words that change places leave four.
_MIN_BREAKPOINTS = 4
# Long texts that share most words differ in nothing else, so there any move counts.
_MIN_SHARED_WORDS, _MIN_SHARED_SHARE = 6, 0.6
# In texts this short, in tokens, no part may move but from one end to the other.
_MAX_SHORT_TEXT_TOKENS = 12
# With more words of one text alone, the texts are rewordings, and order means little.
_MAX_UNSHARED_WORDS = 2
# Links that show which is which. Others tie compounds: a place at a primary school, a primary
# school place.
_DIRECTION_LINKS = frozenset(
    "to from into onto than by over against before after via through".split()
)
_MONTH_KEYS = frozenset(
    map(
        canonicalize_word,
        (
            "january february march april may june july august september october november december"
        ).split(),
    ),
)


def order_differs(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether shared words changed places or links: from A to B, from B to A."""
    shared = asked.content & stored.content
    if len(shared) < 2 or asked.keys == stored.keys:
        return False
    if len(asked.tokens) <= _MAX_SHORT_TEXT_TOKENS and _is_reordered(asked, stored):
        return True
    ours, theirs = _drop_dates(asked.keys), _drop_dates(stored.keys)
    breaks = _count_breakpoints(ours, theirs, shared)
    if breaks and len(shared) >= max(
        _MIN_SHARED_WORDS,
        _MIN_SHARED_SHARE * len(asked.content),
        _MIN_SHARED_SHARE * len(stored.content),
    ):
        return True
    close = len(asked.content ^ stored.content) <= _MAX_UNSHARED_WORDS
    return close and (
        breaks >= _MIN_BREAKPOINTS
        or _directions_differ(_map_directions(ours, shared), _map_directions(theirs, shared))
    )


def _is_reordered(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether the texts are the same words in another order: water ice, ice water.

    A part moved from one end to the other does not count.
    """
    ours, theirs = (
        [token for token in each.tokens if token != SENTENCE_BREAK] for each in (asked, stored)
    )
    if (
        ours == theirs
        or sorted(ours) != sorted(theirs)
        or _drop_dates(asked.keys) == _drop_dates(stored.keys)
    ):
        return False
    return not any(ours[place:] + ours[:place] == theirs for place in range(len(ours)))


def _drop_dates(keys: tuple[str, ...]) -> list[str]:
    """Return the keys without months and the days beside them: 5 June is June 5."""
    around = zip(("", *keys), keys, (*keys[1:], ""), strict=False)
    return [
        key
        for before, key, after in around
        if key not in _MONTH_KEYS
        and not (key.isdecimal() and (before in _MONTH_KEYS or after in _MONTH_KEYS))
    ]


def _count_breakpoints(ours: list[str], theirs: list[str], shared: frozenset[str]) -> int:
    """Return the number of breakpoints between shared keys by first use, both ends included."""
    both = shared.intersection(ours).intersection(theirs)
    place = {
        key: number
        for number, key in enumerate(key for key in dict.fromkeys(theirs) if key in both)
    }
    places = [-1, *(place[key] for key in dict.fromkeys(ours) if key in both), len(place)]
    return sum(after - before != 1 for before, after in pairwise(places))


def _map_directions(keys: list[str], shared: frozenset[str]) -> dict[str, set[str]]:
    """Return the shared keys that follow each direction link."""
    found: dict[str, set[str]] = {}
    for link, key in pairwise(keys):
        if link in _DIRECTION_LINKS and key in shared:
            found.setdefault(link, set()).add(key)
    return found


def _directions_differ(here: dict[str, set[str]], there: dict[str, set[str]]) -> bool:
    """Return whether a direction link leads to different words in the two texts."""
    # Both texts have all of these words.
    return any(
        here[link] - there[link] and there[link] - here[link] for link in here.keys() & there.keys()
    )
