"""Rules `replaced` and `exchanged`: equal but for one word: tenant's notice, landlord's notice."""

from proxy.core.verification.parsed_text import (
    FILLERS,
    LINKS,
    SENTENCE_BREAK,
    ParsedText,
    canonicalize_word,
)

# In longer texts one replaced word is more often a rewording; the rules on names and order remain.
_MAX_REPLACED_WORDS = 10
# Limit in content words for texts of which all else must be equal, small words included.
_MAX_EXCHANGED_WORDS = 8
_IGNORED_TOKENS = frozenset(f"{SENTENCE_BREAK} a an the".split())
# In texts of up to so many content words, measures left out, one word more names another thing:
# cheese, cream cheese. Modifiers without content do not.
_MAX_SHORT_TEXT_WORDS = 2
_MEASURE_WORDS = frozenset("many long far often old big fast tall soon".split())
_EMPTY_MODIFIERS = frozenset(
    "different various complete whole entire overall own good ever soon city exact proper "
    "properly correctly simply completely quickly easily fully today nowadays currently "
    "really people person thing things".split()
)
# Verbs that are fillers in many questions and matter in some: make a candle, light a candle. After
# each, what says the same.
_COMMON_VERBS = {
    form: (forms.split()[0], frozenset(same.split()))
    for forms, _, same in (
        line.strip().partition(":")
        for line in """
        make makes made making: create build prepare cook produce
        take takes took taken taking: accept
        give gives gave given giving: provide offer
        get gets got gotten getting: obtain receive acquire become buy find fetch
        use uses used using: utilize utilise employ apply
        have has had having: own possess need require experience
        """.strip().splitlines()
    )
    for form in forms.split()
}


def is_word_replaced(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether the texts are equal, links apart, but for one word in one place."""
    ours, theirs = _list_content_keys(asked), _list_content_keys(stored)
    if len(ours) != len(theirs) or not 1 < len(ours) <= _MAX_REPLACED_WORDS:
        return False
    return sum(here != there for here, there in zip(ours, theirs, strict=True)) == 1


def is_word_exchanged(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether the texts are equal, articles apart, but for one content word or common verb.

    Short texts also if one has a content word more.
    """
    if max(len(asked.content), len(stored.content)) > _MAX_EXCHANGED_WORDS:
        return False
    ours, theirs = (
        [token for token in each.tokens if token not in _IGNORED_TOKENS] for each in (asked, stored)
    )
    if len(ours) != len(theirs):
        return min(
            len(each.content - _MEASURE_WORDS) for each in (asked, stored)
        ) <= _MAX_SHORT_TEXT_WORDS and _adds_one_word(*sorted((ours, theirs), key=len))
    places = [
        place
        for place, pair in enumerate(zip(ours, theirs, strict=True))
        if len({*map(canonicalize_word, pair)}) > 1
    ]
    return len(places) == 1 and _words_exclude(ours[places[0]], theirs[places[0]])


def _adds_one_word(shorter: list[str], longer: list[str]) -> bool:
    """Return whether the longer text is the shorter one plus a content word."""
    if len(longer) != len(shorter) + 1:
        return False
    pairs = enumerate(zip(shorter, longer, strict=False))
    place = next((place for place, (here, there) in pairs if here != there), len(shorter))
    return longer[place + 1 :] == shorter[place:] and not (
        _is_function_word(longer[place]) or longer[place] in _EMPTY_MODIFIERS
    )


def _words_exclude(one: str, other: str) -> bool:
    """Return whether both words matter, and neither stands for the other."""
    if one in _COMMON_VERBS and other in _COMMON_VERBS:
        return _COMMON_VERBS[one][0] != _COMMON_VERBS[other][0]
    for verb, word in ((one, other), (other, one)):
        if verb in _COMMON_VERBS and not _is_function_word(word):
            return canonicalize_word(word) not in {
                canonicalize_word(each) for each in _COMMON_VERBS[verb][1]
            }
    return not (_is_function_word(one) or _is_function_word(other))


def _is_function_word(word: str) -> bool:
    return word in FILLERS or word in LINKS


def _list_content_keys(reading: ParsedText) -> list[str]:
    return [key for key in reading.keys if key not in LINKS]
