"""The error budgets in a worker's memory."""

import time
from typing import Any

from plans.snapshot import CacheSettings, PlanSnapshot
from proxy.core.quality.anomaly import BLOCK
from proxy.core.quality.cohort import basis_of
from proxy.core.quality.error_budget import MAX_JUMPS, Budgets, Standing
from stats.analysis.error_rate import Sample, Verdict
from tests.support.fakes import full_plan

TENANT, OTHER = 7, 8


def plan(number: int = 1, **cache: Any) -> PlanSnapshot:
    return full_plan(id=number, cache=CacheSettings(**({"max_error_rate": 0.01} | cache)))


def feed(
    budgets: Budgets, to: PlanSnapshot, verdict: Verdict, count: int, *, at: float | None = None, basis: str = "b", tenant: int = TENANT
) -> None:
    for number in range(count):
        budgets.sampled(to, basis, tenant, f"{verdict} {number} {at}", Sample(time.time() if at is None else at, 0.9, verdict))


def test_a_plan_that_nothing_is_known_of_has_its_own_threshold() -> None:
    assert Budgets().standing(plan(similarity_threshold=0.9), "b", TENANT) == Standing(0.9)


def test_a_broken_budget_turns_the_tier_off_once() -> None:
    budgets = Budgets()
    feed(budgets, plan(), "wrong", 9)
    assert budgets.standing(plan(), "b", TENANT).off == "error-budget"
    assert len(budgets.trips) == 1
    assert list(budgets.off().values()) == ["error-budget"]


def test_budgets_of_plans_and_terms_do_not_mix() -> None:
    budgets = Budgets()
    feed(budgets, plan(1), "wrong", 5)
    assert not budgets.standing(plan(2), "b", TENANT).off
    assert not budgets.standing(plan(1), "other terms", TENANT).off


def test_a_tenant_whose_answers_vary_turns_the_tier_off_for_itself_alone() -> None:
    budgets = Budgets()
    feed(budgets, plan(), "wrong", 9)
    assert budgets.standing(plan(), "b", TENANT).off == "error-budget"
    assert budgets.standing(plan(), "b", OTHER) == Standing(0.85)
    assert budgets.off() == {(1, "b", TENANT): "error-budget"}
    assert budgets.trips[0].key == (1, "b", TENANT)


def test_what_one_tenant_s_samples_teach_moves_no_other_s_threshold() -> None:
    budgets = Budgets()
    for number in range(400):
        for score in (0.83, 0.85, 0.87, 0.89):
            budgets.sampled(plan(), "b", TENANT, f"{number} {score}", Sample(time.time(), score, "right"))
    for tenant in (TENANT, OTHER):
        budgets.load(plan(), "b", tenant, {})
    assert (budgets.standing(plan(), "b", TENANT).threshold, budgets.standing(plan(), "b", OTHER).threshold) == (0.82, 0.85)


def test_one_tenant_s_jump_is_no_other_s() -> None:
    budgets = Budgets()
    for number in range(BLOCK - 1):
        budgets.looked(plan(), "b", TENANT, f"question {number}", "the same entry")
    budgets.looked(plan(), "b", OTHER, "the last one", "the same entry")
    assert budgets.off() == {}


def test_look_ups_are_watched_of_so_many_tenants_at_once() -> None:
    budgets = Budgets()
    for tenant in range(MAX_JUMPS + 10):
        budgets.looked(plan(), "b", tenant, "a question", "")
    assert len(budgets._jumps) == MAX_JUMPS


def test_a_person_turns_it_on_for_one_tenant() -> None:
    budgets = Budgets()
    for tenant in (TENANT, OTHER):
        feed(budgets, plan(), "wrong", 5, at=time.time() - 60, tenant=tenant)
    budgets.trips.clear()
    for tenant in (TENANT, OTHER):
        budgets.switch(plan(), "b", tenant, since=0.0, off="error-budget")
    budgets.switch(plan(), "b", TENANT, since=time.time() - 30, off="")
    assert budgets.off() == {(1, "b", OTHER): "error-budget"}


def test_what_decides_about_hits_is_in_the_terms_and_the_budget_is_not() -> None:
    def terms(judge: str = "minilm", **cache: Any) -> str:
        return basis_of(CacheSettings(**cache), judge)

    different = [terms(), terms(similarity_threshold=0.9), terms(match="cosine"), terms(context="last_message"), terms("other")]
    different += [terms(context="strict"), terms(window=5)]
    assert len(set(different)) == len(different)
    assert terms() == terms(max_error_rate=0.05, sample_rate=0.5, ttl=60)
    assert terms(context="strict") == terms(context="strict", window=9)


def test_a_tier_that_a_person_turned_on_again_is_measured_anew() -> None:
    budgets = Budgets()
    feed(budgets, plan(), "wrong", 5, at=time.time() - 60)
    budgets.trips.clear()  # written down
    budgets.switch(plan(), "b", TENANT, since=0.0, off="error-budget")
    assert budgets.standing(plan(), "b", TENANT).off
    budgets.switch(plan(), "b", TENANT, since=time.time() - 30, off="")
    assert not budgets.standing(plan(), "b", TENANT).off
    feed(budgets, plan(), "wrong", 3)
    assert not budgets.standing(plan(), "b", TENANT).off
    feed(budgets, plan(), "wrong", 4)
    assert budgets.standing(plan(), "b", TENANT).off


def test_what_is_not_written_down_yet_is_not_overruled_by_what_is() -> None:
    budgets = Budgets()
    feed(budgets, plan(), "wrong", 4)
    budgets.switch(plan(), "b", TENANT, since=0.0, off="")
    assert budgets.standing(plan(), "b", TENANT).off


def test_a_smaller_budget_is_judged_at_once() -> None:
    budgets = Budgets()
    feed(budgets, plan(max_error_rate=0.2), "right", 100)
    feed(budgets, plan(max_error_rate=0.2), "wrong", 8)
    assert not budgets.standing(plan(max_error_rate=0.2), "b", TENANT).off
    budgets.load(plan(max_error_rate=0.01), "b", TENANT, {})
    assert budgets.standing(plan(max_error_rate=0.01), "b", TENANT).off


def test_old_samples_do_not_count() -> None:
    budgets = Budgets()
    feed(budgets, plan(), "wrong", 5, at=time.time() - 31 * 86_400)
    assert not budgets.standing(plan(), "b", TENANT).off


def test_one_answer_for_everything_turns_the_tier_off() -> None:
    budgets = Budgets()
    for number in range(BLOCK):
        budgets.looked(plan(), "b", TENANT, f"question {number}", "the same entry")
    assert budgets.standing(plan(), "b", TENANT).off == "one-answer"


def test_plans_that_are_gone_are_forgotten() -> None:
    budgets = Budgets()
    feed(budgets, plan(), "wrong", 5)
    budgets.keep([])
    assert not budgets.standing(plan(), "b", TENANT).off


def test_right_answers_show_in_the_threshold_at_the_next_load() -> None:
    budgets = Budgets()
    feed(budgets, plan(), "unclear", 1)
    for number in range(400):
        for score in (0.83, 0.85, 0.87, 0.89):
            budgets.sampled(plan(), "b", TENANT, f"{number} {score}", Sample(time.time(), score, "right"))
    assert budgets.standing(plan(), "b", TENANT).threshold == 0.85
    budgets.load(plan(), "b", TENANT, {})
    assert budgets.standing(plan(), "b", TENANT).threshold == 0.82
