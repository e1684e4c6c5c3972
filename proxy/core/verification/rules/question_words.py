"""Rule `question`: what is asked for: when, where, who or why; how many, how long, how often."""

from itertools import pairwise

from proxy.core.verification.parsed_text import ParsedText

_QUESTION_WORDS = frozenset("when where who why".split())
# Words that begin a question for yes or no.
_YES_NO_WORDS = frozenset("is are was were am do does did has have had will".split())
_MEASURE_WORDS = frozenset("many long far often old big fast tall soon".split())


def question_words_differ(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether one text asks when and the other where, or how long and how often.

    So does one that asks when a thing is done beside one that asks whether it is.
    """
    here, there = asked.words & _QUESTION_WORDS, stored.words & _QUESTION_WORDS
    if here - there and there - here:
        return True
    if bool(here) != bool(there) and asked.content == stored.content != frozenset():
        other = stored if here else asked
        # Who asks whether a thing is possible wants to be told how or where.
        if other.tokens[0] in _YES_NO_WORDS and "possible" not in other.words:
            return True
    ours, theirs = _collect_measures(asked), _collect_measures(stored)
    return bool(ours - theirs and theirs - ours)


def _collect_measures(reading: ParsedText) -> set[str]:
    return {
        second
        for first, second in pairwise(reading.tokens)
        if first == "how" and second in _MEASURE_WORDS
    }
