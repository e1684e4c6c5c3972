"""Whether words that two sentences share come in another order that tells something else.

From Seattle to Oslo is not from Oslo to Seattle, but "on Monday I fly to Oslo" is "I fly to Oslo on
Monday": a phrase moved together with the word that ties it, within its clause. Whatever else comes
in another order counts, also where a reader would see no difference.
"""

from dataclasses import dataclass

from proxy.core.verification.chat_reading import (
    CLAUSE,
    CONTENT,
    NAME,
    NUMBER,
    SentenceReading,
    digest_words,
)
from proxy.core.verification.parsed_text import FILLERS, LINKS

# Words that begin a clause which may come before or after the other, said of the same.
_SUBORDINATORS = "since because when while if unless though although until till before after once"
# Words that may stand anywhere in their clause, one of them.
_FREE_WORDS = (
    "already today tonight tomorrow yesterday currently usually mostly lately recently altogether "
    "soon around roughly yes see think guess suppose reckon believe hope"
)
# What these are said of shows in their place alone.
_PLACED_WORDS = (
    "not no never none nothing neither nor without except unless only just even instead both first "
    "last then all"
)
# Shared part of the shorter sentence's content from which on both say the same in another order;
# with less, each says something of its own, which is counted as that.
_MIN_OVERLAP = 0.6
# Shared words of a sentence whose pairs are looked at; in a longer one every other order counts.
_MAX_ORDERED_WORDS = 64
_LINKS = digest_words(LINKS | {"since", "until", "till", "during", "as", "per"})
_LEADS, _FREE = digest_words(_SUBORDINATORS), digest_words(_FREE_WORDS)
_FREE_TIE = -1
# Small words: after a word of content they end the phrase that a link began.
_ENDS, _PLACED = digest_words(FILLERS), digest_words(_PLACED_WORDS)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a word stands.

    `clause`: from 1; `lead`: the subordinator that begins it; `link`: the word that ties it, as
    "on" does in "on Monday", or that it is free. 0 if there is none.
    """

    clause: int
    lead: int
    link: int


def differ_in_order(one: SentenceReading, other: SentenceReading) -> bool:
    """Return whether words of both come in an order that tells something else. Symmetric."""
    telling = CONTENT | NAME | NUMBER
    ours, theirs = one.pick_words(telling), other.pick_words(telling)
    shared = ours & theirs
    here, there = ([word for word in each.words if word in shared] for each in (one, other))
    if here == there or len(shared) < _MIN_OVERLAP * min(len(ours), len(theirs)):
        return False
    if len(here) > _MAX_ORDERED_WORDS:
        return True
    # Words that are said twice have no place of their own.
    if len(here) > len(shared) or len(there) > len(shared):
        return not (_holds_clauses(one, other) or _holds_clauses(other, one))
    places, others = (_place_words(each, shared) for each in (one, other))
    ranks = {word: rank for rank, word in enumerate(there)}
    return not all(
        _is_moved_phrase((places[word], others[word]), (places[later], others[later]))
        and _PLACED.isdisjoint((word, later))
        for place, word in enumerate(here)
        for later in here[place + 1 :]
        if ranks[word] > ranks[later]
    )


def _holds_clauses(sentence: SentenceReading, other: SentenceReading) -> bool:
    """Return whether the other is, word by word, some clauses of the sentence."""
    size = len(other.words)
    bounds = {at for at, kind in enumerate(sentence.kinds) if kind & CLAUSE}
    return bool(bounds) and any(
        sentence.words[at : at + size] == other.words
        for at in bounds
        if at + size in bounds or at + size == len(sentence.words)
    )


def _place_words(sentence: SentenceReading, wanted: frozenset[int]) -> dict[int, _Place]:
    """Return where each of these words stands."""
    found: dict[int, _Place] = {}
    clause = lead = link = 0
    is_filled = False  # a word of content has followed the link
    for word, kind in zip(sentence.words, sentence.kinds, strict=True):
        if kind & CLAUSE:
            clause, lead, link = clause + 1, word if word in _LEADS else 0, 0
        if word in _LINKS:
            link, is_filled = word, False
        elif word in _ENDS:
            link = 0 if is_filled else link
        else:
            is_filled = True
        if word in wanted:
            found[word] = _Place(clause, lead, _FREE_TIE if word in _FREE else link)
    return found


def _is_moved_phrase(one: tuple[_Place, _Place], other: tuple[_Place, _Place]) -> bool:
    """Return whether one of two words in another order moved with what ties it.

    Each word by its places in both sentences. What no clause is known of has not.
    """
    if not (one[0].clause and one[1].clause):
        return False
    together = [one[at].clause == other[at].clause for at in (0, 1)]
    if all(together):
        return _keeps_tie([(one[at].link, other[at].link) for at in (0, 1)])
    return not any(together) and _keeps_tie([(one[at].lead, other[at].lead) for at in (0, 1)])


def _keeps_tie(ties: list[tuple[int, int]]) -> bool:
    """Return whether one of two words has the same tie in both sentences, which is not the other's.

    `ties`: of both words, by sentence.
    """
    here, there = ties
    return any(
        here[at] and here[at] == there[at] and here[at] not in (here[1 - at], there[1 - at])
        for at in (0, 1)
    )
