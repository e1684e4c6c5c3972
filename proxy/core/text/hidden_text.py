"""Detect text whose reader does not see what a model reads: tags, or many invisible characters.

It says one thing to a person and another to the model, so questions with it are not cached by
meaning.
"""

import re

# U+E0000 to U+E0FFF: tags, which spell out hidden text, and variation selectors, which carry bytes.
_TAG_CHARACTERS = re.compile("[\U000e0000-\U000e0fff]")
# Characters of no width and of no use in any script, private use, and what is no character.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb"
    "\ue000-\uf8ff\U000f0000-\U0010ffff]"
)
# In normal use: they join letters and emoji, choose an emoji's style, set the direction.
_JOINERS = re.compile("[\u061c\u200c-\u200f\ufe0f]")
MAX_INVISIBLE_CHARACTERS = 3
MAX_JOINER_SHARE = 0.25


def has_hidden_text(text: str) -> bool:
    """Return whether the text has tags or many invisible characters. Linear in the length."""
    if text.isascii():
        return False
    if _TAG_CHARACTERS.search(text) or len(_INVISIBLE.findall(text)) > MAX_INVISIBLE_CHARACTERS:
        return True
    return len(_JOINERS.findall(text)) > MAX_JOINER_SHARE * len(text)
