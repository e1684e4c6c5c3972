"""GET /token-saving/resolve: which plan applies to a key's requests, and which level says so."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from plans import services
from plans.access import PLATFORM_ADMIN, TENANT_ADMIN, VIEWER
from plans.models import Plan, Tenant, VirtualKey
from proxy.models import Route
from proxy.upstreams.services import put_route, put_upstream
from tests.support.management import Manager, manager, refused
from tests.support.people import person, session

pytestmark = pytest.mark.django_db
PATH = "/token-saving/resolve"


@dataclass
class World:
    """A tenant with a key, a route, a plan of its own, and one of the platform's."""

    acme: Tenant
    key: VirtualKey
    route: Route
    ours: Plan
    shared: Plan


@pytest.fixture
def world(db: None) -> World:
    acme = Tenant.objects.create(slug="acme")
    upstream = put_upstream(name="openai", base_url="https://api.openai.com/v1")
    return World(
        acme,
        services.issue_virtual_key(tenant=acme, name="app")[0],
        put_route(name="smart/balanced", upstream=upstream, model="gpt-4o-mini"),
        Plan.objects.create(name="ours", tenant=acme),
        Plan.objects.create(name="shared"),
    )


def ask(caller: Manager, **query: Any) -> Any:
    asked = {"key": "app", "model": "smart/balanced"} | query
    return caller.call("GET", f"{PATH}?{urlencode(asked)}")


def decided(caller: Manager, **query: Any) -> tuple[Any, ...]:
    reply = ask(caller, **query)
    assert reply.status_code == 200, reply.content
    said = reply.json()
    assert [each["level"] for each in said["levels"] if each["decides"]] == [
        level for level in (said["level"],) if level
    ]
    return said["plan_name"], said["level"], said["reason"]


def test_the_first_level_that_says_something_decides(world: World, platform: Manager) -> None:
    assert decided(platform) == (None, None, "no-plan")
    Route.objects.update(default_plan=world.shared)
    assert decided(platform) == ("shared", "route", "")
    Tenant.objects.update(default_plan=world.ours)
    assert decided(platform) == ("ours", "tenant", "")
    VirtualKey.objects.update(default_plan=world.shared)
    assert decided(platform) == ("shared", "key", "")
    assert decided(platform, key=world.key.pk) == ("shared", "key", "")
    assert decided(platform, plan="ours") == ("ours", "request", "")
    assert decided(platform, plan="none") == (None, "request", "opted-out")
    assert decided(platform, plan="nobody") == (None, "request", "unknown-plan")
    assert decided(platform, plan="") == ("shared", "key", "")
    Plan.objects.filter(name="shared").update(mode="off")
    assert decided(platform) == ("shared", "key", "plan-off")


def test_the_whole_answer(world: World, platform: Manager) -> None:
    Tenant.objects.update(default_plan=world.ours)
    Route.objects.update(default_plan=world.shared)
    assert ask(platform).json() == {
        "object": "plan_resolution",
        "tenant": "acme",
        "key_id": world.key.pk,
        "key": "app",
        "model": "smart/balanced",
        "plan_name": "ours",
        "level": "tenant",
        "reason": "",
        "mode": "active",
        "explanation": "Neither request nor key says a plan: the tenant's default applies.",
        "levels": [
            {"level": "request", "says": None, "decides": False},
            {"level": "key", "says": None, "decides": False},
            {"level": "tenant", "says": "ours", "decides": True},
            {"level": "route", "says": "shared", "decides": False},
        ],
    }


def test_a_long_unknown_name_is_cut(world: World, platform: Manager) -> None:
    said = ask(platform, plan="x" * 5000).json()
    assert said["levels"][0]["says"] == "x" * 64


def test_keys_of_another_tenant_do_not_exist(world: World) -> None:
    rival = Tenant.objects.create(slug="rival")
    theirs = manager(rival)
    for key in ("app", world.key.pk):
        refused(ask(theirs, key=key), 404, param="key", code="key_not_found")
    refused(ask(theirs, tenant="acme"), 404, param="tenant", code="tenant_not_found")
    assert decided(manager(world.acme)) == (None, None, "no-plan")
    assert decided(manager(), tenant="acme") == (None, None, "no-plan")


@pytest.mark.parametrize("key", ["nobody", "a\0b", "0", "9" * 30, "\u0661"])
def test_a_key_that_is_not_there_is_404(world: World, platform: Manager, key: str) -> None:
    refused(ask(platform, key=key), 404, param="key", code="key_not_found")


def test_dead_keys_are_404_and_a_shared_name_needs_the_id(world: World, platform: Manager) -> None:
    twin, _ = services.issue_virtual_key(tenant=world.acme, name="app")
    refused(ask(platform), 400, param="key")
    services.revoke_key(key=twin)
    assert ask(platform).status_code == 200
    refused(ask(platform, key=twin.pk), 404, param="key", code="key_not_found")


def test_a_model_that_the_key_has_not_is_404(world: World, platform: Manager) -> None:
    for model in ("nobody", "a\0b"):
        refused(ask(platform, model=model), 404, param="model", code="model_not_found")
    VirtualKey.objects.update(routes=["another"])
    refused(ask(platform), 404, param="model", code="model_not_found")
    VirtualKey.objects.update(routes=[])
    Tenant.objects.update(routes=[])
    refused(ask(platform), 404, param="model", code="model_not_found")


@pytest.mark.parametrize("missing", ["key", "model"])
def test_key_and_model_are_required(world: World, platform: Manager, missing: str) -> None:
    refused(ask(platform, **{missing: ""}), 400, param=missing)


def test_it_needs_the_permission_to_see_plans(world: World) -> None:
    query = {"key": "app", "model": "smart/balanced"}
    assert Client().get(PATH, query).status_code == 401
    viewer, admin = (person(name, name, world.acme) for name in (VIEWER, TENANT_ADMIN))
    assert session(viewer).get(PATH, query).status_code == 403
    assert session(admin).get(PATH, query).status_code == 200


# The same in the admin


def test_a_keys_page_says_which_plan_applies_and_links_to_it(world: World) -> None:
    admin = session(person("ann", TENANT_ADMIN, world.acme))
    url = f"/admin/plans/virtualkey/{world.key.pk}/change/"
    page = admin.get(url).content.decode()
    assert "No plan: such requests save nothing." in page
    link = f"{PATH}?key={world.key.pk}&amp;model=smart%2Fbalanced"
    assert f'<a href="{link}">smart/balanced</a>' in page
    assert admin.get(link.replace("&amp;", "&")).json()["reason"] == "no-plan"
    Route.objects.update(default_plan=world.shared)
    assert "default: shared (smart/balanced)." in admin.get(url).content.decode()
    Tenant.objects.update(default_plan=world.ours)
    assert "ours, the default of acme." in admin.get(url).content.decode()
    VirtualKey.objects.update(default_plan=world.shared)
    assert "shared, the default of this key." in admin.get(url).content.decode()


def test_a_routes_page_says_for_how_many_keys_its_default_applies(world: World) -> None:
    services.issue_virtual_key(tenant=world.acme, name="own", default_plan=world.ours)
    staff, url = session(person("root", PLATFORM_ADMIN)), f"/admin/proxy/route/{world.route.pk}/"
    assert "else no plan." in staff.get(f"{url}change/").content.decode()
    Route.objects.update(default_plan=world.shared)
    assert "shared, for 1 of 2 live keys" in staff.get(f"{url}change/").content.decode()
    assert staff.get("/admin/proxy/route/add/").status_code == 200
