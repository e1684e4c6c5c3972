"""What is asked for: when, where, who or why; how many, how long, how often."""

from itertools import pairwise

from proxy.core.verification.parsed_text import Reading

_ASKS = frozenset("when where who why".split())
_MEASURES = frozenset("many long far often old big fast tall soon".split())


def asks_differ(asked: Reading, stored: Reading) -> bool:
    """Whether one text asks when and the other where, or one how long and the other how often."""
    here, there = asked.words, stored.words
    if (here - there) & _ASKS and (there - here) & _ASKS:
        return True
    ours, theirs = _measures(asked), _measures(stored)
    return bool(ours - theirs and theirs - ours)


def _measures(reading: Reading) -> set[str]:
    return {second for first, second in pairwise(reading.tokens) if first == "how" and second in _MEASURES}
