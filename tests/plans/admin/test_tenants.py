"""The history of tenants in the admin, and the way back."""

import pytest
from django.test import Client

from plans.access import PLATFORM_ADMIN
from plans.models import Plan, Tenant
from plans.records import get_row_history
from proxy.upstreams.services import put_route, put_upstream
from tests.support.people import person, session

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(db: None) -> Client:
    return session(person("boss", PLATFORM_ADMIN))


def test_a_tenants_changes_are_told_with_their_author_and_taken_back(
    boss: Client, acme: Tenant
) -> None:
    page = f"/admin/plans/tenant/{acme.pk}/"
    form = {"slug": "acme", "name": "Acme Inc", "max_entries": "5", "routes": "*"}
    assert boss.post(f"{page}change/", form).status_code == 302
    assert boss.post(f"{page}change/", form | {"max_entries": "9"}).status_code == 302
    shown = boss.get(f"{page}history/").content.decode()
    assert "boss" in shown
    assert "ost cached answers" in shown
    first = get_row_history(acme).filter(max_entries=5).first()
    assert first is not None
    reply = boss.post(f"{page}history/{first.history_id}/revert/", {"_reason": "Too many"})
    assert reply.status_code == 302, reply.content
    assert Tenant.objects.get().max_entries == 5


def test_a_route_that_is_put_takes_a_default_plan(acme: Tenant) -> None:
    plan = Plan.objects.create(name="everywhere")
    upstream = put_upstream(name="openai", base_url="https://api.openai.com/v1")
    route = put_route(name="smart", upstream=upstream, model="m", default_plan=plan)
    assert route.default_plan == plan
    assert put_route(name="smart", upstream=upstream, model="m").default_plan is None
