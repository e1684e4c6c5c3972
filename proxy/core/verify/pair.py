"""Two questions as the learned check reads them."""

from proxy.core.verify.typos import repaired
from proxy.core.verify.words import read


def as_read(asked: str, stored: str) -> tuple[str, str]:
    """Both texts folded, in lower case, contractions, numbers and slips of one letter written one way; the same both ways round.

    What differs in nothing else gives the same text twice.
    """
    ours, theirs = repaired(read(asked), read(stored))
    low, high = sorted((" ".join(ours.tokens), " ".join(theirs.tokens)))
    return low, high
