"""What of a chat must agree, by API and admin:
its default, its bounds, and traffic that the last message alone would mix up."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from plans.models import Plan
from stats.models.requests import RequestEvent
from stats.reports import selectors
from tests.plans.admin.test_plans import PLAN
from tests.support.events import id_at
from tests.support.management import ONE, PLANS, Manager, refused

pytestmark = pytest.mark.django_db


def saw(plan_id: int, turns: list[int], *, days_ago: float = 0.0) -> None:
    """Requests that named the plan, of these turns."""
    at = datetime.fromtimestamp(time.time() - days_ago * 86_400, UTC)
    fields: dict[str, Any] = {
        "at": at,
        "plan_id": plan_id,
        "status": 200,
        "outcome": "ok",
        "tier": "miss",
    }
    rows = [RequestEvent(event_id=id_at(at.timestamp()), turns=turn, **fields) for turn in turns]
    RequestEvent.objects.bulk_create(rows)


def chosen(platform: Manager, **change: Any) -> Any:
    return platform.call("PATCH", ONE, {"cache": change})


def test_a_new_plan_compares_the_window(platform: Manager) -> None:
    cache = platform.create()["cache"]
    assert (cache["context"], cache["window"]) == ("window", 2)
    assert "force" not in cache
    changed = json.loads(chosen(platform, context="strict", window=5).content)["cache"]
    assert (changed["context"], changed["window"]) == ("strict", 5)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"context": "all"}, "cache.context"),
        ({"context": None}, "cache.context"),
        ({"window": 0}, "cache.window"),
        ({"window": 21}, "cache.window"),
        ({"window": 2.5}, "cache.window"),
        ({"force": "yes"}, "cache.force"),
    ],
)
def test_other_values_are_refused(platform: Manager, change: dict[str, Any], param: str) -> None:
    platform.create()
    refused(chosen(platform, **change), 400, param=param)
    refused(platform.call("POST", PLANS, {"plan_name": "x", "cache": change}), 400, param=param)


def test_the_last_message_alone_is_refused_where_chats_use_the_plan(platform: Manager) -> None:
    platform.create()
    plan = Plan.objects.get()
    saw(plan.pk, [1] * 45 + [2, 3, 4, 5, 6])
    message = refused(chosen(platform, context="last_message"), 400, param="cache.context")
    assert "10.0% of this plan's last 50 requests" in message
    assert Plan.objects.get().context == "window"
    assert chosen(platform, context="last_message", force=True).status_code == 200
    assert chosen(platform, ttl=60).status_code == 200
    assert Plan.objects.get().context == "last_message"
    assert chosen(platform, context="strict").status_code == 200
    refused(chosen(platform, context="last_message"), 400, param="cache.context")


def test_traffic_of_single_questions_of_long_ago_or_of_other_plans_is_no_reason(
    platform: Manager,
) -> None:
    platform.create()
    plan = Plan.objects.get()
    saw(plan.pk, [1] * 99 + [2])
    saw(plan.pk, [2] * 50, days_ago=8)
    saw(plan.pk + 1, [2] * 50)
    assert selectors.count_later_turns(plan.pk) == (100, 1)
    assert chosen(platform, context="last_message").status_code == 200
    platform.create(plan_name="new", cache={"context": "last_message"})


def test_the_admin_refuses_it_too_until_the_box_is_ticked() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    assert client.post("/admin/plans/plan/add/", PLAN).status_code == 302
    plan = Plan.objects.get()
    saw(plan.pk, [1, 2, 3])
    change, body = f"/admin/plans/plan/{plan.pk}/change/", PLAN | {"context": "last_message"}
    refusal = client.post(change, body)
    assert "66.7%" in str(refusal.context["adminform"].form.errors["context"])
    assert Plan.objects.get().context == "window"
    assert client.post(change, body | {"force": "on", "_reason": "because"}).status_code == 302
    assert Plan.objects.get().context == "last_message"


def test_the_admin_shows_the_measured_rates_beside_the_choice() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    page = client.get("/admin/plans/plan/add/").content.decode()
    for rate in ("17 %", "59 %", "89 %", "3 in 1,000"):
        assert rate in page
