"""The error budgets in a worker's memory."""

import time
from typing import Any

from plans.snapshot import CacheSettings, PlanSnapshot
from plans.strictness import Strictness, get_operating_points
from proxy.core.quality.anomaly import BLOCK_QUESTIONS
from proxy.core.quality.cohort import derive_cohort
from proxy.core.quality.error_budget import MAX_MONITORS, ErrorBudgets, TierState
from stats.analysis.error_rate import Sample, Verdict
from tests.support.fakes import full_plan

TENANT, OTHER = 7, 8


def plan(number: int = 1, **cache: Any) -> PlanSnapshot:
    return full_plan(id=number, cache=CacheSettings(**({"max_error_rate": 0.01} | cache)))


def feed(
    budgets: ErrorBudgets,
    to: PlanSnapshot,
    verdict: Verdict,
    count: int,
    *,
    at: float | None = None,
    basis: str = "b",
    tenant: int = TENANT,
) -> None:
    for number in range(count):
        budgets.add_sample(
            to,
            basis,
            tenant,
            f"{verdict} {number} {at}",
            Sample(time.time() if at is None else at, 0.9, verdict),
        )


def test_a_plan_that_nothing_is_known_of_has_its_own_threshold() -> None:
    assert ErrorBudgets().tier_state(plan(similarity_threshold=0.9), "b", TENANT) == TierState(0.9)


def test_a_threshold_by_name_is_in_force_and_a_cohort_of_its_own() -> None:
    number = get_operating_points().points["wide"].threshold
    wide = plan(strictness="wide")
    assert ErrorBudgets().tier_state(wide, "b", TENANT) == TierState(number)
    names: tuple[Strictness | None, ...] = (None, "strict", "wide")
    cohorts = [derive_cohort(CacheSettings(strictness=name), "judge") for name in names]
    assert cohorts[0] == cohorts[1] != cohorts[2]  # strict is the default number


def test_a_broken_budget_turns_the_tier_off_once() -> None:
    budgets = ErrorBudgets()
    feed(budgets, plan(), "wrong", 9)
    assert budgets.tier_state(plan(), "b", TENANT).off_reason == "error-budget"
    assert len(budgets.unsaved_trips) == 1
    assert list(budgets.list_off_tiers().values()) == ["error-budget"]


def test_budgets_of_plans_and_terms_do_not_mix() -> None:
    budgets = ErrorBudgets()
    feed(budgets, plan(1), "wrong", 5)
    assert not budgets.tier_state(plan(2), "b", TENANT).off_reason
    assert not budgets.tier_state(plan(1), "other terms", TENANT).off_reason


def test_a_tenant_whose_answers_vary_turns_the_tier_off_for_itself_alone() -> None:
    budgets = ErrorBudgets()
    feed(budgets, plan(), "wrong", 9)
    assert budgets.tier_state(plan(), "b", TENANT).off_reason == "error-budget"
    assert budgets.tier_state(plan(), "b", OTHER) == TierState(0.85)
    assert budgets.list_off_tiers() == {(1, "b", TENANT): "error-budget"}
    assert budgets.unsaved_trips[0].key == (1, "b", TENANT)


def test_what_one_tenant_s_samples_teach_moves_no_other_s_threshold() -> None:
    budgets = ErrorBudgets()
    for number in range(400):
        for score in (0.83, 0.85, 0.87, 0.89):
            budgets.add_sample(
                plan(), "b", TENANT, f"{number} {score}", Sample(time.time(), score, "right")
            )
    for tenant in (TENANT, OTHER):
        budgets.load_samples(plan(), "b", tenant, {})
    assert (
        budgets.tier_state(plan(), "b", TENANT).threshold,
        budgets.tier_state(plan(), "b", OTHER).threshold,
    ) == (0.82, 0.85)


def test_one_tenant_s_jump_is_no_other_s() -> None:
    budgets = ErrorBudgets()
    for number in range(BLOCK_QUESTIONS - 1):
        budgets.observe_lookup(plan(), "b", TENANT, f"question {number}", "the same entry")
    budgets.observe_lookup(plan(), "b", OTHER, "the last one", "the same entry")
    assert budgets.list_off_tiers() == {}


def test_look_ups_are_watched_of_so_many_tenants_at_once() -> None:
    budgets = ErrorBudgets()
    for tenant in range(MAX_MONITORS + 10):
        budgets.observe_lookup(plan(), "b", tenant, "a question", "")
    assert len(budgets._monitors) == MAX_MONITORS


def test_a_person_turns_it_on_for_one_tenant() -> None:
    budgets = ErrorBudgets()
    for tenant in (TENANT, OTHER):
        feed(budgets, plan(), "wrong", 5, at=time.time() - 60, tenant=tenant)
    budgets.unsaved_trips.clear()
    for tenant in (TENANT, OTHER):
        budgets.apply_switch(plan(), "b", tenant, since=0.0, off="error-budget")
    budgets.apply_switch(plan(), "b", TENANT, since=time.time() - 30, off="")
    assert budgets.list_off_tiers() == {(1, "b", OTHER): "error-budget"}


def test_what_decides_about_hits_is_in_the_terms_and_the_budget_is_not() -> None:
    def terms(judge: str = "minilm", **cache: Any) -> str:
        return derive_cohort(CacheSettings(**cache), judge)

    different = [
        terms(),
        terms(similarity_threshold=0.9),
        terms(match="cosine"),
        terms(context="last_message"),
        terms("other"),
    ]
    different += [terms(context="strict"), terms(window=5)]
    assert len(set(different)) == len(different)
    assert terms() == terms(max_error_rate=0.05, sample_rate=0.5, ttl=60)
    assert terms(context="strict") == terms(context="strict", window=9)


def test_a_tier_that_a_person_turned_on_again_is_measured_anew() -> None:
    budgets = ErrorBudgets()
    feed(budgets, plan(), "wrong", 5, at=time.time() - 60)
    budgets.unsaved_trips.clear()  # written down
    budgets.apply_switch(plan(), "b", TENANT, since=0.0, off="error-budget")
    assert budgets.tier_state(plan(), "b", TENANT).off_reason
    budgets.apply_switch(plan(), "b", TENANT, since=time.time() - 30, off="")
    assert not budgets.tier_state(plan(), "b", TENANT).off_reason
    feed(budgets, plan(), "wrong", 3)
    assert not budgets.tier_state(plan(), "b", TENANT).off_reason
    feed(budgets, plan(), "wrong", 4)
    assert budgets.tier_state(plan(), "b", TENANT).off_reason


def test_what_is_not_written_down_yet_is_not_overruled_by_what_is() -> None:
    budgets = ErrorBudgets()
    feed(budgets, plan(), "wrong", 4)
    budgets.apply_switch(plan(), "b", TENANT, since=0.0, off="")
    assert budgets.tier_state(plan(), "b", TENANT).off_reason


def test_a_smaller_budget_is_judged_at_once() -> None:
    budgets = ErrorBudgets()
    feed(budgets, plan(max_error_rate=0.2), "right", 100)
    feed(budgets, plan(max_error_rate=0.2), "wrong", 8)
    assert not budgets.tier_state(plan(max_error_rate=0.2), "b", TENANT).off_reason
    budgets.load_samples(plan(max_error_rate=0.01), "b", TENANT, {})
    assert budgets.tier_state(plan(max_error_rate=0.01), "b", TENANT).off_reason


def test_old_samples_do_not_count() -> None:
    budgets = ErrorBudgets()
    feed(budgets, plan(), "wrong", 5, at=time.time() - 31 * 86_400)
    assert not budgets.tier_state(plan(), "b", TENANT).off_reason


def test_one_answer_for_everything_turns_the_tier_off() -> None:
    budgets = ErrorBudgets()
    for number in range(BLOCK_QUESTIONS):
        budgets.observe_lookup(plan(), "b", TENANT, f"question {number}", "the same entry")
    assert budgets.tier_state(plan(), "b", TENANT).off_reason == "one-answer"


def test_plans_that_are_gone_are_forgotten() -> None:
    budgets = ErrorBudgets()
    feed(budgets, plan(), "wrong", 5)
    budgets.retain_cohorts([])
    assert not budgets.tier_state(plan(), "b", TENANT).off_reason


def test_right_answers_show_in_the_threshold_at_the_next_load() -> None:
    budgets = ErrorBudgets()
    feed(budgets, plan(), "unclear", 1)
    for number in range(400):
        for score in (0.83, 0.85, 0.87, 0.89):
            budgets.add_sample(
                plan(), "b", TENANT, f"{number} {score}", Sample(time.time(), score, "right")
            )
    assert budgets.tier_state(plan(), "b", TENANT).threshold == 0.85
    budgets.load_samples(plan(), "b", TENANT, {})
    assert budgets.tier_state(plan(), "b", TENANT).threshold == 0.82
