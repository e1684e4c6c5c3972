"""What a whole chat names: numbers, money, days, places, names. Said once anywhere they count, said twice no more."""

from collections.abc import Iterable

from proxy.core.verify.names import capitals_differ, names_differ
from proxy.core.verify.numbers import numbers_differ
from proxy.core.verify.words import Reading, reading_of, remembered


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
