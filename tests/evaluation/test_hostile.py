"""The hostile pairs: the sets are sound, and the runner counts right."""

import json
from collections import Counter
from dataclasses import replace

from evaluation.cache.hostile import DIFFERENT, SAME, Outcome, Pair, figures, pairs, report


def test_the_sets_are_large_and_hold_nothing_twice() -> None:
    for file, least in ((DIFFERENT, 1000), (SAME, 250)):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        keys = Counter(
            json.dumps([sorted([json.dumps(row.pop("a")), json.dumps(row.pop("b"))]), row])
            for row in rows
        )
        assert len(rows) >= least
        assert max(keys.values()) == 1


def test_the_two_requests_of_a_pair_differ() -> None:
    for pair in pairs():
        assert (pair.first.messages, pair.first.fields) != (
            pair.second.messages,
            pair.second.fields,
        )


def test_no_pair_is_in_both_sets() -> None:
    said = {same: {_texts(pair) for pair in pairs() if pair.same is same} for same in (True, False)}
    assert not said[True] & said[False]


def test_every_kind_that_was_wanted_is_there() -> None:
    kinds = Counter(pair.kind for pair in pairs() if not pair.same)
    languages = (
        "chinese japanese korean hindi arabic russian polish german french spanish portuguese "
        "turkish thai vietnamese"
    ).split()
    assert (
        min(
            kinds[kind]
            for kind in ("code", "maths", "symbols", "units", "numbers", "one_letter", *languages)
        )
        >= 7
    )
    assert (
        min(
            kinds[kind]
            for kind in (
                "payload_word",
                "payload_url",
                "payload_hidden",
                "history",
                "earlier_turns",
                "parameters",
                "author",
            )
        )
        > 10
    )


def test_wrong_and_right_are_counted_apart() -> None:
    same = next(pair for pair in pairs() if pair.same)
    other = next(pair for pair in pairs() if not pair.same)
    found = figures(
        [
            _outcome(same, served=True),
            _outcome(same, served=False),
            _outcome(other, served=True),
            _outcome(other, served=False),
        ]
    )
    assert (found["same"], found["right"], found["different"], found["wrong"]) == (2, 1, 2, 1)
    assert [kind["reasons"] for kind in found["kinds"] if kind["kind"] == other.kind] == [
        {"numbers": 1}
    ]
    assert [len(found[name]) for name in ("served_wrong", "not_served")] == [1, 1]
    assert "served to 1 of 2; the right one to 1 of 2" in report(found | {"seconds": 1.0})


def test_a_kind_that_is_in_both_sets_is_counted_in_each() -> None:
    other = next(pair for pair in pairs() if not pair.same)
    found = figures(
        [_outcome(other, served=False), _outcome(replace(other, same=True), served=True)]
    )
    assert (found["same"], found["right"], found["different"], found["wrong"]) == (1, 1, 1, 0)
    assert [(kind["same"], kind["served"]) for kind in found["kinds"]] == [(False, 0), (True, 1)]


def _outcome(pair: Pair, *, served: bool) -> Outcome:
    return Outcome(
        pair=pair,
        stored=pair.first,
        asked=pair.second,
        served=served,
        reason="served" if served else "numbers",
    )


def _texts(pair: Pair) -> str:
    return json.dumps(
        [
            sorted([json.dumps(pair.first.messages), json.dumps(pair.second.messages)]),
            pair.first.fields,
            pair.plan,
        ]
    )
