"""The explain and tuning pages of a plan: what they show, and who sees them."""

import asyncio
import re
import threading
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from plans.models import Plan, Tenant, VirtualKey
from proxy import bridge
from proxy.upstreams.services import put_route, put_upstream
from tests.stats.api.test_stats import hit
from tests.support.events import make_event
from tests.support.fakes import World, ask, body, full_plan
from tests.support.recorded import store

pytestmark = pytest.mark.django_db
QUESTION = "How do I pay?"


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def plan() -> Plan:
    tenant = Tenant.objects.create(pk=1, slug="acme")
    VirtualKey.objects.create(pk=1, name="app", prefix="tt-abc", digest="x", tenant=tenant)
    put_route(
        name="smart/balanced",
        upstream=put_upstream(name="openai", base_url="https://api.openai.com/v1"),
        model="gpt-4o-mini",
    )
    return Plan.objects.create(
        pk=1,
        name="support",
        tenant=tenant,
        match="cosine",
        compression_engine="trim",
        max_input_tokens=64,
    )


@pytest.fixture
def world() -> Iterator[World]:
    """A request path made of fakes, with one stored answer, in a loop of its own."""
    made = World(plan=full_plan(tenant_id=1))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(ask(made, body(QUESTION)), loop).result(10)
    bridge.attach_bridge(bridge.LoopBridge(loop, made.tools))
    yield made
    bridge.attach_bridge(None)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def shown(staff: Client, plan: Plan, status: int = 200, **fields: str) -> str:
    reply = staff.post(
        f"/admin/plans/plan/{plan.pk}/explain/",
        {"asked": QUESTION, "model": "smart/balanced", "key": ""} | fields,
    )
    assert reply.status_code == status, reply.content
    return reply.content.decode()


def test_it_says_what_would_become_of_a_request(staff: Client, plan: Plan, world: World) -> None:
    page = shown(staff, plan)
    assert "Answered with the stored answer of an identical request." in page
    assert "Answered with the stored answer of a question that means the same." in shown(
        staff, plan, asked="how do i PAY"
    )
    near = shown(
        staff, plan, asked='{"messages": [{"role": "user", "content": "What is new?"}]}', key="1"
    )
    assert "Sent to the provider: nothing stored serves." in near
    assert "below-floor" in near
    assert "key app" in near
    assert "identical requests only: tools" in shown(
        staff, plan, asked='{"messages": [{"role": "user", "content": "x"}], "tools": [{}]}'
    )
    assert "Sent to the provider: the caches stay out of it." in shown(
        staff,
        plan,
        asked='{"messages": [{"role": "user", "content": "x"}], "cache": {"no-store": true}}',
    )
    chat = "User: " + "word " * 100 + "\nAssistant: yes\nUser: And?"
    assert "10 of 30 tokens" not in page
    assert re.search(r"\d+ of \d+ tokens", shown(staff, plan, asked=chat))
    assert len(world.ledger.events) == len(world.upstream.bodies) == 1
    assert QUESTION not in near  # the text of what others asked


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"asked": ""}, "This field is required"),
        ({"asked": " "}, "Write a question"),
        ({"asked": "{"}, "not valid JSON"),
        ({"asked": "[1]"}, "messages[0] must be an object"),
        ({"asked": '{"messages": []}'}, "This request would be refused: messages must be"),
        ({"model": ""}, "Choose a model"),
        ({"key": "999"}, "not one of the available choices"),
    ],
)
def test_what_cannot_be_asked_is_said(
    staff: Client, plan: Plan, world: World, fields: dict[str, str], says: str
) -> None:
    assert says in shown(staff, plan, status=400, **fields)


def test_where_the_gateway_does_not_run_it_says_so(staff: Client, plan: Plan) -> None:
    assert "does not run in this process" in shown(staff, plan, status=400)


def test_what_was_said_is_escaped(staff: Client, plan: Plan, world: World) -> None:
    assert "<script>alert" not in shown(staff, plan, asked="<script>alert(1)</script>")


def test_the_tuning_page_shows_each_threshold(staff: Client, plan: Plan) -> None:
    path = f"/admin/plans/plan/{plan.pk}/tuning/"
    assert "No request named this plan in the last 30 days" in staff.get(path).content.decode()
    store(
        hit("semantic", similarity=0.96, sample="right", plan_id=plan.pk),
        hit("semantic", similarity=0.92, plan_id=plan.pk),
        make_event(similarity=0.8, plan_id=plan.pk),
    )
    page = staff.get(path).content.decode()
    assert "0.85 <b>in force</b>" in page
    assert "at most 3" in page
    assert "no evidence yet" in page
    assert re.search(
        r"0.95</th><td>33\s%</td><td>1</td><td>0\s%</td><td>0\s% to \d\d\s%</td><td>1</td>", page
    )
    assert "last 7 days" in staff.get(path + "?days=7").content.decode()
    assert "last 30 days" in staff.get(path + "?days=8").content.decode()


@pytest.mark.parametrize("name", ["explain", "tuning"])
def test_they_are_for_staff_who_may_see_plans(
    plan: Plan, client: Client, staff: Client, name: str
) -> None:
    path = f"/admin/plans/plan/{plan.pk}/{name}/"
    assert client.get(path).status_code == 302
    user = User.objects.create_user("helper", is_staff=True)
    client.force_login(user)
    assert client.get(path).status_code == 403
    user.user_permissions.set(Permission.objects.filter(codename="view_plan"))
    client.force_login(User.objects.get(pk=user.pk))
    reply = client.get(path)
    assert reply.status_code == 200
    assert not re.search(
        r"<script(?![^>]*src=)|<style| style=| on(click|load|submit)=", reply.content.decode()
    )
    assert client.get(f"/admin/plans/plan/999999/{name}/").status_code == 404
    assert f'href="{path}"' in staff.get(f"/admin/plans/plan/{plan.pk}/change/").content.decode()
