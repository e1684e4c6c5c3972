"""The hand-made lists agree with themselves: a word stands for one other,
and no word is its own opposite."""

from collections import Counter

from proxy.core.verification.lexicon.given_names import GIVEN_NAMES
from proxy.core.verification.lexicon.opposites import ANTONYM_PAIRS, EXCLUSIVE_KINDS
from proxy.core.verification.lexicon.places import CALENDAR_NAMES, PLACE_NAMES
from proxy.core.verification.lexicon.synonyms import JOINED_PHRASES, SYNONYMS
from proxy.core.verification.parsed_text import canonicalize_word, stem_word


def test_no_word_is_in_two_groups_of_the_same_meaning() -> None:
    stems = Counter(
        word
        for group in SYNONYMS.split(";")
        for word in {stem_word(word) for word in group.split()}
    )
    assert [word for word, times in stems.items() if times > 1] == []


def test_the_words_of_a_pair_or_kind_stay_apart() -> None:
    groups = [group.split() for group in (*ANTONYM_PAIRS.split(","), *EXCLUSIVE_KINDS.split(";"))]
    assert all(len(group) > 1 for group in groups)
    assert [
        group for group in groups if len({canonicalize_word(word) for word in group}) < len(group)
    ] == []


def test_pairs_are_pairs_and_phrases_have_two_words() -> None:
    pairs = [frozenset(pair.split()) for pair in ANTONYM_PAIRS.split(",")]
    assert {len(pair) for pair in pairs} == {2}
    assert len(set(pairs)) == len(pairs)
    assert {len(entry.split("=")[0].split()) for entry in JOINED_PHRASES.split(",")} == {2}


def test_names_are_single_words_in_lower_case() -> None:
    assert all(
        name.isalpha() and name.islower() for name in PLACE_NAMES | CALENDAR_NAMES | GIVEN_NAMES
    )
