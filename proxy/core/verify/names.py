"""Named things: neither text names what the other does not mention."""

from proxy.core.verify.places import CALENDAR, PLACES
from proxy.core.verify.words import FILLERS, LINKS, Reading, canonical

_KNOWN = frozenset(map(canonical, PLACES | CALENDAR))


def names_differ(asked: Reading, stored: Reading) -> bool:
    """Whether either text names something that the other does not mention. Days, months and places are names without capitals."""
    return not _KNOWN.isdisjoint(asked.content ^ stored.content) or _unmentioned(asked, stored) or _unmentioned(stored, asked)


def _unmentioned(one: Reading, other: Reading) -> bool:
    """Whether a name of the one is no word of the other, in any form."""
    missing = one.names.difference(other.tokens, FILLERS, LINKS)
    return any(canonical(name) not in other.content for name in missing)
