"""The demo's arithmetic: figures, table, agreement, answers and options."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from demo import agreement, options
from demo.__main__ import choose_plans
from demo.answers import answer, label_in, label_of
from demo.figures import Bill, figures, percentile
from demo.management_api import GUIDE_BODY, read_bill
from demo.question import FAQ_PLAN, GUIDE_PLAN, Question
from demo.replay import Outcome, answered_label, origins
from demo.report import as_json
from demo.table import render
from gateway_project.embedded.redis import find_search_module
from proxy.core.tokens import count_text

KEYS = {
    "requests",
    "exact_hits",
    "semantic_hits",
    "wrong_hits",
    "unlabelled_hits",
    "compressed",
    "input_tokens_before",
    "input_tokens_after",
    "cost_before_usd",
    "cost_after_usd",
    "exact_hit_p50_ms",
    "semantic_hit_p50_ms",
    "miss_added_p50_ms",
}
BILL = Bill(
    requests=4,
    exact_hits=1,
    semantic_hits=1,
    compressed=1,
    tokens_saved=30,
    cost_saved=Decimal("0.3"),
    tokens_before=40,
    tokens_after=20,
    completion_tokens=10,
    cost_before=Decimal("0.5"),
    cost_after=Decimal("0.2"),
)


def outcome(
    tier: str, asked: str, answered: str, *, number: int, compressed: bool = False
) -> Outcome:
    return Outcome(
        question=Question(plan=FAQ_PLAN, messages=[], label=asked, differs=frozenset({"trap"})),
        tier=tier,
        completion_id=f"id-{number}",
        made_for=answered,
        ms=10.0 * number,
        overhead_ms=float(number),
        tokens_saved=10,
        cost_saved=Decimal("0.1"),
        compressed=compressed,
    )


RUN = [
    outcome("miss", "a", "a", number=1, compressed=True),
    outcome("miss", "trap", "trap", number=2),
    outcome("exact", "a", "a", number=1),
    outcome("semantic", "a", "trap", number=2),
    outcome("semantic", "a", "elsewhere", number=3),
]


def test_hits_are_counted_by_tier_and_judged_by_label() -> None:
    found = figures(RUN, BILL, origins(RUN))
    assert (found.requests, found.exact_hits, found.semantic_hits) == (5, 1, 2)
    assert (found.wrong_hits, found.unlabelled_hits, found.compressed) == (1, 1, 1)
    assert (found.exact_hit_p50_ms, found.semantic_hit_p50_ms, found.miss_added_p50_ms) == (
        10.0,
        20.0,
        1.0,
    )
    assert (found.input_tokens_before, found.cost_after_usd) == (40, Decimal("0.2"))


def test_without_labels_in_the_answers_the_completion_id_tells_whose_answer_a_hit_was() -> None:
    plain = [replace(each, made_for=None) for each in RUN]
    known = origins(plain)
    assert [answered_label(each, known) for each in plain] == ["a", "trap", "a", "trap", None]


def test_what_was_not_measured_is_null() -> None:
    found = figures([], BILL, {}).as_json()
    assert (
        found["exact_hit_p50_ms"]
        is found["semantic_hit_p50_ms"]
        is found["miss_added_p50_ms"]
        is None
    )


def test_the_json_file_has_the_promised_keys() -> None:
    found = figures(RUN, BILL, origins(RUN))
    document = as_json({FAQ_PLAN: found}, found)
    assert set(document["plans"][FAQ_PLAN]) == set(document["total"]) == KEYS


def test_the_table_has_a_column_per_plan_and_lines_of_one_width() -> None:
    found = figures(RUN, replace(BILL, cost_before=None, cost_after=None), origins(RUN))
    lines = render({FAQ_PLAN: found}, found).splitlines()
    assert lines[0].split() == [FAQ_PLAN, "total"]
    assert len({len(line) for line in lines}) == 1
    assert any("unpriced" in line for line in lines)


def test_percentiles_are_of_the_nearest_rank() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert [percentile(values, rank) for rank in (50, 99, 100)] == [50.0, 99.0, 100.0]


def test_equal_counts_agree() -> None:
    bill = replace(
        BILL, requests=5, semantic_hits=2, tokens_saved=50, cost_saved=Decimal("0.500004")
    )
    assert list(agreement.disagreements("p", RUN, bill)) == []
    assert list(agreement.mixed_up(RUN)) == []
    assert (
        list(
            agreement.ledger_disagreements(
                RUN, bill, {"requests": 2, "prompt_tokens": 20, "completion_tokens": 10}
            )
        )
        == []
    )


def test_what_a_stream_joined_live_saved_is_known_to_the_statistics_alone() -> None:
    joined = [
        replace(one, joined=True, tokens_saved=0, cost_saved=Decimal(0)) if one is RUN[0] else one
        for one in RUN
    ]
    saved, cost = (
        sum(one.tokens_saved for one in RUN),
        sum((one.cost_saved for one in RUN), Decimal(0)),
    )
    bill = replace(BILL, tokens_saved=saved, cost_saved=cost)
    assert not [line for line in agreement.disagreements("p", joined, bill) if "saved" in line]
    less = replace(bill, tokens_saved=saved - 11, cost_saved=cost - Decimal("0.2"))
    assert (
        len([line for line in agreement.disagreements("p", joined, less) if "saved" in line]) == 2
    )


def test_every_difference_is_one_line_with_both_numbers() -> None:
    found = list(agreement.disagreements("p", RUN, BILL))
    assert "p: requests 5, total_requests 4" in found
    assert len(found) == 4
    assert list(
        agreement.ledger_disagreements(
            RUN, BILL, {"requests": 3, "prompt_tokens": 20, "completion_tokens": 10}
        )
    ) == ["misses in the headers 2, the upstream's requests 3"]


def test_an_answer_from_upstream_made_for_somebody_else_is_reported() -> None:
    assert list(agreement.mixed_up([outcome("miss", "a", "b", number=1)])) == [
        "a miss for 'a' was answered with 'b'"
    ]


def test_bills_add_up_and_what_is_unpriced_stays_unknown() -> None:
    assert (BILL + BILL).tokens_before == 80
    unpriced = replace(BILL, cost_before=None)
    assert (unpriced + BILL).cost_before == BILL.cost_before
    assert (unpriced + unpriced).cost_before is None


def test_an_answer_carries_its_label_whatever_characters_that_has() -> None:
    for label in ("plain", 'odd "]" \\ label', "ünïcode"):
        assert label_in(answer(label)) == label
        assert 40 <= count_text(answer(label), "o200k_base") <= 130
    assert answer("x") == answer("x") != answer("y")
    assert [label_in(text) for text in ("hello", "[asked: oops", "[asked: 3] x")] == [
        None,
        None,
        None,
    ]


def test_the_label_is_taken_from_metadata_else_from_the_final_message() -> None:
    messages = [{"role": "user", "content": "hello"}]
    assert label_of({"metadata": {"label": "x"}, "messages": messages}) == "x"
    assert label_of({"messages": messages}) == label_of(
        {"messages": [{"role": "system", "content": "s"}, *messages]}
    )


def test_options_come_from_makes_variables_and_openai_needs_a_key() -> None:
    chosen = options.read(
        [],
        {
            "DATA": "d",
            "JSON": "j",
            "UPSTREAM": "openai",
            "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
        },
    )
    assert (chosen.data, chosen.json, chosen.provider) == (
        Path("d"),
        Path("j"),
        "http://127.0.0.1:1/v1",
    )
    assert (
        options.read(["--upstream", "openai"], {"OPENAI_API_KEY": "k"}).provider == options.OPENAI
    )
    assert options.read([], {"DATA": "", "UPSTREAM": ""}).provider is None
    for arguments, environment in ((["--upstream", "openai"], {}), ([], {"UPSTREAM": "other"})):
        with pytest.raises(SystemExit):
            options.read(arguments, environment)


def test_the_first_plan_is_the_guides() -> None:
    assert json.loads(GUIDE_BODY) == {
        "plan_name": "support-bot-cache",
        "compression": {"engine": "text_rank", "max_input_tokens": 4096},
        "cache": {"backend": "redis_semantic", "similarity_threshold": 0.85, "ttl": 3600},
    }


def test_a_bill_is_read_from_the_statistics() -> None:
    stats = {
        "total_requests": 4,
        "cache_hits": 2,
        "cache_hit_rate": 0.5,
        "tokens_saved": 30,
        "cost_saved_usd": 0.3,
        "detail": {
            "hits": {"exact": 1, "semantic": 1, "collapsed": 0},
            "compressed_requests": 1,
            "tokens": {"asked": 40, "sent": 20, "completion": 10},
            "cost_usd": {"would": "0.5", "billed": "0.15", "spent": "0.05"},
        },
    }
    assert read_bill(stats) == BILL


def test_without_a_redis_that_searches_pgvector_serves_both_plans_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert choose_plans()[GUIDE_PLAN] == GUIDE_BODY or find_search_module() is None
    monkeypatch.setattr("demo.__main__.find_search_module", lambda: None)
    bodies = {name: json.loads(body) for name, body in choose_plans().items()}
    assert "pgvector serves both plans" in capsys.readouterr().out
    assert bodies.pop(FAQ_PLAN) == {"plan_name": FAQ_PLAN}
    (guide,) = bodies.values()
    assert guide["cache"].pop("backend") == "pgvector_semantic"
    expected = json.loads(GUIDE_BODY)
    del expected["cache"]["backend"]
    assert guide == expected
