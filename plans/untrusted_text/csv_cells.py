"""Detection of CSV cells that a spreadsheet would run as a formula (OWASP, CSV Injection). Pure.

Every export puts an apostrophe in front of such a text.
"""

from typing import Final

# With full-width forms: some spreadsheets read them as the sign itself.
_FORMULA_SIGNS: Final = (
    "=",
    "+",
    "-",
    "@",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
    "\ufe62",
    "\ufe63",
    "\ufe66",
    "\ufe6b",
    "\u2212",
)
_FORMULA_CONTROLS: Final = ("\t", "\r", "\n", "\0")
# Invisible characters that `str.strip` does not count as blank.
_INVISIBLE_CHARACTERS: Final = "\ufeff\u200b\u200c\u200d\u2060\u00ad\u200e\u200f"


def is_formula_like(text: str) -> bool:
    """Whether a spreadsheet may take the text for a formula."""
    if text.startswith(_FORMULA_CONTROLS):
        return True
    # Spreadsheets drop blanks before the sign, so they do not make it harmless.
    while (bare := text.lstrip().lstrip(_INVISIBLE_CHARACTERS)) != text:
        text = bare
    return text.startswith(_FORMULA_SIGNS)
