"""Error budgets: what a plan may say, what is shown of it, and who turns a semantic tier on again."""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import AsyncClient, Client

from plans.models import Plan, Tenant
from proxy.core.basis import basis_of
from proxy.core.budgets import Budgets
from proxy.core.directory import Directory
from proxy.keeper import Keeper
from stats import budgets, health, switches
from stats.models import RequestEvent, SemanticSwitch
from tests.events import make_event, store
from tests.pipeline.fakes import FakeSource
from tests.web.management import PLANS, Manager, manager, refused
from tests.web.test_stats_api import hit

JUDGE = "minilm"


@pytest.fixture(autouse=True)
def terms() -> Iterator[None]:
    budgets.attach(lambda cache: basis_of(cache, JUDGE))
    yield
    budgets.attach(None)


@pytest.fixture
def desk(db: None) -> Plan:
    return Plan.objects.create(name="desk", match="cosine", max_error_rate=0.01)


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    return client


def basis(plan: Plan) -> str:
    cache = plan.snapshot().cache
    assert cache is not None
    return basis_of(cache, JUDGE)


def sampled(plan: Plan, verdict: str, count: int = 1, **changes: Any) -> None:
    """So many samples of the plan in the ledger, each for a thousandth of a dollar."""
    row = {"plan_id": plan.pk, "plan": plan.name, "tier": "sample", "sample": verdict, "would": "semantic", "basis": basis(plan)}
    cost = {"similarity": 0.9, "asked_tokens": 0, "served_tokens": 0, "tokens_saved": -120, "would_cost": Decimal(0)}
    cost |= {"billed_cost": Decimal(0), "spent_cost": Decimal("0.001")}
    store(*(make_event(**(row | cost | changes)) for _ in range(count)))


def shown(platform: Manager, name: str = "desk") -> Any:
    return platform.call("GET", f"{PLANS}/{name}/stats").json()["detail"]["error_budget"]


def test_a_plan_says_its_budget_and_how_much_is_sampled(platform: Manager) -> None:
    made = platform.create(cache={"max_error_rate": 0.02, "sample_rate": 0.1})
    assert (made["cache"]["max_error_rate"], made["cache"]["sample_rate"]) == (0.02, 0.1)
    changed = platform.call("PATCH", f"{PLANS}/plan", {"cache": {"max_error_rate": None}}).json()
    assert (changed["cache"]["max_error_rate"], changed["cache"]["sample_rate"]) == (None, 0.1)
    assert Plan.objects.get().max_error_rate is None


def test_by_default_nothing_is_measured(platform: Manager) -> None:
    made = platform.create()
    assert (made["cache"]["max_error_rate"], made["cache"]["sample_rate"]) == (None, 0.05)
    assert shown(platform, "plan") is None


@pytest.mark.parametrize(
    ("cache", "param"),
    [
        ({"max_error_rate": 0}, "cache.max_error_rate"),
        ({"max_error_rate": 0.6}, "cache.max_error_rate"),
        ({"max_error_rate": "1%"}, "cache.max_error_rate"),
        ({"max_error_rate": True}, "cache.max_error_rate"),
        ({"sample_rate": 1.5}, "cache.sample_rate"),
        ({"sample_rate": None}, "cache.sample_rate"),
        ({"max_error_rate": 0.01, "backend": None}, "cache.max_error_rate"),
        ({"max_error_rate": 0.01, "sample_rate": 0}, "cache.sample_rate"),
    ],
)
def test_what_cannot_be_measured_is_refused(platform: Manager, cache: dict[str, Any], param: str) -> None:
    refused(platform.call("POST", PLANS, {"plan_name": "plan", "cache": cache}), 400, param=param)


def test_the_form_has_both_fields(staff: Client, desk: Plan) -> None:
    page = staff.get(f"/admin/plans/plan/{desk.pk}/change/").content.decode()
    assert 'name="max_error_rate" value="0.01"' in page
    assert 'name="sample_rate" value="0.05"' in page


def test_the_rate_is_measured_and_what_is_missing_is_said(platform: Manager, desk: Plan) -> None:
    sampled(desk, "right", 40)
    sampled(desk, "unclear", 2)
    found = shown(platform)
    assert (found["samples"], found["wrong"], found["unclear"], found["wrong_rate"]) == (42, 0, 2, 0.0)
    assert (found["lower"], found["still_needed"], found["vouched"]) == (0.0, 684, False)
    assert (found["semantic_tier"], found["threshold"], found["number"]) == ("on", 0.85, "cosine")
    assert (found["sampling_calls"], Decimal(found["spent_usd"])) == (42, Decimal("0.042"))


def test_samples_are_no_requests_but_what_they_cost_is_spent_on_saving(platform: Manager, desk: Plan) -> None:
    store(hit("semantic", plan_id=desk.pk, would_cost=Decimal("0.5")))
    sampled(desk, "right", 10)
    stats = platform.call("GET", f"{PLANS}/desk/stats").json()
    assert (stats["total_requests"], stats["cache_hits"], stats["detail"]["failed"]) == (1, 1, 0)
    assert stats["cost_saved_usd"] == 0.49
    assert stats["detail"]["cost_usd"]["spent"] == "0.010000000000"
    assert stats["detail"]["cost_usd"]["saved_semantic"] == "0.490000000000"
    assert stats["tokens_saved"] == 140 - 10 * 120


def test_samples_of_other_plans_other_terms_and_long_ago_do_not_count(platform: Manager, desk: Plan) -> None:
    sampled(desk, "right")
    sampled(Plan.objects.create(name="other", match="cosine", max_error_rate=0.01), "wrong", 9)
    sampled(desk, "wrong", 9, basis="other terms")
    sampled(desk, "wrong", 9, at=(datetime.now(UTC) - timedelta(days=31)).timestamp())
    assert (shown(platform)["samples"], shown(platform)["wrong"]) == (1, 0)


def test_an_admin_turns_the_tier_on_again_and_measuring_begins_anew(platform: Manager, desk: Plan) -> None:
    sampled(desk, "wrong", 9)
    switches.turn_off((desk.pk, basis(desk)), at=datetime.now(UTC).timestamp(), reason="error-budget", detail="9 of 9")
    assert (shown(platform)["semantic_tier"], shown(platform)["reason"], shown(platform)["detail"]) == ("off", "error-budget", "9 of 9")
    reply = platform.call("POST", f"{PLANS}/desk/semantic-tier/on")
    assert (reply.status_code, reply.json()["semantic_tier"], reply.json()["samples"]) == (200, "on", 0)
    assert SemanticSwitch.objects.get().turned_on_by == "test"


def test_evidence_from_before_does_not_turn_it_off_again(desk: Plan) -> None:
    key, before = (desk.pk, basis(desk)), datetime.now(UTC).timestamp()
    assert switches.turn_off(key, at=before, reason="error-budget", detail="")
    assert switches.turn_on(desk.pk, by="me") == 1
    assert not switches.turn_off(key, at=before, reason="error-budget", detail="")
    assert switches.turn_off(key, at=datetime.now(UTC).timestamp(), reason="error-budget", detail="")


def test_only_the_owner_turns_it_on(platform: Manager, acme: Tenant, desk: Plan) -> None:
    switches.turn_off((desk.pk, basis(desk)), at=datetime.now(UTC).timestamp(), reason="error-budget", detail="")
    refused(manager(acme).call("POST", f"{PLANS}/desk/semantic-tier/on"), 404, param="plan", code="plan_not_found")
    assert shown(platform)["semantic_tier"] == "off"
    platform.create()
    refused(platform.call("POST", f"{PLANS}/plan/semantic-tier/on"), 409, code="no_error_budget")


def test_the_dashboard_says_so_and_has_the_button(staff: Client, desk: Plan) -> None:
    sampled(desk, "wrong", 9)
    store(hit("exact", plan_id=desk.pk))
    switches.turn_off((desk.pk, basis(desk)), at=datetime.now(UTC).timestamp(), reason="error-budget", detail="9 of 9 sampled")
    text = re.sub(r"\s+", " ", staff.get("/dashboard/").content.decode())
    assert "answers identical requests only" in text
    assert "9 of 9 sampled" in text
    button = f"/dashboard/plans/{desk.pk}/semantic-tier/on"
    assert f'action="{button}"' in text
    assert staff.get(button).status_code == 405
    assert staff.post(button).status_code == 302
    assert "answers identical requests only" not in staff.get("/dashboard/").content.decode()
    assert LogEntry.objects.get().change_message == "Turned the semantic tier on again."


def test_the_button_takes_the_permission_on_plans(desk: Plan) -> None:
    client = Client()
    client.force_login(User.objects.create(username="reader", is_staff=True))
    assert client.post(f"/dashboard/plans/{desk.pk}/semantic-tier/on").status_code == 403
    assert Client().post(f"/dashboard/plans/{desk.pk}/semantic-tier/on").status_code == 302


def keepers(plan: Plan) -> tuple[list[Budgets], list[Keeper]]:
    """Two workers' memories, and what keeps them."""
    source = FakeSource(Directory(plans={(None, plan.name): plan.snapshot()}))
    both = [Budgets(), Budgets()]
    return both, [Keeper(memory, source, JUDGE) for memory in both]


@pytest.mark.django_db(transaction=True)
def test_what_one_worker_turns_off_is_off_on_the_other_and_on_again_on_both() -> None:
    plan = Plan.objects.create(name="desk", match="cosine", max_error_rate=0.01)
    (one, other), (first, second) = keepers(plan)
    snapshot, terms = plan.snapshot(), basis(plan)

    def turn() -> None:
        for keeper in (first, second):
            asyncio.run(keeper.turn())

    for number in range(200):
        one.looked(snapshot, terms, f"question {number}", "the same entry")
    assert one.standing(snapshot, terms).off == "one-answer"
    assert not other.standing(snapshot, terms).off
    turn()
    assert other.standing(snapshot, terms).off == one.standing(snapshot, terms).off == "one-answer"
    assert (first.off, second.off, one.trips) == (1, 1, [])
    switches.turn_on(plan.pk, by="me")
    turn()
    assert not one.standing(snapshot, terms).off
    assert not other.standing(snapshot, terms).off
    first.close()
    second.close()


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_starts_knows_what_the_ledger_says() -> None:
    """Nothing but the ledger is needed: neither Redis nor what other workers hold in memory."""
    plan = Plan.objects.create(name="desk", match="cosine", max_error_rate=0.01)
    sampled(plan, "wrong", 5)
    sampled(plan, "right", 5)
    (one, _), (first, second) = keepers(plan)
    asyncio.run(first.turn())
    assert one.standing(plan.snapshot(), basis(plan)).off == "error-budget"
    assert SemanticSwitch.objects.count() == 0
    asyncio.run(first.turn())
    assert SemanticSwitch.objects.get().reason == "error-budget"
    sampled(plan, "wrong", 5)
    asyncio.run(second.turn())
    first.close()
    second.close()
    assert RequestEvent.objects.filter(sample="wrong").count() == 10


async def test_a_ready_gateway_says_for_how_many_plans_the_tier_is_off() -> None:
    health.attach(health.Gateway(loaded=lambda: True, lag=lambda: 0.0, off=lambda: 2))
    try:
        reply = await AsyncClient().get("/readyz")
    finally:
        health.attach(None)
    assert reply.status_code == 200
    assert reply.json()["semantic_tier"] == "off for 2 plans"
