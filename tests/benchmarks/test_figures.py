"""What the benchmark makes of what it measured:
percentiles, verdicts, tables, medians of several runs."""

import json
from typing import Any

import pytest

from benchmarks.load import Measured
from benchmarks.results import curves, met, page, table
from benchmarks.table import render, show, verdict
from benchmarks.tally import Tally
from benchmarks.targets import FIGURES, at_least, at_most

ORDERED = """bare_asgi_rps bare_redis_rps django_view_rps exact_hit_rps exact_hit_p99_ms
 exact_hit_stream_rps passthrough_rps passthrough_added_p99_ms miss_rps miss_added_p50_ms
 semantic_hit_p50_ms semantic_hit_p99_ms semantic_growth stream_late_ms compress_cold_ms
 compress_next_ms compress_vs_sumy loop_lag_p99_ms compress_growth_exponent two_worker_factor
 two_worker_cpu_ratio worker_rss_mb ready_s""".split()


def run(**figures: float) -> dict[str, Any]:
    about = {
        "date": "2026-11-23 09:00 UTC",
        "machine": "a machine",
        "versions": {"python": "3.11.7"},
        "seconds": 400,
    }
    return {
        **figures,
        "peers": {},
        "curves": {},
        "requests_agreed": 7,
        "other_programs_cores": 0.01,
        **about,
    }


def test_percentiles_are_by_nearest_rank_and_in_milliseconds() -> None:
    assert Measured.of([number / 1000 for number in range(100, 0, -1)], 2.0) == Measured(
        50.0, 50.0, 99.0
    )


def test_every_figure_that_was_ordered_is_shown_once() -> None:
    names = [figure.name for figure in FIGURES]
    assert set(ORDERED) <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345.6, "12,346 ms"), (12.34, "12.3 ms"), (0.456, "0.46 ms"), (-3.0, "-3.00 ms")],
)
def test_a_value_shows_three_digits(value: float, text: str) -> None:
    assert show(value, "ms") == text


def test_a_verdict_needs_what_the_target_compares_with() -> None:
    hit = next(figure for figure in FIGURES if figure.name == "exact_hit_rps")
    assert verdict(hit, {"exact_hit_rps": 6000, "bare_asgi_rps": 12000}) == "yes"
    assert verdict(hit, {"exact_hit_rps": 5999, "bare_asgi_rps": 12000}) == "**no**"
    assert verdict(hit, {"exact_hit_rps": 6000}) == ""


def test_bounds_hold_at_the_bound() -> None:
    assert (
        verdict(at_least(3, "a", "A"), {"a": 3}) == verdict(at_most(3, "a", "A"), {"a": 3}) == "yes"
    )


def test_a_table_has_a_column_for_each_peer_and_a_line_for_each_figure_measured() -> None:
    shown = render(
        {"exact_hit_rps": 6000.0, "ready_s": 2.0},
        {"litellm": {"version": "1.0", "cached_rps": 160.0}},
    )
    assert shown.splitlines() == [
        "| figure | this run | litellm 1.0 | target | met? |",
        "| --- | ---: | ---: | --- | --- |",
        "| exact hit, 16 connections | 6,000 /s | 160 /s | >= 0.5 x bare ASGI with Redis |  |",
        "| from start to ready | 2.00 s |  | <= 6 s | yes |",
    ]


def test_results_show_median_spread_and_in_how_many_runs_a_target_was_met() -> None:
    runs = [
        run(ready_s=4.0, miss_rps=400.0),
        run(ready_s=7.0, miss_rps=500.0),
        run(ready_s=5.0, miss_rps=300.5),
    ]
    lines = table(runs)
    assert (
        "| miss with full plan (embed, look up, store), 4 connections | 400 /s | 300 - 500 | "
        ">= 350 /s | in 2 of 3 |"
    ) in lines
    assert "| from start to ready | 5.00 s | 4.00 - 7.00 | <= 6 s | in 2 of 3 |" in lines
    assert met(at_most(9, "ready_s", ""), runs) == "yes"
    assert "7, 7, 7 requests" in page(json.loads(json.dumps(runs)), ["plans.png"])


def test_curves_are_drawn_from_the_medians_of_what_all_runs_measured() -> None:
    runs: list[dict[str, Any]] = [
        {"curves": {"a": [[1.0, value]], "b": []}} for value in (3.0, 9.0, 4.0)
    ]
    del runs[1]["curves"]["b"]
    assert curves(runs) == {"a": [(1.0, 4.0)]}


def test_a_tally_reads_ids_tiers_and_tokens_saved_from_heads() -> None:
    tally = Tally()
    tally.note(
        b"http/1.1 200 ok\r\nx-request-id: 0190\r\nx-tokenthrift-cache: exact\r\n"
        b"x-tokenthrift-tokens-saved: 42"
    )
    tally.note(b"http/1.1 200 ok\r\nx-tokenthrift-cache: miss\r\nx-request-id: 0191")
    assert (tally.ids, dict(tally.tiers), tally.saved) == (
        [b"0190", b"0191"],
        {"exact": 1, "miss": 1},
        42,
    )


def test_a_tally_refuses_an_answer_that_is_not_the_gateways() -> None:
    with pytest.raises(ValueError, match="not found"):
        Tally().note(b"http/1.1 200 ok\r\nserver: another")
