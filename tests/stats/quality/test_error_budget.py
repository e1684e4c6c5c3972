"""Error budgets: what a plan may say, what is shown of it,
and who turns a semantic tier on again."""

import asyncio
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import AsyncClient, Client

from plans.access import VIEWER
from plans.models import Plan, Tenant
from proxy.core.config import ConfigSnapshot
from proxy.core.quality.cohort import derive_cohort
from proxy.core.quality.error_budget import ErrorBudgets
from proxy.models import Route
from proxy.runtime.error_budget_sync import ErrorBudgetSync
from proxy.upstreams.services import put_route, put_upstream
from stats.models.cache_entries import CacheEntry
from stats.models.requests import RequestEvent, SemanticSwitch
from stats.monitoring import health
from stats.quality import cohorts, tier_switch
from tests.plans.admin.test_plans import PLAN
from tests.stats.api.test_stats import hit
from tests.support.events import make_event
from tests.support.fakes import FakeSource
from tests.support.management import PLANS, Manager, manager, refused
from tests.support.recorded import store

JUDGE = "minilm"
TENANT = 1  # whose events those of `make_event` are


@pytest.fixture(autouse=True)
def terms() -> Iterator[None]:
    cohorts.set_cohort_function(lambda cache: derive_cohort(cache, JUDGE))
    yield
    cohorts.set_cohort_function(None)


@pytest.fixture
def desk(db: None) -> Plan:
    return Plan.objects.create(name="desk", match="cosine", max_error_rate=0.01)


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    return client


def basis(plan: Plan) -> str:
    cache = plan.build_snapshot().cache
    assert cache is not None
    return derive_cohort(cache, JUDGE)


def sampled(plan: Plan, verdict: str, count: int = 1, **changes: Any) -> None:
    """So many samples of the plan in the ledger, each for a thousandth of a dollar."""
    row = {
        "plan_id": plan.pk,
        "plan": plan.name,
        "tier": "sample",
        "sample": verdict,
        "would": "semantic",
        "basis": basis(plan),
    }
    cost = {
        "similarity": 0.9,
        "asked_tokens": 0,
        "served_tokens": 0,
        "tokens_saved": -120,
        "would_cost": Decimal(0),
    }
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
def test_what_cannot_be_measured_is_refused(
    platform: Manager, cache: dict[str, Any], param: str
) -> None:
    refused(platform.call("POST", PLANS, {"plan_name": "plan", "cache": cache}), 400, param=param)


def test_the_form_has_both_fields(staff: Client, desk: Plan) -> None:
    page = staff.get(f"/admin/plans/plan/{desk.pk}/change/").content.decode()
    assert 'name="max_error_rate" value="0.01"' in page
    assert 'name="sample_rate" value="0.05"' in page


@pytest.fixture
def cheap(db: None) -> Route:
    upstream = put_upstream(name="openai", base_url="https://api.openai.com/v1")
    put_route(name="smart/off", upstream=upstream, model="gpt-4o")
    Route.objects.filter(name="smart/off").update(enabled=False)
    return put_route(name="smart/cheap", upstream=upstream, model="gpt-4o-mini")


def test_a_plan_names_a_route_for_its_judge(platform: Manager, cheap: Route) -> None:
    cache = {"max_error_rate": 0.02, "judge_model": "smart/cheap"}
    assert platform.create(cache=cache)["cache"]["judge_model"] == "smart/cheap"
    (snapshot,) = [plan.build_snapshot() for plan in Plan.objects.all()]
    assert snapshot.cache
    assert snapshot.cache.judge_model == "smart/cheap"
    for nobody in ("", None):
        changed = platform.call("PATCH", f"{PLANS}/plan", {"cache": {"judge_model": nobody}}).json()
        assert changed["cache"]["judge_model"] is None


@pytest.mark.parametrize(
    ("cache", "says"),
    [
        ({"judge_model": "smart/cheap"}, "Needs max_error_rate"),
        (
            {"judge_model": "smart/none", "max_error_rate": 0.01},
            "Must be the name of a route: smart/cheap. null is accepted too",
        ),
        (
            {"judge_model": "smart/off", "max_error_rate": 0.01},
            "Must be the name of a route: smart/cheap.",
        ),
        ({"judge_model": 7, "max_error_rate": 0.01}, "Must be the name of a route, or null"),
    ],
)
def test_a_judge_that_could_not_be_asked_is_refused(
    platform: Manager, cheap: Route, cache: dict[str, Any], says: str
) -> None:
    reply = platform.call("POST", PLANS, {"plan_name": "plan", "cache": cache})
    assert says in refused(reply, 400, param="cache.judge_model")


def test_a_judge_whose_route_went_is_shown_and_refuses_no_other_change(
    platform: Manager, staff: Client, cheap: Route
) -> None:
    platform.create(cache={"max_error_rate": 0.02, "judge_model": "smart/cheap"})
    store(hit("exact", plan_id=Plan.objects.get().pk))
    assert "there is no such route" not in staff.get("/dashboard/").content.decode()
    cheap.delete()
    assert platform.call("PATCH", f"{PLANS}/plan", {"cache": {"ttl": 60}}).status_code == 200
    assert (
        "names the judge smart/cheap, and there is no such route"
        in staff.get("/dashboard/").content.decode()
    )
    page = staff.get(f"/admin/plans/plan/{Plan.objects.get().pk}/change/").content.decode()
    assert '<option value="smart/cheap" selected>smart/cheap (not available)</option>' in page


def test_the_form_offers_the_routes(staff: Client, desk: Plan, cheap: Route) -> None:
    change = f"/admin/plans/plan/{desk.pk}/change/"
    page = staff.get(change).content.decode()
    assert '<option value="" selected>Rules: nobody is paid</option>' in page
    assert "smart/off" not in page
    assert (
        staff.post(
            change,
            PLAN | {"max_error_rate": "0.01", "judge_model": "smart/cheap", "_reason": "because"},
        ).status_code
        == 302
    )
    assert Plan.objects.get().judge_model == "smart/cheap"
    reply = staff.post(change, PLAN | {"judge_model": "smart/cheap"})
    assert list(reply.context["adminform"].form.errors) == ["judge_model"]


def test_what_the_judge_costs_is_spent_on_saving_and_its_word_is_no_second_sample(
    platform: Manager, staff: Client, cheap: Route
) -> None:
    plan = Plan.objects.create(
        name="desk", match="cosine", max_error_rate=0.01, judge_model="smart/cheap"
    )
    sampled(plan, "right", 10)
    asked = {
        "reason": "judge",
        "basis": "",
        "route": "smart/cheap",
        "similarity": None,
        "would": "",
        "spent_cost": Decimal("0.0001"),
    }
    sampled(plan, "right", 7, **asked)
    sampled(plan, "unclear", 1, **asked | {"outcome": "upstream_error", "status": 502})
    sampled(
        plan,
        "",
        2,
        **asked | {"outcome": "refused", "status": 404, "attempts": 0, "spent_cost": Decimal(0)},
    )
    store(hit("exact", plan_id=plan.pk))
    found = shown(platform)
    assert (found["samples"], found["unclear"], found["sampling_calls"]) == (10, 0, 10)
    assert (found["judge_model"], found["judge_calls"], found["judge_failures"]) == (
        "smart/cheap",
        10,
        3,
    )
    assert Decimal(found["spent_usd"]) == Decimal("0.0108")
    stats = platform.call("GET", f"{PLANS}/desk/stats").json()
    assert (stats["total_requests"], stats["detail"]["failed"]) == (1, 0)
    assert stats["detail"]["cost_usd"]["spent"] == "0.010800000000"
    assert "judged by smart/cheap: 10, 3 in vain" in staff.get("/dashboard/").content.decode()
    assert platform.call("GET", f"{PLANS}/desk/tuning").json()["thresholds"][0]["samples"] == 10


def test_another_judge_measures_anew(desk: Plan) -> None:
    rules = basis(desk)
    desk.judge_model = "smart/cheap"
    assert basis(desk) != rules


def test_the_rate_is_measured_and_what_is_missing_is_said(platform: Manager, desk: Plan) -> None:
    sampled(desk, "right", 40)
    sampled(desk, "unclear", 2)
    found = shown(platform)
    assert (found["samples"], found["wrong"], found["unclear"], found["wrong_rate"]) == (
        42,
        0,
        2,
        0.0,
    )
    assert (found["lower"], found["still_needed"], found["vouched"]) == (0.0, 684, False)
    assert (found["semantic_tier"], found["threshold"], found["number"]) == ("on", 0.85, "cosine")
    assert (found["sampling_calls"], Decimal(found["spent_usd"])) == (42, Decimal("0.042"))


def test_samples_are_no_requests_but_what_they_cost_is_spent_on_saving(
    platform: Manager, desk: Plan
) -> None:
    store(hit("semantic", plan_id=desk.pk, would_cost=Decimal("0.5")))
    sampled(desk, "right", 10)
    stats = platform.call("GET", f"{PLANS}/desk/stats").json()
    assert (stats["total_requests"], stats["cache_hits"], stats["detail"]["failed"]) == (1, 1, 0)
    assert stats["cost_saved_usd"] == 0.49
    assert stats["detail"]["cost_usd"]["spent"] == "0.010000000000"
    assert stats["detail"]["cost_usd"]["saved_semantic"] == "0.490000000000"
    assert stats["tokens_saved"] == 140 - 10 * 120


def test_samples_of_other_plans_other_terms_and_long_ago_do_not_count(
    platform: Manager, desk: Plan
) -> None:
    sampled(desk, "right")
    sampled(Plan.objects.create(name="other", match="cosine", max_error_rate=0.01), "wrong", 9)
    sampled(desk, "wrong", 9, basis="other terms")
    sampled(desk, "wrong", 9, at=(datetime.now(UTC) - timedelta(days=31)).timestamp())
    assert (shown(platform)["samples"], shown(platform)["wrong"]) == (1, 0)


def test_an_admin_turns_the_tier_on_again_and_measuring_begins_anew(
    platform: Manager, desk: Plan
) -> None:
    sampled(desk, "wrong", 9)
    tier_switch.turn_tier_off(
        (desk.pk, basis(desk), TENANT),
        at=datetime.now(UTC).timestamp(),
        reason="error-budget",
        detail="9 of 9",
    )
    assert (
        shown(platform)["semantic_tier"],
        shown(platform)["reason"],
        shown(platform)["detail"],
    ) == ("off", "error-budget", "9 of 9")
    reply = platform.call("POST", f"{PLANS}/desk/semantic-tier/on")
    assert (reply.status_code, reply.json()["semantic_tier"], reply.json()["samples"]) == (
        200,
        "on",
        0,
    )
    assert SemanticSwitch.objects.get().turned_on_by == "test"


def test_evidence_from_before_does_not_turn_it_off_again(desk: Plan) -> None:
    key, before = (desk.pk, basis(desk), TENANT), datetime.now(UTC).timestamp()
    assert tier_switch.turn_tier_off(key, at=before, reason="error-budget", detail="")
    assert tier_switch.turn_tier_on(desk.pk, by="me") == 1
    assert not tier_switch.turn_tier_off(key, at=before, reason="error-budget", detail="")
    assert tier_switch.turn_tier_off(
        key, at=datetime.now(UTC).timestamp(), reason="error-budget", detail=""
    )


def test_a_plan_of_the_platform_s_is_off_for_one_tenant_and_on_for_the_others(
    platform: Manager, staff: Client, acme: Tenant, rival: Tenant, desk: Plan
) -> None:
    """Whoever asks for what varies ("give me a number") breaks its own budget and nobody else's."""
    sampled(desk, "wrong", 9, tenant_id=rival.pk, tenant="rival")
    sampled(desk, "right", 40, tenant_id=acme.pk, tenant="acme")
    now = datetime.now(UTC).timestamp()
    tier_switch.turn_tier_off(
        (desk.pk, basis(desk), rival.pk), at=now, reason="error-budget", detail="9 of 9"
    )
    found = shown(platform)
    assert (found["semantic_tier"], found["samples"], found["wrong"]) == ("off", 49, 9)
    said = [
        (each["tenant"], each["samples"], each["semantic_tier"], each["detail"])
        for each in found["tenants"]
    ]
    assert said == [("rival", 9, "off", "9 of 9"), ("acme", 40, "on", "")]
    own = manager(acme).call("GET", f"{PLANS}/desk/stats").json()["detail"]["error_budget"]
    assert (own["samples"], own["wrong"], own["semantic_tier"]) == (40, 0, "on")
    assert [each["tenant"] for each in own["tenants"]] == ["acme"]
    store(hit("exact", plan_id=desk.pk))
    page = re.sub(r"\s+", " ", staff.get("/dashboard/").content.decode())
    assert "platform, for rival" in page
    assert f'<input type="hidden" name="tenant" value="{rival.pk}">' in page
    refused(
        platform.call("POST", f"{PLANS}/desk/semantic-tier/on?for_tenant=nobody"),
        404,
        param="for_tenant",
        code="tenant_not_found",
    )
    reply = platform.call("POST", f"{PLANS}/desk/semantic-tier/on?for_tenant=acme").json()
    assert reply["semantic_tier"] == "off"  # it was on for acme
    assert (
        platform.call("POST", f"{PLANS}/desk/semantic-tier/on?for_tenant=rival").json()[
            "semantic_tier"
        ]
        == "on"
    )


def test_the_button_turns_it_on_for_the_tenant_it_stands_beside(
    staff: Client, acme: Tenant, rival: Tenant, desk: Plan
) -> None:
    for tenant in (acme, rival):
        tier_switch.turn_tier_off(
            (desk.pk, basis(desk), tenant.pk), at=time.time(), reason="error-budget", detail=""
        )
    button = f"/dashboard/plans/{desk.pk}/semantic-tier/on"
    assert staff.post(button, {"tenant": "999999"}).status_code == 404
    assert staff.post(button, {"tenant": "²"}).status_code == 404
    assert staff.post(button, {"tenant": str(acme.pk)}).status_code == 302
    assert [row.tenant_id for row in SemanticSwitch.objects.filter(off_at=None)] == [acme.pk]
    assert LogEntry.objects.get().change_message == "Turned the semantic tier on again for acme."


@pytest.mark.django_db(transaction=True)
def test_a_switch_from_before_tenants_had_their_own_stays_off_for_all(
    acme: Tenant, rival: Tenant
) -> None:
    """The migration is run there and back: what was off for everybody is off for each."""
    plan, own = Plan.objects.create(name="desk"), Plan.objects.create(name="own", tenant=acme)
    executor = MigrationExecutor(connection)
    executor.migrate([("stats", "0015_why_not_kept")])
    with connection.cursor() as cursor:
        for number in (plan.pk, own.pk, 999):
            cursor.execute(
                (
                    "INSERT INTO stats_semanticswitch (plan_id, basis, off_at, reason, detail, "
                    "turned_on_by) VALUES (%s, 'b', now(), 'x', '', '')"
                ),
                [number],
            )
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes("stats"))
    found = {
        (row.plan_id, row.tenant_id)
        for row in SemanticSwitch.objects.filter(off_at__isnull=False, reason="x")
    }
    assert found == {(plan.pk, acme.pk), (plan.pk, rival.pk), (own.pk, acme.pk)}


def test_only_the_owner_turns_it_on(platform: Manager, acme: Tenant, desk: Plan) -> None:
    tier_switch.turn_tier_off(
        (desk.pk, basis(desk), TENANT),
        at=datetime.now(UTC).timestamp(),
        reason="error-budget",
        detail="",
    )
    refused(
        manager(acme).call("POST", f"{PLANS}/desk/semantic-tier/on"),
        404,
        param="plan",
        code="plan_not_found",
    )
    assert shown(platform)["semantic_tier"] == "off"
    platform.create()
    refused(platform.call("POST", f"{PLANS}/plan/semantic-tier/on"), 409, code="no_error_budget")


def test_the_dashboard_says_so_and_has_the_button(staff: Client, desk: Plan) -> None:
    sampled(desk, "wrong", 9)
    store(hit("exact", plan_id=desk.pk))
    tier_switch.turn_tier_off(
        (desk.pk, basis(desk), TENANT),
        at=datetime.now(UTC).timestamp(),
        reason="error-budget",
        detail="9 of 9 sampled",
    )
    text = re.sub(r"\s+", " ", staff.get("/dashboard/").content.decode())
    assert "answers identical requests only" in text
    assert "9 of 9 sampled" in text
    button = f"/dashboard/plans/{desk.pk}/semantic-tier/on"
    assert f'action="{button}"' in text
    assert staff.get(button).status_code == 405
    assert staff.post(button).status_code == 302
    assert "answers identical requests only" not in staff.get("/dashboard/").content.decode()
    assert LogEntry.objects.get().change_message == "Turned the semantic tier on again."


def test_who_looks_at_night_learns_why_since_when_and_by_which_hits(
    staff: Client, desk: Plan
) -> None:
    """The words of a question are nowhere on the page:
    they are behind the entry, for those who may read them."""
    sampled(desk, "wrong", 6, note="sample of 0192-asked", entry_id="e" * 40)
    sampled(desk, "wrong", would="", note="sample of a-miss")
    now = datetime.now(UTC)
    owner = {
        "tenant_id": 1,
        "tenant": "acme",
        "plan_id": desk.pk,
        "plan": desk.name,
        "route": "smart/balanced",
    }
    CacheEntry.objects.create(
        entry_id="e" * 40, exact=True, bytes=1, created_at=now, expires_at=now, used_at=now, **owner
    )
    store(hit("exact", plan_id=desk.pk))
    tier_switch.turn_tier_off(
        (desk.pk, basis(desk), TENANT),
        at=time.time() + 1,
        reason="error-budget",
        detail="6 of 6 sampled hits were wrong",
    )
    text = re.sub(r"\s+", " ", staff.get("/dashboard/").content.decode())
    assert "semantic tier off since" in text
    assert text.count("?q=0192-asked") == 5  # the latest
    assert "a-miss" not in text  # it was no hit
    assert f"/admin/proxy/entry/{'e' * 40}/change/" in text
    assert f"?plan={desk.pk}&amp;sample=wrong" in text
    assert f"/admin/plans/plan/{desk.pk}/change/" in text
    assert (
        staff.get(f"/admin/stats/requestevent/?plan={desk.pk}&sample=wrong")
        .context["cl"]
        .result_count
        == 7
    )
    reader = Client()
    viewer = User.objects.create(username="reader", is_staff=True)
    viewer.groups.add(Group.objects.get(name=VIEWER))
    reader.force_login(viewer)
    seen = reader.get("/dashboard/").content.decode()
    assert "0192-asked" in seen
    assert "/admin/proxy/entry/" not in seen
    assert "Turn it on again" not in seen


def test_the_button_takes_the_permission_on_plans(desk: Plan) -> None:
    client = Client()
    client.force_login(User.objects.create(username="reader", is_staff=True))
    assert client.post(f"/dashboard/plans/{desk.pk}/semantic-tier/on").status_code == 403
    assert Client().post(f"/dashboard/plans/{desk.pk}/semantic-tier/on").status_code == 302


@pytest.mark.django_db(transaction=True)
def test_what_a_tenant_s_samples_say_is_written_down_for_it_alone() -> None:
    plan = Plan.objects.create(name="desk", match="cosine", max_error_rate=0.01)
    sampled(plan, "wrong", 9, tenant_id=2)
    sampled(plan, "right", 9, tenant_id=3)
    (one, _), (first, second) = keepers(plan)
    asyncio.run(first.turn())
    asyncio.run(first.turn())
    snapshot, terms = plan.build_snapshot(), basis(plan)
    assert [bool(one.tier_state(snapshot, terms, tenant).off_reason) for tenant in (2, 3, 4)] == [
        True,
        False,
        False,
    ]
    assert [(row.tenant_id, row.reason) for row in SemanticSwitch.objects.all()] == [
        (2, "error-budget")
    ]
    assert first.off_plan_count == 1
    first.close()
    second.close()


def keepers(plan: Plan) -> tuple[list[ErrorBudgets], list[ErrorBudgetSync]]:
    """Two workers' memories, and what keeps them."""
    source = FakeSource(ConfigSnapshot(plans={(None, plan.name): plan.build_snapshot()}))
    both = [ErrorBudgets(), ErrorBudgets()]
    return both, [ErrorBudgetSync(memory, source, JUDGE) for memory in both]


@pytest.mark.django_db(transaction=True)
def test_what_one_worker_turns_off_is_off_on_the_other_and_on_again_on_both() -> None:
    plan = Plan.objects.create(name="desk", match="cosine", max_error_rate=0.01)
    (one, other), (first, second) = keepers(plan)
    snapshot, terms = plan.build_snapshot(), basis(plan)

    def turn() -> None:
        for keeper in (first, second):
            asyncio.run(keeper.turn())

    for number in range(200):
        one.observe_lookup(snapshot, terms, TENANT, f"question {number}", "the same entry")
    assert one.tier_state(snapshot, terms, TENANT).off_reason == "one-answer"
    assert not other.tier_state(snapshot, terms, TENANT).off_reason
    turn()
    assert (
        other.tier_state(snapshot, terms, TENANT).off_reason
        == one.tier_state(snapshot, terms, TENANT).off_reason
        == "one-answer"
    )
    assert (first.off_plan_count, second.off_plan_count, one.unsaved_trips) == (1, 1, [])
    tier_switch.turn_tier_on(plan.pk, by="me")
    turn()
    assert not one.tier_state(snapshot, terms, TENANT).off_reason
    assert not other.tier_state(snapshot, terms, TENANT).off_reason
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
    assert one.tier_state(plan.build_snapshot(), basis(plan), TENANT).off_reason == "error-budget"
    assert SemanticSwitch.objects.count() == 0
    asyncio.run(first.turn())
    assert SemanticSwitch.objects.get().reason == "error-budget"
    sampled(plan, "wrong", 5)
    asyncio.run(second.turn())
    first.close()
    second.close()
    assert RequestEvent.objects.filter(sample="wrong").count() == 10


async def test_a_ready_gateway_says_for_how_many_plans_the_tier_is_off() -> None:
    health.attach_gateway(health.GatewayProbes(loaded=lambda: True, lag=lambda: 0.0, off=lambda: 2))
    try:
        reply = await AsyncClient().get("/readyz")
    finally:
        health.attach_gateway(None)
    assert reply.status_code == 200
    assert reply.json()["semantic_tier"] == "off for 2 plans"
