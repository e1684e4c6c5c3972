"""What the dashboard says beside its sums: comparisons, freshness, next steps, marks,
single requests; and to whom."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.test import Client

from plans.access import TENANT_ADMIN, VIEWER
from plans.models import Membership, ModelPrice, Plan, Tenant, VirtualKey
from proxy.models import Route, Upstream
from stats.dashboard.annotations import load_annotations
from stats.models.requests import DeadLetter, RequestEvent, UpstreamAttempt
from stats.monitoring import health
from stats.reports.filters import ReportFilter
from tests.stats.api.test_stats import hit
from tests.support.events import make_event
from tests.support.recorded import store

pytestmark = pytest.mark.django_db


def person(name: str, **fields: Any) -> Client:
    client = Client()
    client.force_login(User.objects.create(username=name, is_staff=True, **fields))
    return client


@pytest.fixture
def staff() -> Client:
    return person("boss", is_superuser=True)


@pytest.fixture
def of_acme(acme: Tenant) -> Client:
    client = person("ann")
    user = User.objects.get(username="ann")
    user.groups.add(Group.objects.get(name=TENANT_ADMIN))
    Membership.objects.create(user=user, tenant=acme)
    return client


@pytest.fixture
def desk() -> Plan:
    return Plan.objects.create(name="desk")


def add_route(*, enabled: bool = True) -> None:
    upstream = Upstream.objects.create(name="openai", base_url="https://api.openai.com/v1")
    Route.objects.create(name="smart", upstream=upstream, model="gpt-4o-mini", enabled=enabled)


def page(client: Client, path: str = "", status: int = 200) -> str:
    response = client.get(f"/dashboard/{path}")
    assert response.status_code == status
    text = (
        re.sub(r"<[^>]+>", " ", response.content.decode())
        .replace("\N{NO-BREAK SPACE}", " ")
        .replace("&nbsp;", " ")
    )
    return re.sub(r"\s+", " ", text)


def ago(**period: float) -> float:
    return (datetime.now(UTC) - timedelta(**period)).timestamp()


def key(tenant: Tenant, name: str = "app") -> VirtualKey:
    return VirtualKey.objects.create(
        tenant=tenant, name=name, prefix="ttv-", digest=uuid.uuid4().hex
    )


# The period before.


def test_what_changed_since_is_said_in_words_and_per_cent(staff: Client, desk: Plan) -> None:
    store(
        hit("exact", plan_id=desk.pk, would_cost=Decimal(3)),
        hit("exact", plan_id=desk.pk, would_cost=Decimal(2), at=ago(days=1.2)),
    )
    text = page(staff, "?range=24h")
    assert "$1.00 more than before (+50 %)" in text
    store(hit("exact", plan_id=desk.pk, would_cost=Decimal(6), at=ago(days=1.3)))
    assert "$5.00 less than before (−62 %)" in page(staff, "?range=24h")


def test_nothing_is_compared_with_nothing(staff: Client, desk: Plan) -> None:
    store(hit("exact", plan_id=desk.pk))
    text = page(staff, "?range=24h")
    assert "Nothing to compare it with" in text
    assert "than before" not in text


# Fresh and healthy.


def test_fresh_figures_say_so(staff: Client, desk: Plan) -> None:
    store(hit("exact", plan_id=desk.pk))
    assert re.search(r"Up to date, last request \d+ seconds? ago \.", page(staff))


def test_a_service_that_is_away_is_named_and_until_when_figures_are_complete(
    staff: Client, desk: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def report() -> tuple[bool, dict[str, object]]:
        return True, {"redis": "unreachable", "database": "ok", "spool_lag_seconds": 90.0}

    monkeypatch.setattr(health, "build_report", report)
    store(hit("exact", plan_id=desk.pk))
    text = page(staff)
    assert "Redis does not answer: requests go straight to the provider." in text
    complete = re.search(r"the figures below are complete to (\d\d:\d\d:\d\d) UTC", text)
    assert complete
    assert complete[1] in {
        f"{datetime.now(UTC) - timedelta(seconds=90 + n):%H:%M:%S}" for n in range(5)
    }


# What to do next.


def test_each_empty_state_says_the_next_step(staff: Client, acme: Tenant) -> None:
    assert "Next: say who answers the requests" in page(staff)
    add_route()
    assert "Next: make a plan" in page(staff)
    desk = Plan.objects.create(name="desk")
    assert "Next: make a virtual key" in page(staff)
    key(acme)
    assert "Next: send the first request" in page(staff)
    store(make_event(plan_id=None, plan=""))
    assert "Next: name a plan in the requests" in page(staff)
    store(make_event(plan_id=desk.pk, at=ago(days=200)))
    assert "No request named a plan in the last 7 days" in page(staff, "?range=7d")
    assert "under these filters" in page(staff, f"?plan={desk.pk}")


def test_without_a_route_everybody_is_told_what_they_can_do() -> None:
    pages = {
        "Set it up": person("boss", is_superuser=True),
        "Ask an admin to add an upstream": person("viewer"),
    }
    viewer = User.objects.get(username="viewer")
    viewer.groups.add(Group.objects.get(name=VIEWER))
    for said, client in pages.items():
        assert said in page(client)
    add_route(enabled=False)  # the first-run page is closed then
    text = page(pages["Set it up"])
    assert "Set it up" not in text
    assert "Add an upstream" in text


def test_a_tenants_next_step_is_about_what_they_have(of_acme: Client, rival: Tenant) -> None:
    Plan.objects.create(name="theirs", tenant=rival)
    key(rival)
    assert "Next: make a plan" in page(of_acme)
    Plan.objects.create(name="for-all")
    assert "Next: make a virtual key" in page(of_acme)


# Changes of plans and prices.


def test_changes_of_plans_and_prices_are_marked(staff: Client, desk: Plan, acme: Tenant) -> None:
    store(hit("exact", plan_id=desk.pk))
    price = ModelPrice.objects.create(
        provider="openai", model="m-1", input=1, output=2, edited=True
    )
    ModelPrice.objects.create(provider="openai", model="m-2", input=1, output=2)
    LogEntry.objects.log_actions(
        User.objects.get(username="boss").pk,
        [desk],
        CHANGE,
        [{"changed": {"fields": ["Threshold"]}}],
        single_object=True,
    )
    context = staff.get("/dashboard/").context
    assert [(mark.kind, mark.name) for mark in context["marks"] if mark.name != "desk"] == [
        ("price", "openai m-1")
    ]
    assert any("threshold" in mark.what for mark in context["marks"] if mark.name == "desk")
    assert (
        f"/admin/plans/modelprice/{price.pk}/history/" in staff.get("/dashboard/").content.decode()
    )
    assert len(context["series"]["marks"]) == len(context["marks"])
    assert [
        mark.name
        for mark in staff.get("/dashboard/?from=2026-01-01&to=2026-01-02").context["marks"]
    ] == []


def test_a_tenants_person_sees_no_marks_of_others(
    of_acme: Client, acme: Tenant, rival: Tenant
) -> None:
    mine = Plan.objects.create(name="mine", tenant=acme)
    Plan.objects.create(name="secret-of-rival", tenant=rival)
    store(hit("exact", plan_id=mine.pk, tenant_id=acme.pk))
    assert "secret-of-rival" not in page(of_acme)
    assert {mark.name for mark in of_acme.get("/dashboard/").context["marks"]} == {"mine"}


# A tenant's people.


def test_a_tenants_person_sees_their_numbers_only(
    of_acme: Client, acme: Tenant, rival: Tenant, desk: Plan
) -> None:
    for tenant, worth, name in ((acme, 3, "acme-key"), (rival, 500, "rival-key")):
        made = key(tenant, name)
        fields = {
            "plan_id": desk.pk,
            "tenant_id": tenant.pk,
            "tenant": tenant.slug,
            "key_id": made.pk,
            "key": name,
        }
        store(hit("exact", **fields, would_cost=Decimal(worth), model=f"model-of-{tenant.slug}"))
        store(
            make_event(**fields | {"plan_id": None}),
            make_event(**fields, status=502, outcome="upstream_error"),
        )
        UpstreamAttempt.objects.create(
            event_id=uuid.uuid4(),
            at=datetime.now(UTC),
            worker="gone",
            tenant_id=tenant.pk,
            plan_id=desk.pk,
        )
    DeadLetter.objects.create(line=b"{", reason="torn")
    context = of_acme.get("/dashboard/").context
    assert (context["totals"].saved, context["totals"].failed, context["unplanned"]) == (3, 1, 1)
    assert (context["unknown"], context["dead_letters"], list(context["tenants"])) == (1, 0, [])
    assert {top["by"] for top in context["tops"]} == {"plan", "key", "model"}
    for query in ("", f"?plan={desk.pk}", "requests", f"requests?plan={desk.pk}"):
        assert "rival" not in of_acme.get(f"/dashboard/{query}").content.decode()
    theirs = VirtualKey.objects.get(name="rival-key").pk
    for query in (
        "?tenant=rival",
        f"?key={theirs}",
        f"requests?key={theirs}",
        "requests?tenant=rival",
    ):
        page(of_acme, query, status=404)


def test_another_tenants_request_does_not_exist(
    of_acme: Client, staff: Client, acme: Tenant, rival: Tenant, desk: Plan
) -> None:
    mine, theirs = (hit("exact", plan_id=desk.pk, tenant_id=tenant.pk) for tenant in (acme, rival))
    store(mine, theirs)
    page(of_acme, f"requests/{mine.event_id}")
    assert of_acme.get(f"/dashboard/requests/{theirs.event_id}").status_code == 404
    assert of_acme.get(f"/dashboard/requests/{uuid.uuid4()}").status_code == 404
    page(staff, f"requests/{theirs.event_id}")
    page(of_acme, f"requests?before={theirs.event_id}", status=400)


def test_a_tenants_person_does_not_see_what_others_samples_said(
    of_acme: Client, acme: Tenant
) -> None:
    shared = Plan.objects.create(name="for-all", max_error_rate=0.01)
    own = Plan.objects.create(name="own", tenant=acme, max_error_rate=0.01)
    store(hit("exact", plan_id=shared.pk, tenant_id=acme.pk))
    assert [budget.plan.pk for budget, _ in of_acme.get("/dashboard/").context["budgets"]] == [
        own.pk
    ]
    sample = {
        "plan_id": shared.pk,
        "tier": "sample",
        "sample": "wrong",
        "would": "semantic",
        "basis": "b",
        "similarity": 0.9,
        "score": 0.9,
    }
    store(
        make_event(**sample, tenant_id=acme.pk),
        *(make_event(**sample, tenant_id=acme.pk + 1) for _ in range(5)),
    )
    shown = {
        budget.plan.pk: budget.estimate.samples
        for budget, _ in of_acme.get("/dashboard/").context["budgets"]
    }
    assert shown == {own.pk: 0, shared.pk: 1}


def test_staff_without_the_permission_see_nothing(desk: Plan) -> None:
    client = person("nobody")
    for path in ("", "requests", f"requests/{uuid.uuid4()}"):
        assert client.get(f"/dashboard/{path}").status_code == 403


# One by one.


def test_the_way_down_from_plan_to_key_to_request(staff: Client, acme: Tenant, desk: Plan) -> None:
    app = key(acme)
    event = hit(
        "semantic",
        plan_id=desk.pk,
        key_id=app.pk,
        key="app",
        tenant_id=acme.pk,
        score=0.91,
        similarity=0.88,
    )
    store(event)
    for start, leads in (
        ("", f"?plan={desk.pk}"),
        (f"?plan={desk.pk}", f"?plan={desk.pk}&amp;key={app.pk}"),
        (f"?plan={desk.pk}&key={app.pk}", f"/dashboard/requests/{event.event_id}"),
    ):
        assert f'href="{leads}"' in staff.get(f"/dashboard/{start}").content.decode()
    text = page(staff, f"requests/{event.event_id}")
    assert "Answered with the stored answer of a question that means the same." in text
    assert "0.9100" in text


def test_a_requests_page_says_why_it_was_not_kept_and_what_the_provider_calls_it(
    staff: Client, desk: Plan
) -> None:
    event = make_event(plan_id=desk.pk, not_kept="finish-reason", upstream_request_id="req_7d1f")
    store(event)
    text = page(staff, f"requests/{event.event_id}")
    assert "finish-reason" in text
    assert "the provider did not say that the answer is whole" in text
    assert "req_7d1f" in text
    fields = {
        "status": 504,
        "outcome": "upstream_error",
        "bill": "unknown",
        "billed_cost": None,
        "token_details": {"audio": 7},
    }
    unknown = make_event(plan_id=desk.pk, **fields)
    store(unknown)
    text = page(staff, f"requests/{unknown.event_id}")
    assert "the call was given up before its answer" in text
    assert "Of those sent, audio" in text
    found = staff.get("/admin/stats/requestevent/?bill=unknown").content.decode()
    assert f"{unknown.event_id}" in found
    assert f"{event.event_id}" not in found
    assert "given up before the answer" in staff.get("/dashboard/").content.decode()
    found = staff.get("/admin/stats/requestevent/?not_kept=finish-reason").content.decode()
    assert f"{event.event_id}" in found
    assert (
        f"{event.event_id}"
        not in staff.get("/admin/stats/requestevent/?not_kept=status").content.decode()
    )


def test_requests_are_paged_without_gap_or_repeat(staff: Client, desk: Plan) -> None:
    same = ago(minutes=1)
    store(
        *(hit("exact", plan_id=desk.pk, at=same if n % 3 else ago(minutes=n)) for n in range(120))
    )
    seen: list[uuid.UUID] = []
    before = ""
    for _ in range(3):
        found = staff.get(f"/dashboard/requests?range=7d&before={before}").context["page"]
        seen += [row.event_id for row in found.rows]
        before = found.older_cursor
    assert before == ""
    assert len(seen) == len(set(seen)) == RequestEvent.objects.count() == 120


def test_requests_are_filtered_and_rare_ones_looked_for_so_far(
    staff: Client, desk: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(
        *(
            make_event(plan_id=desk.pk, at=ago(minutes=n), tier="exact" if n == 9 else "miss")
            for n in range(10)
        )
    )
    assert len(staff.get("/dashboard/requests?tier=exact").context["page"].rows) == 1
    monkeypatch.setattr("stats.reports.request_pages.MAX_SEARCHED_ROWS", 5)
    found = staff.get("/dashboard/requests?range=24h&tier=exact").context["page"]
    assert (found.rows, found.is_search_limited) == ([], True)
    further = staff.get(
        f"/dashboard/requests?range=24h&tier=exact&before={found.older_cursor}"
    ).context["page"]
    assert len(further.rows) == 1


@pytest.mark.parametrize(
    ("query", "accepted"),
    [("tier=x", "exact, semantic, miss"), ("outcome=x", "upstream_error"), ("before=x", "the id")],
)
def test_bad_filters_of_requests_are_refused(staff: Client, query: str, accepted: str) -> None:
    assert accepted in page(staff, f"requests?{query}", status=400)


def test_plans_of_one_name_have_a_mark_each() -> None:
    """One was changed in the admin, which logs it, the other over the API at the same time."""
    logged, other = (
        Plan.objects.create(name="same", tenant=Tenant.objects.create(slug=slug))
        for slug in ("one", "two")
    )
    LogEntry.objects.create(
        user=User.objects.create(username="ann"),
        content_type=ContentType.objects.get_for_model(Plan),
        object_id=str(logged.pk),
        action_flag=ADDITION,
        change_message="[]",
    )
    now = datetime.now(UTC)
    asked = ReportFilter(start=now - timedelta(hours=1), end=now + timedelta(hours=1))
    marks = [mark.url for mark in load_annotations(asked, None) if mark.name == "same"]
    assert len(marks) == 2
    assert all(f"/plan/{plan.pk}/" in "".join(marks) for plan in (logged, other))


def test_settings_that_may_be_a_mistake_are_told_to_the_plan_s_owner(
    staff: Client, of_acme: Client, acme: Tenant
) -> None:
    Plan.objects.create(name="common", strictness="wide")
    Plan.objects.create(name="own", strictness="wide", tenant=acme)
    Plan.objects.create(name="watched", strictness="wide", tenant=acme, max_error_rate=0.05)
    told = "without an error budget"
    assert page(staff).count(told) == 2
    shown = page(of_acme)
    assert shown.count(told) == 1
    assert re.search(r"own\s*: cache\.strictness wide", shown)
    one = Plan.objects.get(name="watched")
    assert told not in page(staff, f"?plan={one.pk}")
