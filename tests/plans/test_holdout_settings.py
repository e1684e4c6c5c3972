"""The share of chats that is held out: the same by API and form, in force for requests,
and no reason to empty a cache."""

import json

import pytest
from django.contrib.auth.models import User
from django.test import Client

from plans.models import Plan
from proxy.runtime.config_loader import load_config_snapshot
from tests.plans.admin.test_plans import PLAN
from tests.support.management import ONE, PLANS, Manager

pytestmark = pytest.mark.django_db


def in_force() -> float:
    """What a worker reads."""
    [plan] = load_config_snapshot().plans.values()
    return plan.holdout


def test_the_api_takes_gives_and_changes_it(platform: Manager) -> None:
    assert platform.create(holdout=0.02)["holdout"] == 0.02 == in_force()
    assert (
        json.loads(platform.call("PATCH", ONE, {"cache": {"ttl": 60}}).content)["holdout"]
        == 0.02
        == in_force()
    )
    assert (
        json.loads(platform.call("PATCH", ONE, {"holdout": 0.5}).content)["holdout"]
        == 0.5
        == in_force()
    )
    assert (
        json.loads(platform.call("PATCH", ONE, {"holdout": 0}).content)["holdout"]
        == 0.0
        == in_force()
    )


def test_a_new_plan_holds_nothing_out(platform: Manager) -> None:
    assert platform.create()["holdout"] == 0.0 == in_force()


@pytest.mark.parametrize("share", [-0.01, 0.51, 1, "0.1", None, True, float("nan")])
def test_what_is_no_share_is_refused_with_what_is(platform: Manager, share: object) -> None:
    reply = platform.call("POST", PLANS, {"plan_name": "faq", "holdout": share})
    error = json.loads(reply.content)["error"]
    assert (reply.status_code, error["type"]) == (400, "invalid_request_error")
    assert not Plan.objects.exists()
    if str(share) != "nan":  # which is no JSON
        assert (error["param"], error["message"]) == (
            "holdout",
            "holdout: Must be a number from 0 to 0.5.",
        )


def test_changing_it_empties_no_cache(platform: Manager) -> None:
    platform.create(holdout=0.02)
    [before] = load_config_snapshot().plans.values()
    platform.call("PATCH", ONE, {"holdout": 0.1})
    [after] = load_config_snapshot().plans.values()
    assert (after.version, after.answer_digest) == (before.version + 1, before.answer_digest)


def test_the_form_saves_it_and_says_what_it_costs() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    assert client.post("/admin/plans/plan/add/", PLAN | {"holdout": "0.02"}).status_code == 302
    assert in_force() == 0.02
    page = f"/admin/plans/plan/{Plan.objects.get().pk}/change/"
    assert "It costs you that share of the saving" in client.get(page).content.decode()
    assert client.post(page, PLAN | {"holdout": ""}).status_code == 302
    assert in_force() == 0.0


def test_the_form_refuses_what_the_api_refuses() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    reply = client.post("/admin/plans/plan/add/", PLAN | {"holdout": "0.6"})
    assert "holdout" in reply.context["adminform"].form.errors
    assert not Plan.objects.exists()


def test_the_document_tells_of_it(client: Client) -> None:
    shown = json.loads(client.get("/api/schema?format=json").content)["components"]["schemas"][
        "Plan"
    ]["properties"]["holdout"]
    assert (shown["minimum"], shown["maximum"], shown["default"]) == (0, 0.5, 0.0)
