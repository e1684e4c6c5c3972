"""One thing stands in another's place, and the rest is the same:
the tenant's notice, the landlord's notice."""

from proxy.core.verification.parsed_text import (
    FILLERS,
    LINKS,
    SENTENCE_BREAK,
    ParsedText,
    canonicalize_word,
)

# Among so many words one more often says the same in another way; what must not differ there is for
# the rules on names and order.
_MAX_REPLACED_WORDS = 10
# Where all the rest is the same.
_MAX_EXCHANGED_WORDS = 8
_IGNORED_TOKENS = frozenset(f"{SENTENCE_BREAK} a an the".split())
# In so few words of content, measures left out, one more names another thing: cheese, cream cheese.
# These name none.
_MAX_SHORT_TEXT_WORDS = 2
_MEASURE_WORDS = frozenset("many long far often old big fast tall soon".split())
_EMPTY_MODIFIERS = frozenset(
    "different various complete whole entire overall own good ever soon city exact proper "
    "properly correctly simply completely quickly easily fully today nowadays currently "
    "really people person thing things".split()
)
# Verbs that are said in many questions, each asked in some: make a candle, light a candle. Behind
# each what says the same.
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
    """Whether the texts are the same, links apart, but for one word in one place."""
    ours, theirs = _list_content_keys(asked), _list_content_keys(stored)
    if len(ours) != len(theirs) or not 1 < len(ours) <= _MAX_REPLACED_WORDS:
        return False
    return sum(here != there for here, there in zip(ours, theirs, strict=True)) == 1


def is_word_exchanged(asked: ParsedText, stored: ParsedText) -> bool:
    """Whether the texts are the same to the last small word, articles apart,
    but for one word of content or one verb that counts; or, where they are short, one word of
    content more."""
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
    """Whether the longer one is the shorter one and one word of content."""
    if len(longer) != len(shorter) + 1:
        return False
    pairs = enumerate(zip(shorter, longer, strict=False))
    place = next((place for place, (here, there) in pairs if here != there), len(shorter))
    return longer[place + 1 :] == shorter[place:] and not (
        _is_function_word(longer[place]) or longer[place] in _EMPTY_MODIFIERS
    )


def _words_exclude(one: str, other: str) -> bool:
    """Whether both words count, and neither stands for the other."""
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
