"""Rule `antonyms`: opposites, or two of one kind: enable and disable, weekly and monthly."""

from proxy.core.verification.lexicon.opposites import ANTONYM_PAIRS, EXCLUSIVE_KINDS
from proxy.core.verification.parsed_text import ParsedText, canonicalize_word


def antonyms_differ(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether a word of one text alone excludes a word of the other alone."""
    here, there = frozenset(asked.keys), frozenset(stored.keys)
    only_there = there - here
    return any(
        not only_there.isdisjoint(EXCLUDED_KEYS[key])
        for key in here - there
        if key in EXCLUDED_KEYS
    )


def _build_exclusions() -> dict[str, set[str]]:
    """Return the keys that each key excludes."""
    found: dict[str, set[str]] = {}
    for group in (*ANTONYM_PAIRS.split(","), *EXCLUSIVE_KINDS.split(";")):
        keys = {canonicalize_word(word) for word in group.split()}
        for key in keys:
            found.setdefault(key, set()).update(keys - {key})
    return found


EXCLUDED_KEYS = _build_exclusions()
