"""When it happens, and whether it may or must, by the auxiliaries of two questions that are else the same."""

from proxy.core.verification.parsed_text import Reading

_TENSES = {
    word: tense
    for tense, words in {"past": "did was were had", "present": "is are am do does has have", "future": "will shall ll"}.items()
    for word in words.split()
}
_HAVE = frozenset("have has had".split())
# Ways of asking that begin a question: is it possible or allowed, is it a duty.
_MAY = frozenset("can could may might".split())
_MUST = frozenset("must should shall".split())
_NEED, _ASKED_FOR_NEED = frozenset("need have must required obliged".split()), frozenset("do does am is are".split())
_ALLOWED = frozenset("allowed able possible".split())
# Tokens at the beginning of a question among which its mood is told.
_BEGUN = 4


def tenses_differ(asked: Reading, stored: Reading) -> bool:
    """Whether all words but fillers are the same, and one text asks what was and the other what is, or will be; or what may and what
    must be."""
    if asked.content != stored.content or not asked.content:
        return False
    here, there = _tenses(asked), _tenses(stored)
    if asked.keys == stored.keys and here and there and here.isdisjoint(there):
        return True
    return {_mood(asked), _mood(stored)} == {"may", "must"}


def _tenses(reading: Reading) -> frozenset[str]:
    """Of all finite verbs known here. What has been may be told as what was and as what is."""
    if "been" in reading.tokens:
        return frozenset()
    told = [token for token in reading.tokens if token in _TENSES]
    ended = any(token.endswith("ed") for token in reading.tokens)
    # Beside another auxiliary, and no participle, have is what somebody has.
    found = {_TENSES[token] for token in told if ended or token not in _HAVE} or {_TENSES[token] for token in told}
    perfect = reading.tokens[:1] in (("has",), ("have",)) and ended
    return frozenset({"perfect"} if perfect else found)


def _mood(reading: Reading) -> str:
    begun = reading.tokens[:_BEGUN]
    if not begun:
        return ""
    if begun[0] in _MAY or not _ALLOWED.isdisjoint(begun):
        return "may"
    needs = begun[0] in _ASKED_FOR_NEED and not _NEED.isdisjoint(begun[1:])
    return "must" if needs or begun[0] in _MUST else ""
