"""Routes belong to the platform: it says which of them a tenant may use,
and the tenant's keys can only narrow that."""

import json
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from plans import services
from plans.access import PLATFORM_ADMIN, TENANT_ADMIN
from plans.models import Plan, Tenant, VirtualKey
from plans.snapshot import KeySnapshot
from proxy.core.config import ConfigSnapshot
from proxy.models import Route
from proxy.runtime.config_loader import load_config_snapshot
from proxy.upstreams.selectors import find_model
from proxy.upstreams.services import put_route, put_upstream
from tests.support.fakes import World, ask, body
from tests.support.management import PLANS, manager, refused
from tests.support.people import person, session

CHEAP, DEAR = "gpt-cheap", "gpt-expensive"
KEY = {"name": "app", "expires_at_0": "", "expires_at_1": ""}


@pytest.fixture
def routes(db: None) -> list[Route]:
    upstream = put_upstream(name="openai", base_url="https://api.openai.com/v1")
    return [put_route(name=name, upstream=upstream, model="gpt-4o-mini") for name in (CHEAP, DEAR)]


@pytest.fixture
def acme(db: None) -> Tenant:
    """A tenant that may use the cheap route."""
    return Tenant.objects.create(slug="acme", routes=[CHEAP])


@pytest.fixture
def admin(acme: Tenant) -> Client:
    """The tenant's administrator."""
    return session(person("ann", TENANT_ADMIN, acme))


def opened(directory: ConfigSnapshot, key: VirtualKey) -> list[str]:
    return [name for name, _ in directory.list_models(directory.keys[key.digest])]


def test_a_key_without_a_list_opens_what_its_tenant_may_use_and_a_list_only_narrows_it(
    routes: list[Route], acme: Tenant
) -> None:
    keys = [
        services.issue_virtual_key(tenant=acme, name="k", routes=names)[0]
        for names in ([], [CHEAP], [DEAR], [CHEAP, DEAR], ["*"])
    ]
    directory = load_config_snapshot()
    assert [opened(directory, key) for key in keys] == [[CHEAP], [CHEAP], [], [CHEAP], []]


@pytest.mark.parametrize(
    ("granted", "opens"),
    [
        (["*"], [CHEAP, DEAR]),
        ([], []),
        ([DEAR, "gone"], [DEAR]),
        ("*", []),
        (DEAR, []),
        ({"gpt-cheap": 1}, []),
        (None, []),
        ([1, None], []),
    ],
)
def test_what_is_no_list_of_names_opens_nothing(
    routes: list[Route], acme: Tenant, granted: Any, opens: list[str]
) -> None:
    key, _ = services.issue_virtual_key(tenant=acme, name="k")
    acme.routes = granted if granted is not None else {}
    acme.save()
    assert opened(load_config_snapshot(), key) == opens


def test_a_tenant_that_nothing_is_known_of_has_no_route(routes: list[Route]) -> None:
    directory = load_config_snapshot()
    stranger = KeySnapshot(id=1, name="k", digest="d", tenant_id=999_999, tenant="gone")
    assert not directory.can_use(stranger, CHEAP)


def test_tenants_from_before_keep_all_routes(routes: list[Route], db: None) -> None:
    key, _ = services.issue_virtual_key(tenant=Tenant.objects.create(slug="old"), name="k")
    assert opened(load_config_snapshot(), key) == [CHEAP, DEAR]


async def test_chat_with_a_route_that_the_tenant_has_not_is_refused_before_any_cache_or_provider() -> (  # noqa: E501 -- a test's name is its sentence
    None
):
    world = World()
    await ask(world, body())
    world.source.config = replace(world.source.config, granted_routes={1: frozenset({"another"})})
    again = await ask(world, body())
    assert (again.status, json.loads(again.received)["error"]["code"]) == (403, "model_not_found")
    assert len(world.upstream.bodies) == 1


def test_the_tenant_s_form_offers_and_accepts_its_own_routes_alone(
    routes: list[Route], acme: Tenant, admin: Client
) -> None:
    page = admin.get("/admin/plans/virtualkey/add/").content.decode()
    assert f"acme may use: {CHEAP}." in page
    assert DEAR not in page
    reply = admin.post("/admin/plans/virtualkey/add/", KEY | {"tenant": acme.pk, "routes": DEAR})
    assert f"No such route: {DEAR}. Accepted are: {CHEAP}." in " ".join(
        reply.context["adminform"].form.errors["routes"]
    )
    assert not VirtualKey.objects.exists()
    assert (
        admin.post(
            "/admin/plans/virtualkey/add/", KEY | {"tenant": acme.pk, "routes": CHEAP}
        ).status_code
        == 200
    )
    key = VirtualKey.objects.get()
    assert key.routes == [CHEAP]
    reply = admin.post(
        f"/admin/plans/virtualkey/{key.pk}/change/", KEY | {"routes": f"{CHEAP}\n{DEAR}"}
    )
    assert list(reply.context["adminform"].form.errors) == ["routes"]
    # A name that stood there before is no reason to refuse another change.
    Tenant.objects.update(routes=[DEAR])
    assert (
        admin.post(
            f"/admin/plans/virtualkey/{key.pk}/change/", KEY | {"name": "other", "routes": CHEAP}
        ).status_code
        == 302
    )


def test_a_tenant_s_people_cannot_widen_its_list(
    routes: list[Route], acme: Tenant, admin: Client
) -> None:
    page = f"/admin/plans/tenant/{acme.pk}/change/"
    assert admin.post(page, {"slug": "acme", "name": "", "routes": "*"}).status_code in {403, 404}
    assert Tenant.objects.get().routes == [CHEAP]


def test_the_platform_says_which_routes_a_tenant_may_use(routes: list[Route], acme: Tenant) -> None:
    boss = session(person("boss", PLATFORM_ADMIN))
    page, form = f"/admin/plans/tenant/{acme.pk}/change/", {"slug": "acme", "name": ""}
    assert boss.post(page, form | {"routes": f"{CHEAP}\n{DEAR}"}).status_code == 302
    assert Tenant.objects.get().routes == [CHEAP, DEAR]
    reply = boss.post(page, form | {"routes": "gpt-expensiv"})
    assert "No such route: gpt-expensiv." in " ".join(
        reply.context["adminform"].form.errors["routes"]
    )
    assert boss.post(page, form | {"routes": f"*\n{CHEAP}"}).status_code == 302
    assert Tenant.objects.get().routes == ["*"]
    assert boss.post(page, form | {"routes": ""}).status_code == 302
    assert Tenant.objects.get().routes == []


def test_a_plan_of_the_tenant_s_names_no_judge_that_it_may_not_use(
    routes: list[Route], acme: Tenant, admin: Client
) -> None:
    cache = {"max_error_rate": 0.02, "judge_model": DEAR}
    reply = manager(acme).call("POST", PLANS, {"plan_name": "plan", "cache": cache})
    assert f"Must be the name of a route: {CHEAP}." in refused(
        reply, 400, param="cache.judge_model"
    )
    assert (
        manager(acme)
        .call("POST", PLANS, {"plan_name": "plan", "cache": cache | {"judge_model": CHEAP}})
        .status_code
        == 201
    )
    reply = manager(acme).call("PATCH", f"{PLANS}/plan", {"cache": {"judge_model": DEAR}})
    refused(reply, 400, param="cache.judge_model")
    assert DEAR not in admin.get("/admin/plans/plan/add/").content.decode()


@pytest.mark.parametrize("page", ["preview", "explain", "test"])
def test_no_page_of_a_tenant_s_plan_offers_another_route(
    routes: list[Route], acme: Tenant, admin: Client, page: str
) -> None:
    plan = Plan.objects.create(name="own", tenant=acme)
    shown = admin.get(f"/admin/plans/plan/{plan.pk}/{page}/")
    assert shown.status_code == 200
    assert CHEAP in shown.content.decode()
    assert DEAR not in shown.content.decode()


def test_a_preview_tells_nothing_of_another_route(routes: list[Route], acme: Tenant) -> None:
    assert (
        find_model(DEAR, None).route,
        find_model(DEAR, acme).route,
        find_model(DEAR, acme).name,
    ) == (DEAR, None, DEAR)
    assert find_model(None, acme).route == CHEAP
    assert find_model(CHEAP, acme).route == CHEAP
