"""The three groups, who belongs where, and that nobody makes themselves more than they are."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.core.management import call_command

from plans.access import (
    GROUP_NAMES,
    PLATFORM_ADMIN,
    TENANT_ADMIN,
    TENANT_PERMISSIONS,
    VIEWER,
    build_group_permissions,
    can_see_reports,
    get_user_tenant,
    is_tenant_bound,
)
from plans.models import Membership, Tenant
from tests.support.people import person, session

pytestmark = pytest.mark.django_db


def permissions() -> dict[str, set[str]]:
    rows = Permission.objects.filter(group__name__in=GROUP_NAMES).values_list(
        "group__name", "content_type__app_label", "codename"
    )
    return {
        name: {f"{app}.{code}" for group, app, code in rows if group == name}
        for name in GROUP_NAMES
    }


def fresh(user: User) -> User:
    """As the next request reads them: permissions are kept with the object."""
    return User.objects.get(pk=user.pk)


def test_every_database_has_the_groups_with_what_they_may() -> None:
    found = permissions()
    assert found[VIEWER] == {"stats.view_rollup", "stats.view_requestevent"}
    assert found[VIEWER] < found[TENANT_ADMIN] <= TENANT_PERMISSIONS
    assert {"plans.change_plan", "plans.add_virtualkey", "plans.view_modelprice"} <= found[
        TENANT_ADMIN
    ]
    assert {"plans.change_modelprice", "proxy.view_upstream", "auth.view_user"}.isdisjoint(
        found[TENANT_ADMIN]
    )
    assert {"plans.change_modelprice", "proxy.change_upstream", "auth.change_user"} <= found[
        PLATFORM_ADMIN
    ]
    assert not [
        name
        for name in found[PLATFORM_ADMIN]
        if name.startswith(("auth.", "axes.")) and not name.endswith("_user")
    ]
    assert found[PLATFORM_ADMIN].isdisjoint({"proxy.view_entry_text"})


def test_what_a_tenant_s_person_may_hold_exists() -> None:
    found = build_group_permissions(
        {
            f"{app}.{code}"
            for app, code in Permission.objects.values_list("content_type__app_label", "codename")
        }
    )
    assert all(found.values())
    known = {model._meta.label_lower for model in apps.get_models()}
    missing = {
        name
        for name in TENANT_PERMISSIONS
        if f"{name.partition('.')[0]}.{name.rpartition('_')[2]}" not in known
    }
    assert missing <= {
        "plans.view_historicalplan",
        "plans.change_historicalplan",
        "proxy.view_entry_text",
    }


def test_another_migration_keeps_what_an_operator_added_and_gives_back_what_is_missing() -> None:
    before, extra = permissions(), Permission.objects.get(codename="view_entry_text")
    group = Group.objects.get(name=TENANT_ADMIN)
    group.permissions.add(extra)
    group.permissions.remove(Permission.objects.get(codename="view_plan"))
    Group.objects.get(name=VIEWER).delete()
    call_command("migrate", verbosity=0)
    assert permissions() == before | {
        TENANT_ADMIN: before[TENANT_ADMIN] | {"proxy.view_entry_text"}
    }


def test_a_membership_holds_whoever_has_it(acme: Tenant) -> None:
    boss, theirs, lost = (
        person("boss", PLATFORM_ADMIN),
        person("theirs", TENANT_ADMIN, acme),
        person("lost", TENANT_ADMIN),
    )
    assert (get_user_tenant(boss), get_user_tenant(theirs)) == (None, acme)
    assert [is_tenant_bound(user) for user in (boss, theirs, lost)] == [False, True, True]
    with pytest.raises(PermissionDenied, match="of no tenant yet"):
        get_user_tenant(lost)
    assert can_see_reports(boss)
    assert not can_see_reports(User.objects.create(username="plain", is_staff=True))
    assert boss.has_perm("proxy.change_upstream")
    Membership.objects.create(user=boss, tenant=acme)
    assert not fresh(boss).has_perm("proxy.change_upstream")
    assert fresh(boss).has_perm("plans.change_plan")


def test_a_permission_given_by_mistake_opens_nothing_of_the_platform_s(acme: Tenant) -> None:
    theirs = person("theirs", TENANT_ADMIN, acme)
    theirs.user_permissions.set(Permission.objects.all())
    for name in (
        "auth.change_user",
        "plans.add_membership",
        "plans.change_modelprice",
        "proxy.change_upstream",
        "stats.view_deadletter",
    ):
        assert not fresh(theirs).has_perm(name), name
    client = session(theirs)
    for path in (
        "/admin/auth/user/",
        f"/admin/auth/user/{theirs.pk}/change/",
        "/admin/auth/group/",
        "/admin/proxy/upstream/",
    ):
        assert client.get(path).status_code == 404, path


def form(user: User, **fields: Any) -> dict[str, Any]:
    """The user's page as it stands, with these fields."""
    inline = {
        "membership-TOTAL_FORMS": "1",
        "membership-INITIAL_FORMS": "0",
        "membership-MIN_NUM_FORMS": "0",
        "membership-MAX_NUM_FORMS": "1",
    }
    joined = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    held = [str(group.pk) for group in user.groups.all()]
    return (
        {"username": user.username, "is_active": "on", "is_staff": "on", "groups": held}
        | joined
        | inline
        | fields
    )


def test_a_platform_admin_puts_a_person_into_a_tenant(acme: Tenant) -> None:
    boss, other = session(person("boss", PLATFORM_ADMIN)), person("other", VIEWER)
    page = boss.get(f"/admin/auth/user/{other.pk}/change/")
    assert "membership-0-tenant" in page.content.decode()
    data = form(other, **{"membership-0-tenant": str(acme.pk), "membership-0-user": str(other.pk)})
    reply = boss.post(f"/admin/auth/user/{other.pk}/change/", data)
    assert reply.status_code == 302, reply.context["adminform"].errors
    assert get_user_tenant(fresh(other)) == acme
    assert "acme" in boss.get("/admin/auth/user/").content.decode()
    assert boss.get("/admin/auth/user/add/").status_code == 200


def test_a_platform_admin_becomes_no_superuser_and_touches_none() -> None:
    root = User.objects.create(username="root", is_staff=True, is_superuser=True)
    powerful = Group.objects.create(name="powerful")
    powerful.permissions.set(Permission.objects.all())
    user = person("boss", PLATFORM_ADMIN)
    boss = session(user)
    granted = {
        "is_superuser": "on",
        "user_permissions": [str(Permission.objects.get(codename="change_group").pk)],
    }
    assert (
        boss.post(f"/admin/auth/user/{user.pk}/change/", form(user, **granted)).status_code == 302
    )
    assert not fresh(user).is_superuser
    assert not fresh(user).user_permissions.exists()
    refused = boss.post(
        f"/admin/auth/user/{user.pk}/change/", form(user, groups=[str(powerful.pk)])
    )
    assert refused.status_code == 200
    assert "groups" in refused.context["adminform"].errors
    for page in ("change", "delete", "password", "history"):
        assert boss.get(f"/admin/auth/user/{root.pk}/{page}/").status_code in {302, 404}, page
    boss.post(
        f"/admin/auth/user/{root.pk}/password/",
        {"password1": "Correct-horse-9", "password2": "Correct-horse-9"},
    )
    boss.post(
        "/admin/auth/user/",
        {"action": "delete_selected", "_selected_action": [str(root.pk)], "post": "yes"},
    )
    assert fresh(root).password == root.password
    assert User.objects.filter(pk=root.pk).exists()
    user.groups.add(powerful)
    assert boss.post(f"/admin/auth/user/{user.pk}/change/", form(user)).status_code == 302
    assert powerful in fresh(user).groups.all()


def test_nobody_becomes_more_through_another_person_s_account(acme: Tenant) -> None:
    """Who sets a password, or an address that a new one is sent to,
    may log in as whoever it is of."""
    boss, reader = person("boss", PLATFORM_ADMIN), person("reader", VIEWER)
    reader.user_permissions.add(Permission.objects.get(codename="view_entry_text"))
    client, page = session(boss), f"/admin/auth/user/{reader.pk}"
    before = User.objects.filter(pk=reader.pk).values().get()
    word = {
        "password1": "a new long passphrase",
        "password2": "a new long passphrase",
        "usable_password": "true",
    }
    form = {
        "username": "reader",
        "email": "boss@example.org",
        "is_staff": "on",
        "is_active": "on",
        "groups": [],
    }
    inline = {"membership-TOTAL_FORMS": "0", "membership-INITIAL_FORMS": "0"}
    assert client.post(f"{page}/password/", word).status_code == 403
    assert client.post(f"{page}/change/", form | inline).status_code == 403
    assert client.post(f"{page}/delete/", {"post": "yes"}).status_code == 403
    client.post(
        "/admin/auth/user/",
        {"action": "delete_selected", "_selected_action": [str(reader.pk)], "post": "yes"},
    )
    assert client.get(f"{page}/change/").status_code == 200  # to be read
    assert User.objects.filter(pk=reader.pk).values().get() == before
    User.objects.filter(pk=reader.pk).update(is_active=False)  # what may come back counts
    assert client.post(f"{page}/password/", word).status_code == 403
    boss.user_permissions.add(Permission.objects.get(codename="view_entry_text"))
    assert session(fresh(boss)).post(f"{page}/password/", word).status_code == 302


def test_a_group_that_may_more_is_not_there_to_be_given() -> None:
    """Neither to oneself nor to an account of one's own making."""
    Group.objects.get(name=VIEWER).permissions.add(
        Permission.objects.get(codename="view_entry_text")
    )
    boss, puppet = (
        person("boss", PLATFORM_ADMIN),
        User.objects.create(username="puppet", is_staff=True),
    )
    client, viewers = session(boss), Group.objects.get(name=VIEWER).pk
    form = {
        "is_staff": "on",
        "is_active": "on",
        "date_joined_0": "2026-01-01",
        "date_joined_1": "10:00:00",
    }
    form |= {"membership-TOTAL_FORMS": "0", "membership-INITIAL_FORMS": "0"}
    for user in (puppet, boss):
        held = [str(pk) for pk in user.groups.values_list("pk", flat=True)]
        reply = client.post(
            f"/admin/auth/user/{user.pk}/change/",
            form | {"username": user.username, "groups": [*held, str(viewers)]},
        )
        assert list(reply.context["adminform"].form.errors) == ["groups"]
        assert not user.groups.filter(pk=viewers).exists()
    tenants = Group.objects.get(name=TENANT_ADMIN).pk
    reply = client.post(
        f"/admin/auth/user/{puppet.pk}/change/",
        form | {"username": "puppet", "groups": [str(tenants)]},
    )
    assert reply.status_code == 302
    assert puppet.groups.filter(pk=tenants).exists()
