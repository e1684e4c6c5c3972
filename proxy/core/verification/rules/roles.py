"""Rule `roles`: who does it, and to whom: who killed Brutus, who did Brutus kill."""

from itertools import pairwise

from proxy.core.verification.parsed_text import (
    FILLERS,
    LINKS,
    SENTENCE_BREAK,
    ParsedText,
    canonicalize_word,
)

_WHO_WORDS = frozenset("who whom what which whose".split())
_DO_FORMS, _BE_VERB_FORMS = (
    frozenset("do does did".split()),
    frozenset("is are was were been being be".split()),
)


def roles_differ(asked: ParsedText, stored: ParsedText) -> bool:
    """Return whether the agent of one question is the patient of the other."""
    # Only texts of one sentence ask one thing.
    if SENTENCE_BREAK in asked.words or SENTENCE_BREAK in stored.words:
        return False
    return (
        _is_role_reversed(asked, stored)
        or _is_role_reversed(stored, asked)
        or _is_passive_reversed(asked, stored)
        or _is_passive_reversed(stored, asked)
    )


def _is_role_reversed(subject: ParsedText, object_: ParsedText) -> bool:
    """Return whether one asks for the agent and the other for the patient of the same act."""
    # Who killed Brutus, who did Brutus kill.
    if not _asks_for_subject(subject) or not _asks_for_object(object_):
        return False
    ours, theirs = _list_content_keys(subject), _list_content_keys(object_)
    if len(ours) < 2 or len(theirs) < 2 or not set(ours) & set(theirs):
        return False
    return ours[-1] in theirs[:-1] and len(set(ours) ^ set(theirs)) <= 2


def _is_passive_reversed(active: ParsedText, passive: ParsedText) -> bool:
    """Return whether one of active and passive asks for the agent, the other for the patient."""
    if (
        "by" not in passive.tokens
        or "by" in active.tokens
        or _BE_VERB_FORMS.isdisjoint(passive.tokens)
    ):
        return False
    ours, theirs = _list_content_keys(active), _list_content_keys(passive)
    if len(ours) < 2 or set(ours) != set(theirs):
        return False
    triples = zip(passive.keys, passive.keys[1:], passive.keys[2:], strict=False)
    if any(
        link == "by" and pair in pairwise(active.keys)
        for pair, link in (((done, doer), link) for done, link, doer in triples)
    ):
        return True
    behind = [
        token for token in passive.tokens[passive.tokens.index("by") + 1 :] if token not in FILLERS
    ]
    doer = canonicalize_word(behind[0]) if behind else ""
    return (_asks_for_subject(active) and doer == ours[-1]) or (
        _asks_for_object(active) and not doer
    )


def _asks_for_subject(reading: ParsedText) -> bool:
    """Return whether no auxiliary follows the question word: who killed, which team beat."""
    tokens = reading.tokens
    return (
        bool(tokens)
        and tokens[0] in _WHO_WORDS
        and _DO_FORMS.isdisjoint(tokens)
        and not (_BE_VERB_FORMS & set(tokens[1:2]))
    )


def _asks_for_object(reading: ParsedText) -> bool:
    return (
        reading.tokens[:1] != ()
        and reading.tokens[0] in _WHO_WORDS
        and not _DO_FORMS.isdisjoint(reading.tokens)
    )


def _list_content_keys(reading: ParsedText) -> list[str]:
    return [key for key in reading.keys if key not in LINKS]
