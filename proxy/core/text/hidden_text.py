"""Texts of which a reader does not see what a model reads:
tags, and more characters of no width than come along by chance.

Such a text says one thing to whoever looks at it and another to the model, so nothing that was
asked with it is kept by meaning.
"""

import re

# U+E0000 to U+E0FFF: tags, which spell out hidden text, and selectors, which carry bytes.
_TAG_CHARACTERS = re.compile("[\U000e0000-\U000e0fff]")
# Without a width, and of no use in any script; the rest of Unicode's private use and of what is no
# character.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb"
    "\ue000-\uf8ff\U000f0000-\U0010ffff]"
)
# In use: they join letters and pictures, choose a picture's colour, turn the direction.
_JOINERS = re.compile("[\u061c\u200c-\u200f\ufe0f]")
MAX_INVISIBLE_CHARACTERS = 3
MAX_JOINER_SHARE = 0.25


def has_hidden_text(text: str) -> bool:
    """Whether the text holds tags, or much of what nobody sees. Linear in the length."""
    if text.isascii():
        return False
    if _TAG_CHARACTERS.search(text) or len(_INVISIBLE.findall(text)) > MAX_INVISIBLE_CHARACTERS:
        return True
    return len(_JOINERS.findall(text)) > MAX_JOINER_SHARE * len(text)
