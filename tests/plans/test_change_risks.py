"""Which changes are asked about first: those that could serve other answers, and no others."""

from dataclasses import replace
from typing import Any

import pytest

from plans.change_risks import list_change_risks
from plans.snapshot import CacheSettings, CompressionSettings
from plans.validation import PlanDraft

PLAN = PlanDraft(
    name="faq",
    mode="active",
    compression=CompressionSettings(engine="text_rank", max_input_tokens=4096, deadline_ms=500),
    cache=CacheSettings(
        backend="pgvector_semantic", max_error_rate=0.02, max_temperature=0.5, window=4
    ),
)
EXACT = CacheSettings(backend=None, max_temperature=0.5, window=4)


def risks_of(before: CacheSettings, **changes: Any) -> list[str]:
    return list_change_risks(
        replace(PLAN, cache=before), replace(PLAN, cache=replace(before, **changes))
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"max_temperature": 1.0}, "more variety"),
        ({"personal": True}, "another person's facts"),
        ({"time_sensitive": True}, "old news"),
        ({"window": 2}, "Fewer earlier turns"),
    ],
)
def test_what_does_nothing_without_a_backend_is_not_asked_about(
    changes: dict[str, Any], says: str
) -> None:
    assert PLAN.cache
    (risk,) = risks_of(PLAN.cache, **changes)
    assert says in risk
    assert risks_of(EXACT, **changes) == []


@pytest.mark.parametrize("context", ["strict", "last_message"])
def test_a_window_that_nothing_looks_at_is_not_asked_about(context: Any) -> None:
    assert PLAN.cache
    assert risks_of(replace(PLAN.cache, context=context), window=2) == []


def test_stale_answers_are_those_of_identical_requests() -> None:
    assert PLAN.cache
    (risk,) = risks_of(PLAN.cache, stale_if_error=60)
    assert "when the provider fails" in risk
    assert risks_of(replace(PLAN.cache, exact=False), stale_if_error=60) == []


def test_another_judge_is_asked_about_while_it_judges() -> None:
    assert PLAN.cache
    (risk,) = risks_of(PLAN.cache, judge_model="smart")
    assert "which reused answers were wrong" in risk
    assert risks_of(replace(PLAN.cache, max_error_rate=None), judge_model="smart") == []


@pytest.mark.parametrize(
    ("before", "after", "asks"),
    [(500, 100, True), (None, 100, True), (100, 500, False), (100, None, False)],
)
def test_less_time_for_the_engine_is_asked_about(
    before: int | None, after: int | None, asks: bool
) -> None:
    assert PLAN.compression
    was, is_ = (
        replace(PLAN, compression=replace(PLAN.compression, deadline_ms=each))
        for each in (before, after)
    )
    assert [("less time" in risk) for risk in list_change_risks(was, is_)] == [True] * asks
