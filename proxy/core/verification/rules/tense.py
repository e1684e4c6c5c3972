"""Rule `tense`: another time, or may against must, by the auxiliaries of equal questions."""

from proxy.core.verification.parsed_text import ParsedText

_TENSE_BY_WORD = {
    word: tense
    for tense, words in {
        "past": "did was were had",
        "present": "is are am do does has have",
        "future": "will shall ll",
    }.items()
    for word in words.split()
}
_HAVE_FORMS = frozenset("have has had".split())
# Openings of questions for what is possible or allowed, and for what is a duty.
_PERMISSION_WORDS = frozenset("can could may might".split())
_DUTY_WORDS = frozenset("must should shall".split())
_NEED_WORDS, _NEED_AUXILIARIES = (
    frozenset("need have must required obliged".split()),
    frozenset("do does am is are".split()),
)
_ALLOWED_WORDS = frozenset("allowed able possible".split())
_DENIED_MOODS = {
    **dict.fromkeys(_PERMISSION_WORDS, "may"),
    **dict.fromkeys(_DUTY_WORDS | {"ought", "need"}, "must"),
    **dict.fromkeys(("will", "would"), "will"),
    **dict.fromkeys(_TENSE_BY_WORD.keys() - {"will", "shall", "ll"}, "plain"),
}
# Tokens before "not" among which its auxiliary is: can I not, does the printer not.
_DENIAL_REACH = 3
# Words that ask for the subject, with the verb behind them: what happened?
_SUBJECT_WORDS = frozenset("what who which".split())
# Tokens at the beginning of a question that show its mood.
_MOOD_TOKENS = 4


def tenses_differ(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether texts with the same content ask about different times, or may against must."""
    if asked.content != stored.content or not asked.content:
        return False
    here, there = _find_tenses(asked), _find_tenses(stored)
    if asked.keys == stored.keys and here and there and here.isdisjoint(there):
        return True
    denied = {_find_denied_mood(asked), _find_denied_mood(stored)}
    if len(denied) > 1 and "" not in denied:
        return True
    return {_find_mood(asked), _find_mood(stored)} == {"may", "must"}


def _find_tenses(reading: ParsedText) -> frozenset[str]:
    """Return the tenses of all known finite verbs."""
    # What has been may be asked as what was and as what is.
    if "been" in reading.tokens:
        return frozenset()
    told = [token for token in reading.tokens if token in _TENSE_BY_WORD]
    ended = any(token.endswith("ed") for token in reading.tokens)
    # Beside another auxiliary, and without a participle, have means to own.
    found = {_TENSE_BY_WORD[token] for token in told if ended or token not in _HAVE_FORMS} or {
        _TENSE_BY_WORD[token] for token in told
    }
    if not found and len(reading.tokens) > 1 and reading.tokens[0] in _SUBJECT_WORDS:
        return frozenset({_find_verb_tense(reading.tokens[1])})
    perfect = reading.tokens[:1] in (("has",), ("have",)) and ended
    return frozenset({"perfect"} if perfect else found)


def _find_verb_tense(verb: str) -> str:
    return "past" if verb.endswith("ed") else "present"


def _find_denied_mood(reading: ParsedText) -> str:
    """Return what kind of auxiliary is denied first: can't, can I not; "" if none is."""
    if "not" not in reading.tokens:
        return ""
    place = reading.tokens.index("not")
    before = reversed(reading.tokens[max(0, place - _DENIAL_REACH) : place])
    return next((_DENIED_MOODS[token] for token in before if token in _DENIED_MOODS), "")


def _find_mood(reading: ParsedText) -> str:
    begun = reading.tokens[:_MOOD_TOKENS]
    if not begun:
        return ""
    if begun[0] in _PERMISSION_WORDS or not _ALLOWED_WORDS.isdisjoint(begun):
        return "may"
    needs = begun[0] in _NEED_AUXILIARIES and not _NEED_WORDS.isdisjoint(begun[1:])
    return "must" if needs or begun[0] in _DUTY_WORDS else ""
