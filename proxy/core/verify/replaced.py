"""One thing stands in another's place, and the rest is the same: the tenant's notice, the landlord's notice."""

from proxy.core.verify.words import LINKS, Reading

# Among so many words one more often says the same in another way; what must not differ there is for the rules on names and order.
_MANY = 10


def replaced(asked: Reading, stored: Reading) -> bool:
    """Whether the texts are the same, links apart, but for one word in one place."""
    ours, theirs = _content(asked), _content(stored)
    if len(ours) != len(theirs) or not 1 < len(ours) <= _MANY:
        return False
    return sum(here != there for here, there in zip(ours, theirs, strict=True)) == 1


def _content(reading: Reading) -> list[str]:
    return [key for key in reading.keys if key not in LINKS]
