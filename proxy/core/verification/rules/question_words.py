"""Rule `question`: what is asked for: when, where, who or why; how many, how long, how often."""

from itertools import pairwise

from proxy.core.verification.parsed_text import ParsedText

_QUESTION_WORDS = frozenset("when where who why".split())
_MEASURE_WORDS = frozenset("many long far often old big fast tall soon".split())


def question_words_differ(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether one text asks when and the other where, or how long and how often."""
    here, there = asked.words, stored.words
    if (here - there) & _QUESTION_WORDS and (there - here) & _QUESTION_WORDS:
        return True
    ours, theirs = _collect_measures(asked), _collect_measures(stored)
    return bool(ours - theirs and theirs - ours)


def _collect_measures(reading: ParsedText) -> set[str]:
    return {
        second
        for first, second in pairwise(reading.tokens)
        if first == "how" and second in _MEASURE_WORDS
    }
