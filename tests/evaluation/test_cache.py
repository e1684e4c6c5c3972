"""The evaluation of the cache counts right: rates, the stream, the data files."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from evaluation.cache.figures import Outcome, rates
from evaluation.cache.sets import Query, pairs, stream
from evaluation.cache.some import some
from evaluation.cache.stream import replay
from evaluation.cache.table import by_group, by_set


def outcome(group: str, *, same: bool, served: bool, right: bool | None = None) -> Outcome:
    return Outcome(group, same, served, same if right is None else right)


def test_rates_are_shares_of_what_their_names_say() -> None:
    found = rates([
        outcome("edit", same=True, served=True),
        outcome("edit", same=True, served=False),
        outcome("trap", same=False, served=True),
        outcome("trap", same=False, served=False),
        outcome("trap", same=False, served=False),
    ])  # fmt: skip
    assert (found["rows"], found["hit_rate"], found["false_hit_rate"]) == (5, 0.4, 0.5)
    assert (found["recall"], found["traps_served"]) == (0.5, 0.3333)
    assert found["groups"] == {
        "edit": {"rows": 2, "served": 0.5, "same": 1.0},
        "trap": {"rows": 3, "served": 0.3333, "same": 0.0},
    }


def test_a_wrong_answer_to_what_had_a_right_one_counts_against_both() -> None:
    found = rates([outcome("faq", same=True, served=True, right=False)])
    assert (found["recall"], found["false_hit_rate"], found["traps_served"]) == (0.0, 1.0, None)


def test_of_nothing_there_is_no_share() -> None:
    assert rates([])["false_hit_rate"] is None


async def test_a_stream_keeps_what_it_did_not_serve() -> None:
    words = {"a": [1.0, 0.0], "a2": [0.9, np.sqrt(1 - 0.81)], "b": [0.0, 1.0]}
    vectors = {text: np.array(vector, dtype=np.float32) for text, vector in words.items()}
    queries = [
        Query("a", "A", "x"),
        Query("a2", "A", "x"),
        Query("b", "B", "x"),
        Query("a", "A", "x"),
        Query("a2", "C", "x"),
    ]
    looked: list[tuple[str, str]] = []

    async def serves(asked: str, stored: str, cosine: float) -> bool:
        looked.append((asked, stored))
        return cosine >= 0.85

    found = [one async for one in replay(queries, vectors, serves, floor=0.7, most=3)]
    assert [(one.same, one.served, one.right) for one in found] == [
        (False, False, False),
        (True, True, True),
        (False, False, False),
        (True, True, True),
        (False, True, False),
    ]
    assert ("b", "a") not in looked, "below the floor nothing is looked at"
    assert ("a", "a") not in looked, "the same text needs no second check"


def test_the_sets_of_a_folder(tmp_path: Path) -> None:
    rows = [
        {"a": "x", "b": "y", "same": True, "group": "gen_benign_case", "source": "s"},
        {"a": "x", "b": "z", "same": False, "group": "paws_diff", "source": "s"},
    ]
    _write(tmp_path / "cache_pairs.jsonl.gz", rows)
    chat = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "r"},
        {"role": "user", "content": "s"},
    ]
    _write(
        tmp_path / "multiturn.jsonl.gz",
        [{"a": chat, "b": chat, "same": True, "group": "g", "source": "s"}],
    )
    found = pairs(tmp_path)
    assert {name: [row.group for row in rows] for name, rows in found.items()} == {
        "questions": ["gen_benign_case"],
        "paws": ["paws_diff"],
        "multiturn": ["g"],
    }
    assert found["questions"][0].stored == [{"role": "user", "content": "x"}]
    assert found["multiturn"][0].asked == chat
    assert stream(tmp_path) == []


def test_a_folder_without_data_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"cache_pairs\.jsonl\.gz"):
        pairs(tmp_path)


def test_some_rows_are_the_same_each_time_and_in_order() -> None:
    rows = list(range(1000))
    chosen = some(rows, 100)
    assert chosen == some(rows, 100) == sorted(chosen)
    assert len(set(chosen)) == 100
    assert some(rows, 1000) == rows


def test_the_tables_name_sets_groups_and_decisions() -> None:
    found = rates(
        [outcome("edit", same=True, served=True), outcome("trap", same=False, served=False)]
    )
    decisions = {"cosine": {"questions": found}, "default": {"questions": found}}
    assert "| questions | default | 2 | 0.500 | 0.000 | 1.000 | 0.000 |" in by_set(decisions)
    assert "| questions | trap | 1 | trap | 0.000 | 0.000 |" in by_group(decisions)


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(row)}\n" for row in rows)
