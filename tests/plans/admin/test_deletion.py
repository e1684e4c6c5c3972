"""What begins to refer to a row between Django's own look and its deletion."""

from typing import Any

import pytest
from django.contrib.admin.models import DELETION, LogEntry
from django.test import Client

from plans.access import PLATFORM_ADMIN, VIEWER
from plans.admin.plans import PlanAdmin
from plans.models import Membership, Plan, Tenant
from proxy.models import Route, Upstream
from tests.support.people import person, session

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(db: None) -> Client:
    return session(person("boss", PLATFORM_ADMIN))


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Plan:
    """A plan that becomes a default after Django has looked, and before it deletes."""
    made = Plan.objects.create(name="everywhere")

    def make_default_first(method: str) -> None:
        real = getattr(PlanAdmin, method)

        def delete(page: Any, request: Any, what: Any) -> None:
            Tenant.objects.create(slug="late", default_plan=made)
            real(page, request, what)

        monkeypatch.setattr(PlanAdmin, method, delete)

    make_default_first("delete_model")
    make_default_first("delete_queryset")
    return made


@pytest.mark.parametrize("is_listed", [False, True])
def test_a_plan_that_becomes_a_default_meanwhile_is_kept_and_the_page_says_why(
    boss: Client, plan: Plan, is_listed: bool
) -> None:
    other = Plan.objects.create(name="other")
    path, form = f"/admin/plans/plan/{plan.pk}/delete/", {}
    if is_listed:
        path = "/admin/plans/plan/"
        form = {"action": "delete_selected", "_selected_action": [plan.pk, other.pk]}
    reply = boss.post(path, {"post": "yes", **form}, follow=True)
    assert reply.status_code == 200
    assert "Nothing was deleted. It is used by tenant late." in reply.content.decode()
    assert Plan.objects.count() == 2
    assert not LogEntry.objects.filter(action_flag=DELETION).exists()


def test_an_upstream_with_routes_is_kept(boss: Client) -> None:
    upstream = Upstream.objects.create(name="openai", base_url="https://api.openai.com/v1")
    Route.objects.create(name="smart", upstream=upstream, model="m")
    page = boss.post(f"/admin/proxy/upstream/{upstream.pk}/delete/", {"post": "yes"}, follow=True)
    assert "smart" in page.content.decode()
    assert Upstream.objects.exists()


def test_a_tenant_that_people_belong_to_is_kept_or_they_would_be_the_platforms(
    boss: Client, acme: Tenant
) -> None:
    person("ann", VIEWER, acme)
    page = boss.post(f"/admin/plans/tenant/{acme.pk}/delete/", {"post": "yes"}, follow=True)
    assert "ann of acme" in page.content.decode()
    assert Membership.objects.get().tenant == acme
