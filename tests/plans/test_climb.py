"""A tenant's admin and a tenant's viewer try to read and to change what is another tenant's
or the platform's, by every path there is."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import Model

from plans.access import PLATFORM_ADMIN, TENANT_ADMIN, VIEWER
from plans.admin.tenant_scope import TenantScopedAdmin
from plans.models import Membership, Plan, Tenant, VirtualKey
from stats.models.requests import RequestEvent
from tests.support.climbing import (
    OWNED,
    everything,
    filled,
    model_of,
    patterns,
    platform_rows,
    rows_of,
)
from tests.support.people import person, session

pytestmark = pytest.mark.django_db
MINE, THEIRS, NOBODYS = "acme-plan-mark", "rival-secret-mark", "platform-secret-mark"
ADMIN = sorted({(path, name) for path, name in patterns() if path.startswith("admin/")})
API = sorted(
    {path for path, _ in patterns() if path.startswith("token-saving") and not path.endswith("/")}
)
DASHBOARD = sorted({path for path, _ in patterns() if path.startswith("dashboard")})
SHUT = {400, 403, 404, 405, 406, 409, 415}
Rows = dict[type[Model], Model]


@pytest.fixture
def world(acme: Tenant) -> tuple[Rows, Rows, Rows]:
    """Rows of acme, of rival and of the platform."""
    rival = Tenant.objects.create(slug="rival-secret-mark", name=THEIRS)
    return rows_of(acme, MINE), rows_of(rival, THEIRS), platform_rows(NOBODYS)


@pytest.fixture(params=[TENANT_ADMIN, VIEWER, "everything by mistake"])
def climber(request: pytest.FixtureRequest, acme: Tenant) -> User:
    """The last one was granted every permission there is, which is not to matter."""
    if request.param in {TENANT_ADMIN, VIEWER}:
        return person("climber", request.param, acme)
    user = person("climber", TENANT_ADMIN, acme)
    user.user_permissions.set(Permission.objects.all())
    return user


def secret(reply: Any) -> list[str]:
    """What of others' the reply lets slip, but for names of the platform's routes and plans,
    which every tenant may use."""
    text = (
        reply.getvalue().decode("utf-8", "replace")
        if getattr(reply, "streaming", False)
        else reply.content.decode("utf-8", "replace")
    )
    return [mark for mark in (THEIRS,) if mark in text]


def body(climber: User, theirs: Rows, nobodys: Rows) -> dict[str, Any]:
    """A form that asks for as much as any does."""
    rival = theirs[Tenant].pk
    grants = {
        "is_superuser": "on",
        "is_staff": "on",
        "user_permissions": [str(pk) for pk in Permission.objects.values_list("pk", flat=True)],
    }
    inline = {
        "membership-TOTAL_FORMS": "1",
        "membership-INITIAL_FORMS": "0",
        "membership-0-tenant": str(rival),
    }
    who = {
        "username": climber.username,
        "user": str(climber.pk),
        "membership-0-user": str(climber.pk),
        "password1": "x",
        "password2": "x",
    }
    plan = {
        "name": "taken",
        "tenant": str(rival),
        "mode": "off",
        "cache_enabled": "on",
        "exact": "on",
        "ttl": "60",
        "language": "english",
    }
    chosen = {
        "_selected_action": [str(row.pk) for row in (*theirs.values(), *nobodys.values())],
        "post": "yes",
        "sure": "yes",
        "index": "0",
    }
    return (
        grants
        | inline
        | who
        | plan
        | chosen
        | {"select_across": "1", "reason": "because", "_save": "Save"}
    )


def test_the_paths_are_many() -> None:
    assert len(ADMIN) > 100
    assert len(API) > 10
    for model, pages in admin.site._registry.items():
        assert (
            not isinstance(pages, TenantScopedAdmin) or not pages.tenant_column or model in OWNED
        ), f"{model} wants a row in OWNED"


def test_no_page_of_the_admin_opens_a_row_of_another_s(
    world: tuple[Rows, Rows, Rows], climber: User, acme: Tenant
) -> None:
    _, theirs, nobodys = world
    client, before, form = session(climber), everything(but=acme), body(climber, theirs, nobodys)
    for path, name in ADMIN:
        if "{" not in path or name in {"app_list", "view_on_site", ""}:
            continue
        model = Plan if "{plan}" in path else model_of(name)
        assert model, f"{path}: whose page is it?"
        for row in (rows[model] for rows in (theirs, nobodys) if model in rows):
            where = filled(path, str(row.pk))
            for reply in (client.get(where), client.post(where, form)):
                assert reply.status_code in SHUT, f"{where}: {reply.status_code}"
                assert not secret(reply), where
    assert everything(but=acme) == before


def test_no_list_of_the_admin_shows_or_changes_another_s(
    world: tuple[Rows, Rows, Rows], climber: User, acme: Tenant
) -> None:
    _, theirs, nobodys = world
    client, before, form = session(climber), everything(but=acme), body(climber, theirs, nobodys)
    rival, plan = theirs[Tenant].pk, theirs[Plan].pk
    prefilled = ["", f"tenant={rival}", f"plan={plan}"]
    narrowed = [f"tenant__id__exact={rival}", f"q={THEIRS}", "_facets=True", "tenant__isnull=True"]
    shown = 0
    for path, name in ADMIN:
        if "{" in path or name in {"logout", "login"} or "password_change" in name:
            continue
        model = model_of(name)
        listed = name.endswith("_changelist")  # the others have neither filters nor actions
        for query in (*prefilled, *(narrowed if listed else ())):
            reply = client.get(f"/{path}?{query}")
            assert reply.status_code in SHUT | {200, 302}, f"{path}?{query}: {reply.status_code}"
            assert not [found for found in secret(reply) if found not in query], f"{path}?{query}"
            assert NOBODYS not in _without_choices(reply), f"{path}?{query}"
            shown += MINE in reply.content.decode()
        actions = (
            list(admin.site._registry[model].get_actions(reply.wsgi_request))
            if model and listed and reply.status_code == 200
            else []
        )
        for action in ("", *(dict.fromkeys(("delete_selected", *actions)) if listed else ())):
            reply = client.post(f"/{path}", form | {"action": action})
            assert reply.status_code in SHUT | {200, 302}, f"{path} {action}: {reply.status_code}"
            assert not secret(reply), f"{path} {action}"
    assert shown > 3 or not climber.has_perm("plans.view_plan")
    assert everything(but=acme) == before


def _without_choices(reply: Any) -> str:
    """The names of routes that a tenant may use are choices in the forms of plans,
    and told in that of keys."""
    lines = reply.content.decode("utf-8", "replace").splitlines()
    return "".join(line for line in lines if "<option" not in line and "acme may use:" not in line)


def test_autocomplete_finds_nothing_of_another_s(
    world: tuple[Rows, Rows, Rows], climber: User
) -> None:
    client = session(climber)
    for model in admin.site._registry:
        for field in model._meta.get_fields():
            if field.is_relation and field.concrete:
                label, name = model._meta.label_lower.split(".")
                names = {
                    "app_label": label,
                    "model_name": name,
                    "field_name": field.name,
                    "term": "s",
                }
                reply = client.get("/admin/autocomplete/", names)
                assert reply.status_code in SHUT | {200}
                assert not secret(reply)


@pytest.mark.parametrize("path", API)
def test_no_path_of_the_api_reads_or_changes_another_s(
    world: tuple[Rows, Rows, Rows], climber: User, acme: Tenant, path: str
) -> None:
    client, before = session(climber), everything(but=acme)
    nobodys = Plan.objects.get(tenant=None)
    tries = [
        (THEIRS, ""),
        (THEIRS, "?tenant=rival-secret-mark"),
        (MINE, "?tenant=rival-secret-mark"),
    ]
    for plan, query in tries:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            fields = (
                '{"plan_name": "taken", "tenant": "rival-secret-mark", "mode": "off", "all": true}'
            )
            reply = client.generic(method, filled(path, plan) + query, fields, "application/json")
            # Lists of one's own, and the engines there are.
            reads = "{plan}" not in path and method == "GET"
            assert reply.status_code in SHUT | ({200} if reads else set()), (
                f"{method} {path} {query}: {reply.status_code}"
            )
            assert not secret(reply), f"{method} {path}{query}"
    for method in ("PATCH", "DELETE"):
        assert client.generic(
            method, f"/token-saving/plans/{nobodys.name}", '{"mode": "off"}', "application/json"
        ).status_code in {
            403,
            404,
        }
    for query in (
        f"plan={Plan.objects.get(name=THEIRS).pk}",
        f"key={VirtualKey.objects.get(name=THEIRS).pk}",
    ):
        assert client.get(f"/token-saving/stats?{query}").status_code == 404
    assert everything(but=acme) == before


@pytest.mark.parametrize("path", DASHBOARD)
def test_the_dashboard_shows_nothing_of_another_s(
    world: tuple[Rows, Rows, Rows], climber: User, acme: Tenant, path: str
) -> None:
    _, theirs, _ = world
    client, before = session(climber), everything(but=acme)
    plan = theirs[Plan].pk
    for query in (
        "",
        "?tenant=rival-secret-mark",
        f"?plan={plan}",
        f"?key={theirs[VirtualKey].pk}",
        f"?range=7d&plan={plan}&group_by=model",
    ):
        where = filled(path, str(theirs[RequestEvent].pk if "{event}" in path else plan))
        for reply in (client.get(where + query), client.post(where + query, {})):
            assert reply.status_code in SHUT | ({200, 301, 302} if "{" not in path else set()), (
                f"{where}{query}: {reply.status_code}"
            )
            assert not secret(reply), f"{where}{query}"
    assert everything(but=acme) == before


def test_a_plan_or_a_key_cannot_be_moved_or_made_elsewhere(
    world: tuple[Rows, Rows, Rows], acme: Tenant
) -> None:
    mine, theirs, _ = world
    client = session(person("climber", TENANT_ADMIN, acme))
    page = client.get(f"/admin/plans/plan/{mine[Plan].pk}/change/")
    form = {
        name: value
        for name, value in page.context["adminform"].form.initial.items()
        if value not in {None, False}
    }
    before = Plan.objects.count()
    for tenant in (str(theirs[Tenant].pk), "", "999999"):
        client.post(
            f"/admin/plans/plan/{mine[Plan].pk}/change/",
            form | {"tenant": tenant, "reason": "because"},
        )
        client.post("/admin/plans/plan/add/", form | {"name": "fresh", "tenant": tenant})
        for key in ("virtualkey", "adminkey"):
            client.post(
                f"/admin/plans/{key}/add/", {"name": "fresh", "tenant": tenant, "routes": ""}
            )
    assert Plan.objects.get(pk=mine[Plan].pk).tenant == acme
    assert Plan.objects.count() == before
    assert not VirtualKey.objects.filter(name="fresh").exists()
    made = client.post(
        "/admin/plans/virtualkey/add/", {"name": "fresh", "tenant": str(acme.pk), "routes": ""}
    )
    assert made.status_code == 200
    assert VirtualKey.objects.get(name="fresh").tenant == acme


def test_nobody_grants_themselves_anything(
    world: tuple[Rows, Rows, Rows], climber: User, acme: Tenant
) -> None:
    _, theirs, nobodys = world
    client, form, held = (
        session(climber),
        body(climber, theirs, nobodys),
        set(climber.get_all_permissions()),
    )
    for path in (
        "user/add/",
        f"user/{climber.pk}/change/",
        f"user/{climber.pk}/password/",
        "group/add/",
        "group/1/change/",
    ):
        assert client.post(f"/admin/auth/{path}", form).status_code in SHUT
    climber = User.objects.get(pk=climber.pk)
    assert not climber.is_superuser
    assert set(climber.get_all_permissions()) == held
    assert Membership.objects.get(user=climber).tenant == acme


def test_a_file_brings_no_plan_of_another_s(
    world: tuple[Rows, Rows, Rows], climber: User, acme: Tenant
) -> None:
    """The file of a platform admin's export, changed, sent by a tenant's person;
    and what they may export themselves."""
    client, before = session(climber), everything(but=acme)
    boss = session(person("boss", PLATFORM_ADMIN))
    exported = boss.get("/admin/plans/plan/export/").content.decode()
    assert THEIRS in exported
    for text in (exported.replace('"active"', '"off"'), exported.replace(THEIRS, "fresh-name")):
        for form in (
            {"file": SimpleUploadedFile("plans.json", text.encode())},
            {"content": text, "format": "json", "_reason": "because"},
        ):
            reply = client.post("/admin/plans/plan/import/", form)
            assert reply.status_code in SHUT, reply.content
    everybody = {
        key: [row for row in rows if row.get("username") != "boss"]
        for key, rows in everything(but=acme).items()
    }
    assert {key: everybody[key] for key in ("plans.plan", "plans.modelprice")} == {
        key: before[key] for key in ("plans.plan", "plans.modelprice")
    }
    own = client.get("/admin/plans/plan/export/")
    assert own.status_code in {200, 403}
    assert THEIRS not in own.content.decode()
