"""Thresholds measured by labelled pairs: what counts, what is proposed, what is applied."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from prometheus_client import REGISTRY

from plans import services
from plans.api_errors import VersionConflict
from plans.models import Plan, Tenant
from proxy.core.quality.cohort import derive_cohort
from stats.events import Event
from stats.models.recalibration import Recalibration
from stats.models.requests import RequestEvent
from stats.quality import cohorts, recalibration, recalibration_changes, tier_switch
from stats.quality.recalibration_changes import RecalibrationRefused
from tests.support.events import make_event
from tests.support.management import PLANS, Manager, manager
from tests.support.recorded import store

JUDGE = "minilm+weights"
DAY = 86_400.0
BANDS = (0.81, 0.83, 0.85)  # of the scores from 0.80 to the threshold


@pytest.fixture(autouse=True)
def scorer() -> Iterator[None]:
    with cohorts.use_cohort_function(lambda cache: derive_cohort(cache, JUDGE)):
        yield


@pytest.fixture
def desk(acme: Tenant) -> Plan:
    return Plan.objects.create(tenant=acme, name="desk", max_error_rate=0.01)


def find_basis(plan: Plan, judge: str = JUDGE) -> str:
    cache = plan.build_snapshot().cache
    assert cache is not None
    return derive_cohort(cache, judge)


def sample(plan: Plan, score: float, verdict: str = "right", **changes: Any) -> Event:
    """A sample of yesterday, under the plan's settings as they are."""
    row: dict[str, Any] = {
        "plan_id": plan.pk,
        "plan": plan.name,
        "tenant_id": plan.tenant_id,
        "key_id": 1,
        "tier": "sample",
        "sample": verdict,
        "basis": find_basis(plan),
        "score": score,
        "similarity": 0.7,
        "at": time.time() - DAY,
    }
    return make_event(**row | changes)


def store_right(plan: Plan, above: int = 400, below: int = 60, **changes: Any) -> None:
    """So many right samples well above the threshold, and in each band from 0.80 to there."""
    bands = [sample(plan, score, **changes) for score in BANDS for _ in range(below)]
    store(*bands, *(sample(plan, 0.93, **changes) for _ in range(above)))


def measure(plan: Plan, *, ago: float = 0.0) -> Recalibration:
    """Measure and save, as the daily loop did `ago` seconds ago."""
    at = datetime.now(UTC) - timedelta(seconds=ago)
    row = recalibration.measure_plan(Plan.objects.get(pk=plan.pk), at=at).row
    recalibration.save_measurement(row)
    return Recalibration.objects.get(pk=plan.pk)


def hold(plan: Plan) -> Recalibration:
    """A proposal of an hour ago that held on later pairs."""
    store_right(plan)
    measure(plan, ago=3600)
    store_right(plan, above=60, below=20, at=time.time())
    return measure(plan)


def test_a_proposal_is_written_down_and_changes_nothing(desk: Plan) -> None:
    store_right(desk)
    row = measure(desk)
    assert (row.proposed, row.threshold, row.right, row.wrong) == (0.81, 0.85, 580, 0)
    assert (recalibration.find_state(row), row.note) == ("shadow", "0 of 100 new pairs")
    desk.refresh_from_db()
    assert (desk.threshold, desk.version) == (0.85, 1)
    assert desk.history.count() == 1


def test_the_target_is_the_budget_or_that_of_the_strictness(desk: Plan) -> None:
    store_right(desk)
    assert measure(desk).target == 0.01
    Plan.objects.filter(pk=desk.pk).update(max_error_rate=None)
    assert measure(desk).target == 0.01
    Plan.objects.filter(pk=desk.pk).update(strictness="balanced")
    assert measure(desk).target == 0.03


def test_pairs_of_a_former_threshold_count_and_of_another_scorer_do_not(desk: Plan) -> None:
    store_right(desk)
    store(*(sample(desk, 0.9, "wrong", basis=find_basis(desk, "other")) for _ in range(9)))
    assert services.change_plan(
        owner=desk.tenant, name="desk", body={"cache": {"similarity_threshold": 0.86}}
    )
    row = measure(desk)
    assert (row.right, row.wrong, row.proposed) == (580, 0, 0.81)
    assert services.change_plan(
        owner=desk.tenant, name="desk", body={"cache": {"context": "strict"}}
    )
    assert measure(desk).note == "0 of 200 labelled pairs"


def test_a_plan_by_cosine_is_measured_by_its_cosines(acme: Tenant) -> None:
    plan = Plan.objects.create(
        tenant=acme, name="near", match="cosine", max_error_rate=0.01, similarity_threshold=0.78
    )
    for cosine in (0.71, 0.73, 0.75, 0.77, 0.79):
        store(*(sample(plan, 0.99, similarity=cosine) for _ in range(400)))
    # No lower than the cosines that tuning reports compare.
    assert measure(plan).proposed == 0.75


def test_old_pairs_and_pairs_from_before_a_restart_do_not_count(desk: Plan) -> None:
    store_right(desk, at=time.time() - 31 * DAY)
    assert measure(desk).right == 0
    store_right(desk)
    key = (desk.pk, find_basis(desk), desk.tenant_id or 0)
    tier_switch.turn_tier_off(key, at=time.time(), reason="hit-rate", detail="")
    tier_switch.turn_tier_on(desk.pk, by="me")
    assert measure(desk).right == 0


def test_a_plan_without_samples_says_why(desk: Plan) -> None:
    Plan.objects.filter(pk=desk.pk).update(max_error_rate=None)
    assert measure(desk).note == "nothing is sampled without cache.max_error_rate"


def test_a_report_makes_the_sample_of_its_request_wrong(desk: Plan) -> None:
    hits = [
        make_event(plan_id=desk.pk, tenant_id=desk.tenant_id, tier="semantic", score=0.83)
        for _ in range(4)
    ]
    store(*hits)
    RequestEvent.objects.filter(tier="semantic").update(wrong=True)
    store_right(desk)
    store(*(sample(desk, 0.83, note=f"sample of {hit.event_id}") for hit in hits))
    row = measure(desk)
    assert (row.right, row.wrong, row.proposed) == (580, 4, None)


def test_a_flood_of_reports_lowers_nothing_and_raises_nothing(desk: Plan) -> None:
    store_right(desk)
    hit = {"plan_id": desk.pk, "tenant_id": desk.tenant_id, "key_id": 1, "tier": "semantic"}
    store(*(make_event(**hit, score=0.9) for _ in range(100)))
    assert measure(desk).proposed == 0.81
    RequestEvent.objects.filter(tier="semantic").update(wrong=True)
    row = measure(desk)
    assert (row.proposed, row.note) == (None, "clients reported 100 of 100 hits")


def test_a_key_that_floods_samples_lowers_no_threshold(desk: Plan) -> None:
    store(*(sample(desk, 0.93) for _ in range(400)))
    store_right(desk, above=0, below=500, key_id=666)
    row = measure(desk)
    assert (row.proposed, row.note) == (
        None,
        "0.81 rests on the pairs of one key, 1500 of 1900",
    )
    store_right(desk, key_id=2)
    store_right(desk, key_id=3)
    assert measure(desk).proposed == 0.81


def test_of_a_platform_s_plan_no_tenant_moves_the_threshold_of_others(
    acme: Tenant, rival: Tenant
) -> None:
    plan = Plan.objects.create(name="faq", max_error_rate=0.01)
    store_right(plan, tenant_id=acme.pk, key_id=1)
    store_right(plan, tenant_id=acme.pk, key_id=2)
    assert measure(plan).proposed == 0.81  # nobody else uses it
    store(make_event(plan_id=plan.pk, tenant_id=rival.pk, key_id=3))
    assert measure(plan).proposed is None
    store(*(sample(plan, 0.93, tenant_id=rival.pk, key_id=3) for _ in range(20)))
    row = measure(plan)
    assert row.proposed is None
    assert row.note == "0.81 rests on the pairs of one tenant, 1160 of 1180"


def test_a_proposal_holds_on_pairs_that_arrive_after_it(desk: Plan) -> None:
    row = hold(desk)
    assert (row.proposed, row.held, row.fresh, row.fresh_wrong) == (0.81, True, 120, 0)
    assert recalibration.describe_recalibration(desk, row) == (
        "Recalibration proposes 0.81 (now 0.85), measured on 700 labelled pairs; in shadow since "
        f"{row.proposed_at:%d %b %Y}: it held on 120 new pairs. Apply it with "
        "manage.py recalibrate --plan desk --tenant acme --apply."
    )


def test_a_proposal_that_new_pairs_refute_is_dropped(desk: Plan) -> None:
    store_right(desk, above=2_000, below=600)
    assert measure(desk, ago=3600).proposed == 0.81
    store(*(sample(desk, 0.83, "wrong", at=time.time()) for _ in range(5)))
    row = measure(desk)
    assert (row.proposed, row.note) == (
        None,
        "0.81 was tried in shadow, 5 of 5 new pairs were wrong",
    )


def test_wrong_pairs_above_the_threshold_propose_a_higher_one(desk: Plan) -> None:
    store_right(desk)
    store(*(sample(desk, 0.87, "wrong") for _ in range(20)))
    assert measure(desk).proposed == 0.88


def test_a_change_of_the_plan_begins_another_shadow(desk: Plan) -> None:
    hold(desk)
    Plan.objects.filter(pk=desk.pk).update(similarity_threshold=0.86)
    row = measure(desk)
    assert (row.proposed, row.held, row.fresh) == (0.81, False, 0)


def test_a_proposal_is_applied_like_any_edit_and_reverted(desk: Plan) -> None:
    services.change_plan(owner=desk.tenant, name="desk", body={"cache": {"strictness": "strict"}})
    desk.refresh_from_db()
    row = hold(desk)
    recalibration_changes.apply_proposal(desk, row)
    desk.refresh_from_db()
    assert (desk.threshold, desk.strictness, desk.version) == (0.81, None, 3)
    assert desk.history.first().history_change_reason == (
        "Recalibrated from 0.85 to 0.81: 0 of 120 new pairs wrong, the target is 1.00%"
    )
    row.refresh_from_db()
    assert (row.applied, row.proposed) == (0.81, None)
    # The pairs still count under the new threshold, and those below it support no lower one.
    assert (measure(desk).right, measure(desk).proposed) == (700, None)

    recalibration_changes.revert_proposal(desk, Recalibration.objects.get())
    desk.refresh_from_db()
    assert (desk.threshold, desk.strictness, desk.similarity_threshold) == (0.85, "strict", 0.85)
    # Or the next night would propose the same once more.
    assert measure(desk).note == "0 of 200 labelled pairs"
    with pytest.raises(RecalibrationRefused, match="no proposal was applied"):
        recalibration_changes.revert_proposal(desk, Recalibration.objects.get())


def test_a_proposal_is_not_applied_to_a_plan_changed_meanwhile(desk: Plan) -> None:
    row = hold(desk)
    services.change_plan(owner=desk.tenant, name="desk", body={"cache": {"ttl": 60}})
    with pytest.raises(VersionConflict):
        recalibration_changes.apply_proposal(desk, row)
    assert Plan.objects.get().threshold == 0.85
    assert Recalibration.objects.get().applied is None


def test_a_threshold_changed_by_hand_is_not_reverted(desk: Plan) -> None:
    recalibration_changes.apply_proposal(desk, hold(desk))
    services.change_plan(
        owner=desk.tenant, name="desk", body={"cache": {"similarity_threshold": 0.9}}
    )
    with pytest.raises(RecalibrationRefused, match="use its history"):
        recalibration_changes.revert_proposal(Plan.objects.get(), Recalibration.objects.get())
    assert Plan.objects.get().threshold == 0.9


def test_only_what_held_is_applied_and_never_to_a_tier_that_is_off(desk: Plan) -> None:
    store_right(desk)
    with pytest.raises(RecalibrationRefused, match=r"0\.81 is still in shadow: 0 of 100 new pairs"):
        recalibration_changes.apply_proposal(desk, measure(desk))
    Recalibration.objects.all().delete()
    row = hold(desk)
    key = (desk.pk, find_basis(desk), desk.tenant_id or 0)
    tier_switch.turn_tier_off(key, at=time.time(), reason="one-answer", detail="")
    with pytest.raises(RecalibrationRefused, match="its semantic tier is off"):
        recalibration_changes.apply_proposal(desk, row)
    assert Plan.objects.get().threshold == 0.85


def test_the_daily_turn_measures_each_budgeted_plan_once_a_day(desk: Plan) -> None:
    Plan.objects.create(name="unbudgeted")
    store_right(desk)
    labels = {"plan": "desk", "state": "shadow"}
    name = "tokenthrift_recalibrations_total"
    before = REGISTRY.get_sample_value(name, labels) or 0.0
    recalibration.turn(threading.Event())
    recalibration.turn(threading.Event())
    assert REGISTRY.get_sample_value(name, labels) == before + 1
    assert Recalibration.objects.get().plan_id == desk.pk
    Recalibration.objects.update(measured_at=datetime.now(UTC) - timedelta(days=1, hours=1))
    recalibration.turn(threading.Event())
    assert REGISTRY.get_sample_value(name, labels) == before + 2


def test_it_is_shown_where_wrong_answers_are(desk: Plan, acme: Tenant, client: Client) -> None:
    store_right(desk)
    row = measure(desk)
    sentence = recalibration.describe_recalibration(desk, row)
    detail = manager(acme).call("GET", f"{PLANS}/desk/stats").json()["detail"]["recalibration"]
    assert (detail["state"], detail["proposed_threshold"], detail["pairs"]) == ("shadow", 0.81, 580)
    assert detail["detail"] == sentence
    client.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    assert f"desk: {sentence}" in client.get("/dashboard/").content.decode()
    assert sentence in client.get(f"/admin/plans/plan/{desk.pk}/change/").content.decode()


def test_a_tenant_is_not_told_of_the_platform_s_plans(
    platform: Manager, acme: Tenant, rival: Tenant
) -> None:
    plan = Plan.objects.create(name="faq", max_error_rate=0.01)
    store_right(plan, tenant_id=rival.pk)
    measure(plan)
    for asks, told in ((platform, True), (manager(acme), False)):
        detail = asks.call("GET", f"{PLANS}/faq/stats").json()["detail"]
        assert (detail["recalibration"] is not None) is told
