"""Who does it and to whom it is done: who killed Brutus, who did Brutus kill,
who was killed by Brutus."""

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
    """Whether who acts in one of two questions is acted upon in the other. Each asks one thing."""
    if SENTENCE_BREAK in asked.words or SENTENCE_BREAK in stored.words:
        return False
    return (
        _is_role_reversed(asked, stored)
        or _is_role_reversed(stored, asked)
        or _is_passive_reversed(asked, stored)
        or _is_passive_reversed(stored, asked)
    )


def _is_role_reversed(subject: ParsedText, object_: ParsedText) -> bool:
    """Whether the one asks who does it, and the other to whom it is done by whom the one has
    at its end."""
    if not _asks_for_subject(subject) or not _asks_for_object(object_):
        return False
    ours, theirs = _list_content_keys(subject), _list_content_keys(object_)
    if len(ours) < 2 or len(theirs) < 2 or not set(ours) & set(theirs):
        return False
    return ours[-1] in theirs[:-1] and len(set(ours) ^ set(theirs)) <= 2


def _is_passive_reversed(active: ParsedText, passive: ParsedText) -> bool:
    """Whether the passive asks for the one who does it, and the active to whom it is done,
    or the other way round."""
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
    """Whether no auxiliary follows who, what, or which: who killed, which team beat."""
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
