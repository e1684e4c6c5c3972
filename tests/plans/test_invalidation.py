"""POST /token-saving/plans/{plan}/invalidate, and the admin's "Forget all answers"."""

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from plans import invalidation, selectors, services
from plans.models import Invalidation, Plan, Revision, Tenant
from proxy.runtime.config_loader import load_config_snapshot
from tests.support.management import ONE, Manager, manager, refused

pytestmark = pytest.mark.django_db
PATH = f"{ONE}/invalidate"


def done(reply: Any) -> dict[str, Any]:
    assert reply.status_code == 200, reply.content
    found: dict[str, Any] = json.loads(reply.content)
    return found


def test_the_reply_says_what_was_forgotten_and_workers_read_it(platform: Manager) -> None:
    platform.create()
    plan, before = Plan.objects.get(), selectors.get_revision()
    told = done(platform.call("POST", PATH, {"tags": ["prices", "de", "prices"]}))
    assert told.pop("invalidated_at")
    generation = told.pop("generation")
    assert told == {"plan": "plan", "tenant": None, "all": False, "tags": ["prices", "de"]}
    directory = load_config_snapshot()
    assert before < generation <= directory.revision
    assert directory.min_revisions == {
        (plan.pk, None, "prices"): generation,
        (plan.pk, None, "de"): generation,
    }
    plan.refresh_from_db()
    assert plan.version == 1


def test_all_is_one_row_however_often(platform: Manager) -> None:
    platform.create()
    generations = [done(platform.call("POST", PATH, {"all": True}))["generation"] for _ in range(3)]
    assert generations == sorted(set(generations))
    [row] = Invalidation.objects.all()
    assert (row.tag, row.generation) == ("", generations[-1])


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (None, "tags"),
        ({}, "tags"),
        ([], None),
        ({"all": True, "tags": ["a"]}, "tags"),
        ({"all": False}, "all"),
        ({"all": 1}, "all"),
        ({"tags": []}, "tags"),
        ({"tags": "prices"}, "tags"),
        ({"tags": [""]}, "tags"),
        ({"tags": ["a" * 65]}, "tags"),
        ({"tags": ["a\u0000"]}, "tags"),
        ({"tags": ["\ud800"]}, "tags"),
        ({"tags": [str(n) for n in range(101)]}, "tags"),
        ({"tags": [["a"]]}, "tags"),
        ({"tag": "a"}, "tag"),
    ],
)
def test_what_says_nothing_clear_is_refused_and_nothing_is_forgotten(
    platform: Manager, body: Any, param: str | None
) -> None:
    platform.create()
    refused(platform.call("POST", PATH, body), 400, param=param)
    assert not Invalidation.objects.exists()


def test_a_tenant_forgets_its_own_answers_alone(platform: Manager, acme: Tenant) -> None:
    platform.create()
    plan = Plan.objects.get()
    assert done(manager(acme).call("POST", PATH, {"all": True}))["tenant"] == "acme"
    assert done(platform.call("POST", f"{PATH}?tenant=acme", {"tags": ["x"]}))["tenant"] == "acme"
    assert set(load_config_snapshot().min_revisions) == {
        (plan.pk, acme.pk, ""),
        (plan.pk, acme.pk, "x"),
    }
    manager(acme).create(plan_name="ours")
    done(manager(acme).call("POST", "/token-saving/plans/ours/invalidate", {"all": True}))
    other = manager(Tenant.objects.create(slug="other"))
    refused(
        other.call("POST", "/token-saving/plans/ours/invalidate", {"all": True}),
        404,
        param="plan",
        code="plan_not_found",
    )
    refused(
        other.call("POST", f"{PATH}?tenant=acme", {"all": True}),
        404,
        param="tenant",
        code="tenant_not_found",
    )


def test_virtual_keys_and_staff_without_permission_may_not(platform: Manager, acme: Tenant) -> None:
    platform.create()
    _, secret = services.issue_virtual_key(tenant=acme, name="sdk")
    refused(Manager(secret).call("POST", PATH, {"all": True}), 401, code="invalid_api_key")
    staff = User.objects.create_user("clerk", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_plan"))
    client = Client(raise_request_exception=False)
    client.force_login(staff)
    refused(
        client.post(PATH, {"all": True}, content_type="application/json"),
        403,
        code="permission_denied",
    )
    staff.user_permissions.add(Permission.objects.get(codename="change_plan"))
    assert client.post(PATH, {"all": True}, content_type="application/json").status_code == 200


def test_more_tags_than_are_remembered_forget_more_and_never_less(
    platform: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invalidation, "MAX_REMEMBERED_TAGS", 2)
    platform.create()
    plan = Plan.objects.get()
    made = {
        tag: done(platform.call("POST", PATH, {"tags": [tag]}))["generation"]
        for tag in ("a", "b", "c", "d")
    }
    key = (plan.pk, None)
    assert load_config_snapshot().min_revisions == {
        (*key, "c"): made["c"],
        (*key, "d"): made["d"],
        (*key, ""): made["b"],
    }
    later = done(platform.call("POST", PATH, {"all": True}))["generation"]
    done(platform.call("POST", PATH, {"tags": ["e"]}))
    assert load_config_snapshot().min_revisions[(*key, "")] == later


def test_a_plan_that_is_deleted_leaves_nothing_behind(platform: Manager) -> None:
    platform.create()
    done(platform.call("POST", PATH, {"all": True}))
    assert platform.call("DELETE", ONE).status_code == 204
    assert load_config_snapshot().min_revisions == {}


def test_revisions_run_ahead_of_those_of_a_history_that_was_lost(platform: Manager) -> None:
    """After a restored backup entries may carry revisions the database never heard of."""
    platform.create()
    lost = [done(platform.call("POST", PATH, {"all": True}))["generation"] for _ in range(5)]
    Revision.objects.update(value=7)
    Invalidation.objects.all().delete()
    assert done(platform.call("POST", PATH, {"all": True}))["generation"] > max(lost)


def test_the_admin_asks_first_and_then_forgets(acme: Tenant) -> None:
    ours = services.create_plan(owner=acme, body={"plan_name": "ours"})
    everyones = services.create_plan(owner=None, body={"plan_name": "everyones"})
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    chosen = {"action": "forget_answers", "_selected_action": [ours.pk, everyones.pk]}
    page = client.post("/admin/plans/plan/", chosen)
    assert page.status_code == 200
    assert "answers of every tenant" in page.content.decode()
    assert not Invalidation.objects.exists()
    assert client.post("/admin/plans/plan/", chosen | {"sure": "yes"}).status_code == 302
    assert set(load_config_snapshot().min_revisions) == {
        (ours.pk, acme.pk, ""),
        (everyones.pk, None, ""),
    }
    assert LogEntry.objects.filter(change_message__contains="forgotten").count() == 2


def test_staff_who_may_only_look_are_not_offered_it() -> None:
    services.create_plan(owner=None, body={"plan_name": "everyones"})
    staff = User.objects.create_user("clerk", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_plan"))
    client = Client()
    client.force_login(staff)
    assert "forget_answers" not in client.get("/admin/plans/plan/").content.decode()
    client.post(
        "/admin/plans/plan/",
        {"action": "forget_answers", "_selected_action": [Plan.objects.get().pk], "sure": "yes"},
    )
    assert not Invalidation.objects.exists()
