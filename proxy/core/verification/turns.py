"""Compare single turns of two chats, and the details that whole chats name."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from proxy.core.verification.accents import unify_name_accents
from proxy.core.verification.notation import literally_equal
from proxy.core.verification.parsed_text import (
    LINKS,
    ParsedText,
    build_parsed_text,
    canonicalize_word,
    parse_text_memoized,
)
from proxy.core.verification.rules.names import capitals_differ, names_differ
from proxy.core.verification.rules.negation import negation_differs
from proxy.core.verification.rules.numbers import numbers_differ
from proxy.core.verification.rules.rule_registry import RULES, explain_unreadable
from proxy.core.verification.spelling import repair_typos

# Statements vary more than questions, so rules on the form of a question do not apply to turns.
# Instead: texts that are equal but for a word were written about two things (renew it, cancel it),
# while a rewording uses other words throughout.

# The rules on questions that apply. Numbers and names are compared over the whole chat: one turn
# may say what another repeats.
_TURN_RULES: Final = {
    name: RULES[name]
    for name in (
        "units",
        "antonyms",
        "scope",
        "dates",
        "order",
        "spelling",
        "unlisted",
        "particles",
        "replaced",
    )
}
# Shared part of all words, small ones included, from which on one text is the other, edited (Dice
# 1945).
_MIN_EDITED_OVERLAP = 0.75
# Shared part of the shorter text's content from which on a negation, or an opposite, is about the
# same thing.
_MIN_OVERLAP_FOR_NEGATION, _MIN_OVERLAP_FOR_ANTONYMS = 0.6, 0.34
_YES_WORDS, _NO_WORDS = (
    frozenset("yes yeah yep yup sure absolutely definitely correct right".split()),
    frozenset("no nope nah not never".split()),
)
_DIRECTION_LINKS = frozenset({"to", "from"})


def veto_turn(asked: str, stored: str) -> str | None:
    """Return why the turns say different things, in a short name, or None. Symmetric."""
    asked, stored = unify_name_accents(asked, stored)
    if literally_equal(asked, stored):
        return None
    return explain_unreadable(asked, stored) or _find_difference(asked, stored)


def _find_difference(asked: str, stored: str) -> str | None:
    """Return the rule by which English turns with the same marks differ, or None."""
    ours, theirs = repair_typos(parse_text_memoized(asked), parse_text_memoized(stored))
    if ours == theirs or ours.keys == theirs.keys == ():
        return None
    if ours.content != theirs.content and (
        _compute_dice(ours, theirs) >= _MIN_EDITED_OVERLAP
        or _blank_content_word(ours) == _blank_content_word(theirs)
    ):
        return "edited"
    shared = len(ours.content & theirs.content) / (min(len(ours.content), len(theirs.content)) or 1)
    if _classify_yes_no(ours) * _classify_yes_no(theirs) < 0 or (
        shared >= _MIN_OVERLAP_FOR_NEGATION and negation_differs(ours, theirs)
    ):
        return "negation"
    if _is_redirected(ours, theirs):
        return "order"
    return next(
        (
            name
            for name, differs in _TURN_RULES.items()
            if (shared >= _MIN_OVERLAP_FOR_ANTONYMS or name != "antonyms") and differs(ours, theirs)
        ),
        None,
    )


def _classify_yes_no(reading: ParsedText) -> int:
    """Return 1 if the turn begins with a yes, -1 if with a no, else 0."""
    first = next(iter(reading.tokens), "")
    return (first in _YES_WORDS) - (first in _NO_WORDS)


def _compute_dice(ours: ParsedText, theirs: ParsedText) -> float:
    return (
        2
        * (Counter(ours.tokens) & Counter(theirs.tokens)).total()
        / (len(ours.tokens) + len(theirs.tokens))
    )


def _blank_content_word(reading: ParsedText) -> tuple[str, ...]:
    """Return the tokens, the content word blanked if there is just one: from ... please."""
    if len(reading.keys) - sum(key in LINKS for key in reading.keys) != 1:
        return reading.tokens
    return tuple(
        "" if canonicalize_word(token) in reading.content else token for token in reading.tokens
    )


def _is_redirected(ours: ParsedText, theirs: ParsedText) -> bool:
    """Return whether one turn goes to where the other comes from."""
    here, there = _map_directions(ours), _map_directions(theirs)
    return any(here.get(key, link) != link for key, link in there.items())


def _map_directions(reading: ParsedText) -> dict[str, str]:
    return {
        key: link
        for link, key in zip(reading.keys, reading.keys[1:], strict=False)
        if link in _DIRECTION_LINKS
    }


def details_differ(asked: Iterable[str], stored: Iterable[str]) -> str | None:
    """Return `numbers` or `names` if one chat has one that the other lacks, else None.

    Chats are given by their turns.
    """
    ours, theirs = _merge_turns(asked), _merge_turns(stored)
    if ours == theirs:
        return None
    if numbers_differ(ours, theirs):
        return "numbers"
    return "names" if names_differ(ours, theirs) or capitals_differ(ours, theirs) else None


def _merge_turns(turns: Iterable[str]) -> ParsedText:
    """Return all turns as one parsed text, each word once."""
    # Details count wherever they are named, and once, however often.
    readings = [parse_text_memoized(turn) for turn in turns]
    tokens = dict.fromkeys(token for reading in readings for token in reading.tokens)
    return build_parsed_text(tokens, {name for reading in readings for name in reading.names})
