"""Who may call the management API, and whose plans they see."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import Settings

from plans import services
from plans.models import AdminKey, Plan, Tenant
from tests.support.management import GUIDE, ONE, PLANS, Manager, manager, refused

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Basic eDp5",
        "bearer tta-" + "A" * 43,
        "Bearer tta-" + "A" * 44,
        "Bearer \xe9",
    ],
)
def test_without_a_valid_admin_key_nothing_opens(client: Client, header: str) -> None:
    for method, path in (
        ("GET", PLANS),
        ("POST", PLANS),
        ("PATCH", ONE),
        ("DELETE", ONE),
        ("GET", "/token-saving/cache-engines"),
    ):
        reply = client.generic(
            method,
            path,
            "{",
            "application/json",
            headers={"authorization": header} if header else None,
        )
        refused(reply, 401, code="invalid_api_key")
        assert reply["WWW-Authenticate"].startswith("Bearer")


def test_a_malformed_key_is_refused_before_any_look_up(
    client: Client, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        assert client.get(PLANS, headers={"authorization": "Bearer tta-short"}).status_code == 401


def test_a_virtual_key_does_not_open_the_management_api(acme: Tenant) -> None:
    _, secret = services.issue_virtual_key(tenant=acme, name="sdk")
    refused(Manager(secret).call("GET", PLANS), 401, code="invalid_api_key")


def test_a_revoked_admin_key_is_refused_at_once(platform: Manager) -> None:
    assert platform.call("GET", PLANS).status_code == 200
    services.revoke_key(key=AdminKey.objects.get())
    refused(platform.call("GET", PLANS), 401, code="invalid_api_key")


def test_the_admin_key_of_the_environment_is_the_platforms(settings: Settings) -> None:
    settings.ADMIN_KEY = "a key of the operator's own making"
    assert Manager(settings.ADMIN_KEY).create()["tenant"] is None
    assert Manager(settings.ADMIN_KEY + "x").call("GET", PLANS).status_code == 401
    settings.ADMIN_KEY = ""
    assert Manager("").call("GET", PLANS).status_code == 401


def test_two_tenants_never_see_each_others_plans(platform: Manager, acme: Tenant) -> None:
    other = Tenant.objects.create(slug="other")
    ours, theirs = manager(acme), manager(other)
    assert ours.create(plan_name="ours")["tenant"] == "acme"
    platform.create(plan_name="everyones")
    assert json.loads(theirs.call("GET", PLANS).content)["data"] == []
    for name in ("ours", "everyones"):
        for method, body in (("GET", None), ("PATCH", {"mode": "off"}), ("DELETE", None)):
            refused(
                theirs.call(method, f"{PLANS}/{name}", body),
                404,
                param="plan",
                code="plan_not_found",
            )
            refused(
                theirs.call(method, f"{PLANS}/{name}?tenant=acme", body),
                404,
                param="tenant",
                code="tenant_not_found",
            )
    refused(
        theirs.call("POST", f"{PLANS}?tenant=nobody", {"plan_name": "x"}),
        404,
        param="tenant",
        code="tenant_not_found",
    )
    assert theirs.call("GET", f"{PLANS}?tenant=other").status_code == 200
    assert Plan.objects.filter(mode="active").count() == 2


def test_the_platform_chooses_the_owner_by_tenant(platform: Manager, acme: Tenant) -> None:
    manager(acme).create(plan_name="ours")
    refused(platform.call("GET", f"{PLANS}/ours"), 404, param="plan", code="plan_not_found")
    assert json.loads(platform.call("GET", f"{PLANS}/ours?tenant=acme").content)["tenant"] == "acme"
    assert platform.call("DELETE", f"{PLANS}/ours?tenant=acme").status_code == 204


def staff(*permissions: str) -> Client:
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=permissions, content_type__app_label="plans")
    )
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    return client


def test_a_staff_session_acts_as_the_platform_within_its_permissions(platform: Manager) -> None:
    platform.create()
    client = staff("view_plan")
    assert client.get(PLANS).status_code == 200
    client = Client()
    client.force_login(User.objects.get())
    refused(
        client.post(PLANS, GUIDE, content_type="application/json"), 403, code="permission_denied"
    )
    refused(client.delete(ONE), 403, code="permission_denied")
    User.objects.update(is_staff=False)
    refused(client.get(PLANS), 403, code="permission_denied")


def test_a_session_without_its_csrf_token_changes_nothing(client: Client) -> None:
    session = staff("view_plan", "add_plan")
    assert "CSRF" in refused(
        session.post(PLANS, GUIDE, content_type="application/json"), 403, code="permission_denied"
    )
    token = "a" * 32
    session.cookies["tokenthrift_csrf"] = token
    assert (
        session.post(
            PLANS, GUIDE, content_type="application/json", headers={"x-csrftoken": token}
        ).status_code
        == 201
    )
