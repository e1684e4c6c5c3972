"""What teaches which chats are the same: pairs of written blocks, and trees held to signs."""

from itertools import combinations, pairwise

import numpy as np
import pytest

from evaluation.conversations.boosting import BoostingPlan, TreeLearner
from evaluation.conversations.written_pairs import (
    DROPPED_EXCHANGE,
    KINDS,
    MILD_DROPPED_EXCHANGE,
    Part,
    build_chat_pairs,
    get_part,
)
from evaluation.conversations.written_turns import Row, list_turns, swap_details
from evaluation.matching.written_sets import read_conversations
from proxy.core.verification.boosted_trees import build_trees

ROWS = read_conversations()
PARTS: tuple[Part, ...] = ("teach", "cut", "judge")


def test_parts_share_no_row_and_half_teaches() -> None:
    texts = {part: {str(row) for row in ROWS if get_part(row) == part} for part in PARTS}
    assert all(one.isdisjoint(other) for one, other in combinations(texts.values(), 2))
    assert sum(map(len, texts.values())) == len(ROWS)
    assert 0.4 < len(texts["teach"]) / len(ROWS) < 0.6


@pytest.fixture(scope="module")
def rows() -> list[dict[str, object]]:
    return [row for row in ROWS if get_part(row) == "teach"]


def test_each_kind_is_made_as_often_and_again_the_same(rows: list[dict[str, object]]) -> None:
    pairs = build_chat_pairs(rows, 5, seed=1)
    assert len(pairs) == 5 * len(KINDS)
    assert pairs == build_chat_pairs(rows, 5, seed=1)
    assert pairs != build_chat_pairs(rows, 5, seed=2)
    for pair in pairs:
        assert pair.asked != pair.stored
        assert pair.asked[-1]["role"] == pair.stored[-1]["role"] == "user"


def test_another_detail_or_a_dropped_exchange_is_a_trap(rows: list[dict[str, object]]) -> None:
    pairs = build_chat_pairs(rows, 5, seed=1)
    traps = {pair.kind for pair in pairs if not pair.same}
    assert {DROPPED_EXCHANGE, MILD_DROPPED_EXCHANGE, "chatter, another detail"} <= traps
    assert {"mildly reworded, another detail", "mildly reworded, another question"} <= traps
    assert traps.isdisjoint({"chatter", "mildly reworded", "mildly reworded, with asides"})


HISTORIES = [row for row in ROWS if row["kind"] == "history"]


def test_a_mild_twin_is_told_in_most_of_the_words() -> None:
    shared = {twin: [_share_words(row, twin) for row in HISTORIES] for twin in ("mild", "reworded")}
    assert np.mean(shared["mild"]) > 0.5
    assert np.mean(shared["reworded"]) < 0.3


@pytest.mark.parametrize("row", HISTORIES, ids=lambda row: row["question"])
def test_a_mild_twin_names_each_detail_in_the_same_turn(row: Row) -> None:
    assert [len(each) for each in row["mild"]] == [len(each) for each in row["history"]]
    for told, twin in zip(list_turns(row["history"]), list_turns(row["mild"]), strict=True):
        for old, new in row["swaps"]:
            assert (swap_details(told, [(old, new)]) != told) == (
                swap_details(twin, [(old, new)]) != twin
            )


def _share_words(row: Row, twin: str) -> float:
    """Return what share of the words of a block and its twin is common to both."""
    here, there = (
        set(" ".join(list_turns(row[name])).lower().split()) for name in ("history", twin)
    )
    return len(here & there) / len(here | there)


def test_trees_learn_what_no_line_tells_apart() -> None:
    rng = np.random.default_rng(1)
    rows = rng.uniform(size=(800, 3))
    labels = (rows[:, 0] > 0.5) ^ (rows[:, 1] > 0.5)
    learner = TreeLearner(rows, [0, 0, 0], BoostingPlan(trees=80, leaves=5, min_weight=10))
    trees = build_trees(*learner.learn(labels, np.ones(800)))
    told = np.array([trees.weigh(row) > 0 for row in rows])
    assert (told == labels).mean() > 0.95


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sign_is_held_whatever_the_rows_say(sign: int) -> None:
    rng = np.random.default_rng(2)
    rows = rng.uniform(size=(600, 2))
    labels = rows[:, 0] * -sign + 0.3 * rows[:, 1] > (0.15 if sign < 0 else -0.4)
    learner = TreeLearner(rows, [sign, 0], BoostingPlan(trees=40, min_weight=10))
    trees = build_trees(*learner.learn(labels, np.ones(600)))
    path = [trees.weigh(np.array([value, 0.5])) for value in np.linspace(0, 1, 21)]
    assert all(sign * (after - before) >= -1e-9 for before, after in pairwise(path))
