"""Token F1 of an answer against a reference.

As SQuAD scores answers (Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension
of Text", section 6.1, and its script).
"""

import re
import string
from collections import Counter

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def f1(answer: str, reference: str) -> float:
    """0 to 1: the harmonic mean of the share of the answer's tokens that the reference has
    and of the reference's that the answer has."""
    said, wanted = normal(answer), normal(reference)
    if not said or not wanted:
        return float(said == wanted)
    common = (Counter(said) & Counter(wanted)).total()
    return 2 * common / (len(said) + len(wanted))


def normal(text: str) -> list[str]:
    """Tokens in lower case, without ASCII punctuation and articles."""
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()
