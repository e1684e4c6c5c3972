"""Keys, tenants and routes have a default plan, so that a client need not name one."""

import io
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client

from plans import selectors, services
from plans.access import PLATFORM_ADMIN, TENANT_ADMIN
from plans.models import Plan, Tenant, VirtualKey
from proxy.models import Route
from proxy.runtime.config_loader import load_config_snapshot
from proxy.upstreams.services import put_route, put_upstream
from tests.support.management import Manager, refused
from tests.support.people import person, session

pytestmark = pytest.mark.django_db
KEY_FORM = {"name": "app", "routes": "", "expires_at_0": "", "expires_at_1": ""}


@pytest.fixture
def acme(db: None) -> Tenant:
    return Tenant.objects.create(slug="acme")


@pytest.fixture
def route(db: None) -> Route:
    upstream = put_upstream(name="openai", base_url="https://api.openai.com/v1")
    return put_route(name="smart", upstream=upstream, model="gpt-4o-mini")


@pytest.fixture
def shared(db: None) -> Plan:
    return Plan.objects.create(name="shared")


@pytest.fixture
def ours(acme: Tenant) -> Plan:
    return Plan.objects.create(name="ours", tenant=acme)


@pytest.fixture
def theirs(db: None) -> Plan:
    return Plan.objects.create(name="theirs", tenant=Tenant.objects.create(slug="rival"))


@pytest.fixture
def staff(db: None) -> Client:
    return session(person("root", PLATFORM_ADMIN))


def issue(tenant: Tenant, plan: Plan | None = None) -> VirtualKey:
    return services.issue_virtual_key(tenant=tenant, name="app", default_plan=plan)[0]


# What a worker sees


def test_a_default_reaches_the_snapshot_and_raises_the_revision(
    acme: Tenant, route: Route, shared: Plan, ours: Plan
) -> None:
    key = issue(acme)
    for row, plan in ((key, ours), (acme, shared), (route, shared)):
        before = selectors.get_revision()
        row.default_plan = plan
        row.save()
        assert selectors.get_revision() > before
    found = load_config_snapshot()
    copy = found.keys[key.digest]
    assert (copy.default_plan_id, copy.tenant_plan_id) == (ours.pk, shared.pk)
    assert found.routes["smart"].default_plan_id == shared.pk
    assert found.routes["smart"].version == route.version  # its answers stay valid


def test_a_change_of_the_default_is_in_the_history(acme: Tenant, route: Route, ours: Plan) -> None:
    key = issue(acme)
    key.default_plan = ours
    key.save()
    assert list(key.history.values_list("default_plan_id", flat=True)) == [ours.pk, None]
    assert route.history.latest().default_plan_id is None


# Whose plan it may be


def test_another_tenants_plan_is_nobodys_default(
    acme: Tenant, route: Route, ours: Plan, theirs: Plan
) -> None:
    with pytest.raises(ValidationError, match="own or the platform's"):
        issue(acme, theirs)
    assert not VirtualKey.objects.exists()
    acme.default_plan = theirs
    with pytest.raises(ValidationError, match="own or the platform's"):
        acme.full_clean()
    route.default_plan = ours
    with pytest.raises(ValidationError):
        route.full_clean()


def test_a_tenants_form_offers_its_own_plans_and_the_platforms(
    acme: Tenant, shared: Plan, ours: Plan, theirs: Plan
) -> None:
    admin, key = session(person("ann", TENANT_ADMIN, acme)), issue(acme)
    url = f"/admin/plans/virtualkey/{key.pk}/change/"
    page = admin.get(url).content.decode()
    assert "ours (acme)" in page
    assert "shared (platform)" in page
    assert "theirs" not in page
    for plan, status in ((theirs, 200), (shared, 302), (ours, 302)):
        assert admin.post(url, KEY_FORM | {"default_plan": plan.pk}).status_code == status
    key.refresh_from_db()
    assert key.default_plan == ours


def test_the_platforms_form_of_a_new_key_compares_plan_and_tenant(
    acme: Tenant, ours: Plan, theirs: Plan, staff: Client
) -> None:
    fields = KEY_FORM | {"tenant": acme.pk}
    wrong = staff.post("/admin/plans/virtualkey/add/", fields | {"default_plan": theirs.pk})
    assert "own or the platform&#x27;s" in wrong.content.decode()
    right = staff.post("/admin/plans/virtualkey/add/", fields | {"default_plan": ours.pk})
    page = right.content.decode()
    assert "Copy the key now" in page
    assert "chat/completions" in page  # the snippets name no plan: that is what a default is for
    assert "token_saving_plan_id" not in page
    assert VirtualKey.objects.get().default_plan == ours


def test_a_tenants_page_takes_a_default(
    acme: Tenant, ours: Plan, theirs: Plan, staff: Client
) -> None:
    url, fields = f"/admin/plans/tenant/{acme.pk}/change/", {"slug": "acme", "routes": "*"}
    assert staff.post(url, fields | {"default_plan": theirs.pk}).status_code == 200
    assert staff.post(url, fields | {"default_plan": ours.pk}).status_code == 302
    acme.refresh_from_db()
    assert acme.default_plan == ours


def test_a_routes_page_takes_a_plan_of_the_platforms(
    route: Route, shared: Plan, ours: Plan, staff: Client
) -> None:
    url = f"/admin/proxy/route/{route.pk}/change/"
    fields = {"name": "smart", "upstream": str(route.upstream_id), "model": "m", "enabled": "on"}
    assert staff.post(url, fields | {"default_plan": ours.pk}).status_code == 200
    assert staff.post(url, fields | {"default_plan": shared.pk}).status_code == 302
    route.refresh_from_db()
    assert route.default_plan == shared


def test_a_plan_that_is_a_default_keeps_its_owner(
    acme: Tenant, route: Route, shared: Plan, staff: Client
) -> None:
    route.default_plan = shared
    route.save()
    url = f"/admin/plans/plan/{shared.pk}/change/"
    fields = {name: value for name, value in shown(staff, url).items() if value is not None}
    page = staff.post(url, fields | {"tenant": acme.pk}).content.decode()
    assert "It is the default plan of route smart." in page


def shown(client: Client, url: str) -> dict[str, Any]:
    """What the form of the page would send as it is."""
    form = client.get(url).context["adminform"].form
    return {field.html_name: field.value() for field in form if field.value() is not False}


# Deleting


def test_a_plan_that_is_a_default_is_not_deleted_over_the_api(
    acme: Tenant, route: Route, shared: Plan, platform: Manager
) -> None:
    key = issue(acme, shared)
    acme.default_plan = route.default_plan = shared
    acme.save()
    route.save()
    reply = platform.call("DELETE", "/token-saving/plans/shared")
    message = refused(reply, 409, param="plan", code="plan_in_use")
    for holder in (f"virtual key {key}", "tenant acme", "route smart"):
        assert holder in message
    assert Plan.objects.filter(pk=shared.pk).exists()
    VirtualKey.objects.update(default_plan=None)
    Tenant.objects.update(default_plan=None)
    Route.objects.update(default_plan=None)
    assert platform.call("DELETE", "/token-saving/plans/shared").status_code == 204


@pytest.mark.parametrize("several", [False, True])
def test_the_admins_delete_page_says_whose_default_it_is(
    acme: Tenant, shared: Plan, staff: Client, several: bool
) -> None:
    issue(acme, shared)
    if several:
        chosen = {"action": "delete_selected", "_selected_action": [shared.pk]}
        page = staff.post("/admin/plans/plan/", chosen).content.decode()
    else:
        page = staff.get(f"/admin/plans/plan/{shared.pk}/delete/").content.decode()
    assert "It is the default plan of:" in page
    assert "app (tt-" in page
    assert "Yes, I" not in page


def test_a_tenant_goes_with_its_keys_plans_and_defaults(acme: Tenant, ours: Plan) -> None:
    issue(acme, ours)
    acme.default_plan = ours
    acme.save()
    Tenant.objects.filter(pk=acme.pk).delete()
    assert not Plan.objects.exists()
    assert not VirtualKey.objects.exists()


def test_a_revoked_key_holds_no_plan(acme: Tenant, ours: Plan) -> None:
    key = issue(acme, ours)
    services.revoke_key(key=key)
    services.delete_plan(owner=acme, name="ours")
    assert VirtualKey.objects.get().default_plan is None


# The command


def test_create_key_takes_a_plan(acme: Tenant, shared: Plan, theirs: Plan) -> None:
    call_command("create_key", tenant="acme", plan="shared", stdout=io.StringIO())
    assert VirtualKey.objects.get().default_plan == shared
    for name in ("theirs", "nobody", "a b"):
        with pytest.raises(CommandError, match="Neither acme nor the platform has a plan"):
            call_command("create_key", tenant="acme", plan=name, stdout=io.StringIO())
    assert VirtualKey.objects.count() == 1
