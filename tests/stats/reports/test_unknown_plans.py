"""A misspelt plan saves nothing and fails nothing:
the dashboard says so, with the name that was asked for and the one that was meant."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from plans.models import Membership, Plan, Tenant
from stats.events import Event
from stats.models.rollups import Rollup
from tests.stats.dashboard.test_dashboard import days_ago, page, staff
from tests.support.events import make_event
from tests.support.recorded import store

__all__ = ["staff"]  # a fixture
pytestmark = pytest.mark.django_db


def unknown(name: str, **changes: Any) -> Event:
    return make_event(plan_id=None, plan=name, reason="unknown-plan", tier="bypass", **changes)


def test_the_names_are_shown_with_what_was_meant_most_asked_first(staff: Client) -> None:
    Plan.objects.create(name="support-bot-cache")
    store(unknown("zzz"), *(unknown("Support-Bot-Cach") for _ in range(3)))
    text = page(staff)
    assert (
        "3 requests asked for the plan <b>Support-Bot-Cach</b>, which does not exist, and "
        "were paid for whole."
    ) in text
    assert "Was <b>support-bot-cache</b> meant?" in text
    assert (
        "1 request asked for the plan <b>zzz</b>, which does not exist, and was paid for whole. <a"
        in text
    )
    assert text.index("Support-Bot-Cach") < text.index("<b>zzz</b>")


def test_its_requests_are_listed_and_each_says_what_it_asked_for(staff: Client) -> None:
    mine, other = unknown("wrong name/%20&"), unknown("other")
    store(mine, other)
    listed = staff.get("/dashboard/requests/", {"unknown_plan": "wrong name/%20&"}).content.decode()
    assert mine.event_id in listed
    assert other.event_id not in listed
    assert "wrong name/%20&amp;" in listed
    assert (
        "wrong name/%20&amp;, which does not exist"
        in staff.get(f"/dashboard/requests/{mine.event_id}/").content.decode()
    )
    link = page(staff).partition("unknown_plan=")[2].partition('"')[0]
    followed = staff.get(f"/dashboard/requests/?unknown_plan={link}").content.decode()
    assert (mine.event_id in followed) != (other.event_id in followed)


def test_another_tenants_names_and_plans_are_not_told() -> None:
    acme, rival = (Tenant.objects.create(slug=slug) for slug in ("acme", "rival"))
    Plan.objects.create(name="secret-plan", tenant=rival)
    person = User.objects.create(username="ann", is_staff=True)
    person.groups.add(Group.objects.get(name="Viewer"))
    Membership.objects.create(user=person, tenant=acme)
    client = Client()
    client.force_login(person)
    theirs = unknown("rivals", tenant_id=rival.pk)
    store(unknown("secret-plam", tenant_id=acme.pk), theirs)
    text = page(client)
    assert "secret-plam" in text
    assert "secret-plan" not in text
    assert "rivals" not in text
    assert (
        theirs.event_id
        not in client.get("/dashboard/requests/?unknown_plan=rivals").content.decode()
    )


def test_names_of_others_periods_and_old_rows_without_a_name_are_left_out(staff: Client) -> None:
    store(unknown("old", at=days_ago(40)), unknown(""))
    assert "which does not exist" not in page(staff, "?range=7d").replace(
        "or one that does not exist", ""
    )


def test_a_hostile_name_is_shown_as_text_and_named_in_no_sum(staff: Client) -> None:
    store(unknown("<script>alert(1)</script>"))
    text = page(staff)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert set(Rollup.objects.values_list("plan", flat=True)) == {""}
