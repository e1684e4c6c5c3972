"""A question as the rules on its words read it: folded, in lower case, one blank between words.

Rules are searched from every place of a text that a stranger wrote: with runs of blanks gone and every count bounded they are linear.
"""

from proxy.core.languages.plain import MAX_READ
from proxy.core.verify.fold import fold


def simplify(text: str) -> str:
    """The text as it looks, in lower case; any run of blanks, tabs and line ends is one blank; no more than MAX_READ characters of it."""
    return " ".join(fold(text)[:MAX_READ].lower().split())
