"""Decide whether two questions are equivalent, and normalise pairs for the trained verifier."""

import re

from proxy.core.tenant_memory import remember_by_tenant
from proxy.core.text.normalize import fold_text
from proxy.core.verification.accents import unify_name_accents
from proxy.core.verification.english import is_english
from proxy.core.verification.notation import literally_equal, notations_differ
from proxy.core.verification.parsed_text import (
    RESPELLED_WORDS,
    SENTENCE_BREAK,
    ParsedText,
    build_parsed_text,
    parse_text_memoized,
    tokenize_text,
)
from proxy.core.verification.spelling import MAX_COMPARED_WORDS, is_one_edit, repair_typos

# English texts that differ in nothing but these are equivalent.
_POLITE_TOKENS = frozenset(
    f"{SENTENCE_BREAK} please kindly hello hi hey dear thanks thank ok okay".split()
)
_CONTRACTION = re.compile(
    r"\b(?:(what|who|where|when|why|how|it|that|there|here|he|she)'?s|(i)'?m|(i|we|you|they)'(re|"
    r"ve|ll|d)|(you|they)re)\b"
)
_CONTRACTED_VERBS = {"re": "are", "ve": "have", "ll": "will", "d": "would"}


def equivalent(asked: str, stored: str) -> bool:
    """Return whether two texts are equivalent. Symmetric.

    They are literally equal, or English with the same marks and the same words but for typos,
    politeness, contractions and spelling of numbers.
    """
    asked, stored = unify_name_accents(asked, stored)
    if literally_equal(asked, stored):
        return True
    if notations_differ(asked, stored) or not (is_english(asked) and is_english(stored)):
        return False
    ours, theirs = repair_typos(_parse_expanded(asked), _parse_expanded(stored))
    one, other = (
        tuple(token for token in each.tokens if token not in _POLITE_TOKENS)
        for each in (ours, theirs)
    )
    return one == other != ()


_LONG_WORD, _TYPED_WORD = re.compile("[a-z]{4,}"), re.compile("[a-z]{3,}")
_FREE_WORDS = (
    _POLITE_TOKENS
    | RESPELLED_WORDS
    | {*_CONTRACTED_VERBS.values(), "youre", "theyre"}
    | {"quot", "apos"}  # of escaped quotation marks
)


def may_be_equivalent(asked: str, stored: str) -> bool:
    """Return whether `equivalent` may be true, in some microseconds. Symmetric.

    It is not where a word of four letters or more has no counterpart, of which it could be a typo;
    but for a typo of what the other text contracts or writes as two words: lgoin, log in. Texts
    that are not all ASCII may always be.
    """
    if not (asked.isascii() and stored.isascii()):
        return True
    asked, stored = asked.lower(), stored.lower()
    ours, theirs = (frozenset(_LONG_WORD.findall(text)) for text in (asked, stored))
    ours, theirs = ours - theirs - _FREE_WORDS, theirs - ours - _FREE_WORDS
    if not (ours or theirs):
        return True
    if max(len(ours), len(theirs)) > MAX_COMPARED_WORDS:
        return False
    # A typo of one text may be of a word that both have, and be a letter shorter.
    return all(
        any(is_one_edit(word, other) for other in others)
        for words, others in (
            (ours, _TYPED_WORD.findall(stored)),
            (theirs, _TYPED_WORD.findall(asked)),
        )
        for word in words
    )


@remember_by_tenant(512)
def _parse_expanded(text: str) -> ParsedText:
    """Parse an English text with its contractions written out."""
    return build_parsed_text(
        tokenize_text(_CONTRACTION.sub(_expand_contraction, fold_text(text).lower())),
        parse_text_memoized(text).names,
    )


def _expand_contraction(match: re.Match[str]) -> str:
    asking, first, person, verb, other = match.groups()
    if asking:
        return f"{asking} is"
    if first:
        return "i am"
    return f"{person} {_CONTRACTED_VERBS[verb]}" if person else f"{other} are"
