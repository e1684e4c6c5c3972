"""The rows that judge the verifier have taught it nothing."""

from pathlib import Path
from typing import Any

import pytest

from evaluation.matching.sources import is_free, read_sources, rows_of
from evaluation.split import Split, plain

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "dev"


def row(a: str, b: str, group: str = "gen_number", source: str = "generated") -> dict[str, Any]:
    return {"a": a, "b": b, "group": group, "source": source, "same": True}


def test_texts_that_hang_together_are_on_one_side_in_any_order_of_the_rows() -> None:
    chains = [
        [
            row(f"a{n} one", f"b{n} two"),
            row(f"b{n} two", f"c{n} three"),
            row(f"D{n} four!", f"please C{n} Three?"),
        ]
        for n in range(200)
    ]
    rows = [each for chain in chains for each in chain]
    forward, backward = Split(rows), Split(rows[::-1])
    for chain in chains:
        assert len({forward.side(text) for each in chain for text in (each["a"], each["b"])}) == 1
        assert forward.row_side(chain[0]) == backward.row_side(chain[2])
    held = sum(forward.row_side(chain[0]) == "held" for chain in chains)
    assert 70 < held < 130


def test_case_punctuation_and_politeness_do_not_change_sides() -> None:
    assert plain("Hello! Could you please PAY my bill?") == plain("pay my bill, thanks")
    split = Split([row("pay my bill", "pay my two bills")])
    assert split.side("Pay my bill!") == split.side("hey there, pay my two bills")


def test_a_benchmarks_rows_judge_and_never_teach() -> None:
    rows = [row(f"question {n}", f"other {n}", "fow_paraphrase", "fow") for n in range(50)]
    split = Split(rows)
    assert all(split.judges(each) for each in rows)
    assert not any(is_free(each) for each in rows)


def test_what_may_come_from_sgd_is_left_out() -> None:
    assert is_free(row("roll a 6 sided die", "roll a 7 sided die"))
    assert not is_free(row("I need a bus for 2.", "I need a bus for 3."))
    assert is_free(row("He was born in 1901 .", "He was born in 1902 .", "paws_diff", "paws"))


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the evaluation data beside the checkout")
def test_no_row_that_teaches_judges_and_no_text_is_on_both_sides() -> None:
    rows = rows_of(DATA / "cache_pairs.jsonl.gz")
    split, sources = Split(rows), read_sources(DATA)
    taught = {text for side in ("train", "tune") for text in _texts(sources, side)}
    judged = {plain(text) for each in rows if split.judges(each) for text in (each["a"], each["b"])}
    assert len(taught) > 1500
    assert not taught & judged
    assert not taught & _texts(sources, "held")
    assert not any(
        pair.group.startswith("fow") for pairs in sources.pairs.values() for pair in pairs
    )


def _texts(sources: Any, side: str) -> set[str]:
    found = {text for pair in sources.pairs[side] for text in (pair.a, pair.b)} | set(
        sources.texts[side]
    )
    found |= {text for texts in sources.intents[side].values() for text in texts}
    return {plain(text) for text in found}
