"""Two questions as the learned check reads them, and whether they say the same."""

import re

from proxy.core.tenant_memory import remember_by_tenant
from proxy.core.text.normalize import fold
from proxy.core.verification.accents import named_alike
from proxy.core.verification.english import is_english
from proxy.core.verification.notation import equivalent, notations_differ
from proxy.core.verification.parsed_text import END, Reading, reading_of, remembered, tokens_of
from proxy.core.verification.spelling import repaired

# Two English texts that differ in nothing but these say the same.
_UNSAID = frozenset(f"{END} please kindly hello hi hey dear thanks thank ok okay".split())
_CONTRACTED = re.compile(
    r"\b(?:(what|who|where|when|why|how|it|that|there|here|he|she)'?s|(i)'?m|(i|we|you|they)'(re|ve|ll|d)|(you|they)re)\b"
)
_FULL = {"re": "are", "ve": "have", "ll": "will", "d": "would"}


def say_the_same(asked: str, stored: str) -> bool:
    """Whether the texts are equivalent; or English, with the same marks, and the same words but for slips, politeness, contractions and
    how numbers are written. The same both ways round."""
    asked, stored = named_alike(asked, stored)
    if equivalent(asked, stored):
        return True
    if notations_differ(asked, stored) or not (is_english(asked) and is_english(stored)):
        return False
    ours, theirs = repaired(_in_full(asked), _in_full(stored))
    one, other = (tuple(token for token in each.tokens if token not in _UNSAID) for each in (ours, theirs))
    return one == other != ()


@remember_by_tenant(512)
def _in_full(text: str) -> Reading:
    """The reading of an English text, contractions written out."""
    return reading_of(tokens_of(_CONTRACTED.sub(_two_words, fold(text).lower())), remembered(text).names)


def _two_words(match: re.Match[str]) -> str:
    asking, first, person, verb, other = match.groups()
    if asking:
        return f"{asking} is"
    if first:
        return "i am"
    return f"{person} {_FULL[verb]}" if person else f"{other} are"


def as_read(asked: str, stored: str) -> tuple[str, str]:
    """Both texts folded, in lower case, contractions, numbers and slips of one letter written one way; the same both ways round.

    What differs in nothing else gives the same text twice.
    """
    asked, stored = named_alike(asked, stored)
    ours, theirs = repaired(remembered(asked), remembered(stored))
    low, high = sorted((" ".join(ours.tokens), " ".join(theirs.tokens)))
    return low, high
