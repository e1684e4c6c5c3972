"""Unify names in English prose written with and without accents: Dvořák, Dvorak.

Only words that both texts write as a name, and whose plain letters are no everyday word: rosé and
rose, Pâté and pate are two words.
"""

import re
import unicodedata

from proxy.core.text.normalize import limit_marks
from proxy.core.verification.english import is_english
from proxy.core.verification.lexicon.given_names import GIVEN_NAMES
from proxy.core.verification.lexicon.places import PLACE_NAMES
from proxy.core.verification.lexicon.word_ranks import zipf_frequency

_WORD = re.compile(r"[^\W\d_]+")
# Letters that Unicode does not decompose into a letter and a mark.
_STROKED_LETTERS = str.maketrans({"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D"})
_MIN_NAME_LENGTH = 3
# Plain letters this frequent are a word of their own, and so are those listed.
_MIN_EVERYDAY_FREQUENCY = 4.0
_ACCENT_PAIRS = frozenset(
    (
        "rose resume pate mate expose pique lame sake saute forte attache cure mane ore palm "
        "celebre more passe pave mace"
    ).split()
)


def unify_name_accents(asked: str, stored: str) -> tuple[str, str]:
    """Write names that differ in their accents in plain letters, in both texts. Symmetric.

    Texts that are not both English are returned unchanged. Linear in their lengths.
    """
    if asked.isascii() and stored.isascii():
        return asked, stored
    if any(limit_marks(text) != text for text in (asked, stored)):
        return asked, stored
    ours, theirs = (unicodedata.normalize("NFC", text) for text in (asked, stored))
    here, there = _collect_names(ours), _collect_names(theirs)
    shared = {
        plain
        for plain in here.keys() & there.keys()
        if here[plain] != there[plain] and _is_name(plain.lower())
    }
    if not shared:
        return asked, stored
    one, other = (
        _WORD.sub(lambda match: _strip_shared_accents(match[0], shared), text)
        for text in (ours, theirs)
    )
    return (one, other) if is_english(one) and is_english(other) else (asked, stored)


def _collect_names(text: str) -> dict[str, set[str]]:
    """Return the spellings of the capitalised words by their plain letters."""
    found: dict[str, set[str]] = {}
    for place, match in enumerate(_WORD.finditer(text)):
        word = match[0]
        plain = _strip_accents(word) if word.istitle() else ""
        # The first word counts only if it is a known name.
        if len(plain) >= _MIN_NAME_LENGTH and (
            place or plain.lower() in GIVEN_NAMES or plain.lower() in PLACE_NAMES
        ):
            found.setdefault(plain, set()).add(word)
    return found


def _strip_shared_accents(word: str, shared: set[str]) -> str:
    plain = "" if word.isascii() else _strip_accents(word)
    return plain if plain in shared else word


def _strip_accents(word: str) -> str:
    """Return the word without accents, or "" if it is not of Latin letters."""
    if word.isascii():
        return word
    letters = "".join(
        each
        for each in unicodedata.normalize("NFD", word.translate(_STROKED_LETTERS))
        if not unicodedata.combining(each)
    )
    return letters if letters.isascii() else ""


def _is_name(letters: str) -> bool:
    return (
        letters in GIVEN_NAMES
        or letters in PLACE_NAMES
        or (letters not in _ACCENT_PAIRS and zipf_frequency(letters) < _MIN_EVERYDAY_FREQUENCY)
    )
