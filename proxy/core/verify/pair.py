"""Two questions as the learned check reads them."""

from proxy.core.verify.tokens import END
from proxy.core.verify.typos import repaired
from proxy.core.verify.words import read

# Two texts that differ in nothing but these say the same.
_UNSAID = frozenset(
    f"{END} is am are have has would will a an the please kindly hello hi hey dear thanks thank so ok okay also just".split()
)


def say_the_same(asked: str, stored: str) -> bool:
    """Whether both texts read the same, but for politeness, articles and what a contraction may stand for."""
    one, other = (tuple(word for word in text.split() if word not in _UNSAID) for text in as_read(asked, stored))
    return one == other != ()


def as_read(asked: str, stored: str) -> tuple[str, str]:
    """Both texts folded, in lower case, contractions, numbers and slips of one letter written one way; the same both ways round.

    What differs in nothing else gives the same text twice.
    """
    ours, theirs = repaired(read(asked), read(stored))
    low, high = sorted((" ".join(ours.tokens), " ".join(theirs.tokens)))
    return low, high
