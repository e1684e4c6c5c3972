"""One text has a word, the other its opposite or another of its kind: enable and disable, debit and credit, weekly and monthly."""

from proxy.core.verification.lexicon.opposites import KINDS, PAIRS
from proxy.core.verification.parsed_text import Reading, canonical


def antonyms_differ(asked: Reading, stored: Reading) -> bool:
    """Whether a word of one text alone excludes a word of the other alone."""
    here, there = frozenset(asked.keys), frozenset(stored.keys)
    only_there = there - here
    return any(not only_there.isdisjoint(_EXCLUDED[key]) for key in here - there if key in _EXCLUDED)


def _excluded() -> dict[str, set[str]]:
    """Key to the keys that exclude it."""
    found: dict[str, set[str]] = {}
    for group in (*PAIRS.split(","), *KINDS.split(";")):
        keys = {canonical(word) for word in group.split()}
        for key in keys:
            found.setdefault(key, set()).update(keys - {key})
    return found


_EXCLUDED = _excluded()
