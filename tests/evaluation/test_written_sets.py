"""The written sets are whole: every row has what its kind needs, nothing twice, both halves."""

import re
from collections import Counter
from typing import Any

import pytest

from evaluation.matching.written_sets import (
    SAME_GROUP,
    TRAP_GROUP,
    build_group_pairs,
    read_conversations,
    read_groups,
)

GROUPS, ROWS = read_groups(), read_conversations()


def test_every_group_has_four_wordings_and_four_traps_and_no_text_is_there_twice() -> None:
    texts = Counter(text for group in GROUPS for text in (*group.wordings, *group.traps))
    assert len(GROUPS) >= 500
    assert {(len(group.wordings), len(group.traps)) for group in GROUPS} == {(4, 4)}
    assert max(texts.values()) == 1
    assert all(group.answer.strip() for group in GROUPS)
    assert len({group.domain for group in GROUPS}) == 40


def test_half_of_the_groups_of_every_domain_teach() -> None:
    teaching = Counter(group.domain for group in GROUPS if group.teaches)
    assert 0.4 < teaching.total() / len(GROUPS) < 0.6
    assert set(teaching) == {group.domain for group in GROUPS}


def test_a_group_makes_six_right_pairs_and_sixteen_traps() -> None:
    pairs = build_group_pairs(GROUPS[:3])
    assert Counter(pair.group for pair in pairs) == {SAME_GROUP: 18, TRAP_GROUP: 48}
    assert all(pair.same == (pair.group == SAME_GROUP) for pair in pairs)


def test_there_are_as_many_conversations_of_each_kind_as_teaching_needs() -> None:
    kinds = Counter(row["kind"] for row in ROWS)
    assert kinds["history"] >= 150
    assert min(kinds["standalone"], kinds["offer"], kinds["chatter"]) >= 60
    assert len({row["domain"] for row in ROWS if row["kind"] == "history"}) >= 12


@pytest.mark.parametrize("row", [row for row in ROWS if row["kind"] == "history"])
def test_a_history_is_told_twice_and_its_details_can_be_swapped(row: dict[str, Any]) -> None:
    assert len(row["history"]) == len(row["reworded"]) >= 2
    assert len(row["other_questions"]) == 3
    assert len(row["swaps"]) >= 2
    for told in (row["history"], row["reworded"]):
        text = "\n".join(turn for exchange in told for turn in exchange)
        for before, after in row["swaps"]:
            assert _occurs(before, text), before
            assert not _occurs(after, text), after


def test_questions_that_stand_alone_and_offers_have_their_rivals() -> None:
    for row in ROWS:
        if row["kind"] == "standalone":
            assert len({row["question"], row["question_reworded"], *row["other_questions"]}) == 5
        if row["kind"] == "offer":
            assert len({row["offer"], row["offer_reworded"], row["rival"]}) == 3
            assert row["accept"]
            assert row["refuse"]


def _occurs(word: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None
