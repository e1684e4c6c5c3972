"""Words that are other words in another case: MB and Mb, US and us, Polish and polish."""

import re

# Units, in lower case, that are other units with a capital. Bits and bytes count in lower case too.
_BIT_UNITS = frozenset("kb mb gb tb pb kbps mbps gbps mw".split())
_CASED_UNITS = _BIT_UNITS | frozenset(
    "kib mib gib kbit mbit gbit mhz mpa mv mev ev kev ph db pa".split()
)
# Names in capitals that are words, or names of something else, in lower case.
_SHORT_NAMES = frozenset(
    (
        "us it who un aids sat act sad ram ids ira las arm ace ada ex mia nit pep sars som "
        "swat wasp co ba ma od"
    ).split()
)
# Words that are a name of another kind with a capital: cities, peoples, days of the church.
_CASED_NAMES = frozenset(
    (
        "polish turkey nice reading job lent tours slough natal concord mass catholic swede dane"
    ).split()
)
# A name in code whose parts begin with capitals: getElementById. Brands are written in any case.
_CAMEL_CASE = re.compile(r"[a-z]+[A-Z]\w*")
# Symbols of elements, two of them or more: NaCl.
_CHEMICAL_FORMULA = re.compile(
    "(?:A[glmrstu]|B[aehikr]?|C[adeflmorsu]?|D[bsy]|E[rsu]|F[elmr]?|G[ade]|H[efgos]?|I[nr]?|"
    "Kr?|L[airuv]|M[dgnot]|N[abdeiop]?|Os?|P[abdmortu]?|R[abefghnu]|S[bcegimnr]?|T[abcehilm]|U|"
    "V|W|Xe|Yb?|Z[nr]){2,}"
)
_BRAND_NAMES = frozenset(
    (
        "iphone iphones ipad ipads ipod ios imac imessage icloud itunes ebay macos ecommerce iot"
    ).split()
)


def counts_by_case(word: str) -> bool:
    """Return whether case decides which word an English word of two or more letters is."""
    lower = word.lower()
    if word == lower:
        return lower in _BIT_UNITS
    if _CAMEL_CASE.fullmatch(word):
        return lower not in _BRAND_NAMES
    if not word.isupper() and _CHEMICAL_FORMULA.fullmatch(word):
        return True
    if word[1:].islower():
        return lower in _CASED_NAMES or lower in _CASED_UNITS
    return lower in _CASED_UNITS or lower in _SHORT_NAMES
