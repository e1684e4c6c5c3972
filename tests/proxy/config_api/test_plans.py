"""Plans by PUT, dry runs and versions; what else the API of plans does is in tests/plans/api."""

import json
from typing import Any

import pytest

from plans.models import Plan, Revision, Tenant
from plans.records import get_row_history
from tests.support.management import PLANS, Manager, refused

pytestmark = pytest.mark.django_db
FAQ = f"{PLANS}/faq"


def put(caller: Manager, body: Any, status: int = 200, query: str = "") -> Any:
    reply = caller.call("PUT", FAQ + query, body)
    assert reply.status_code == status, reply.content
    return json.loads(reply.content)


def read_state() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (Plan, Revision)]


def test_a_put_makes_a_plan_and_takes_defaults_for_what_it_leaves_out(platform: Manager) -> None:
    made = put(platform, {"cache": {"ttl": 60}, "holdout": 0.1}, 201)
    assert (made["plan_name"], made["cache"]["ttl"], made["version"]) == ("faq", 60, 1)
    before = read_state()
    assert put(platform, {"cache": {"ttl": 60}, "holdout": 0.1}) == made
    assert read_state() == before
    again = put(platform, {"cache": {"ttl": 60}, "reason": "No holdout any more"})
    assert (again["holdout"], again["version"]) == (0.0, 2)
    note = get_row_history(Plan.objects.get()).first()
    assert note is not None
    assert (note.actor, note.history_change_reason) == ("Admin key test", "No holdout any more")


def test_a_put_of_a_preset_says_what_it_could_not_fill_in(platform: Manager) -> None:
    made = put(platform, {"preset": "balanced"}, 201)
    posted = platform.create(plan_name="other", preset="balanced")
    different = {"plan_name", "version", "created_at", "updated_at"}
    assert {name: value for name, value in made.items() if name not in different} == {
        name: value for name, value in posted.items() if name not in different
    }


def test_a_bad_put_is_refused_as_a_bad_post_is(platform: Manager) -> None:
    for body, param in (
        ({"cache": {"ttl": -1}}, "cache.ttl"),
        ({"plan_name": "other"}, "plan_name"),
        ({"version": 1}, "version"),
        ({"cache": 5}, "cache"),
        ([], None),
    ):
        refused(platform.call("PUT", FAQ, body), 400, param=param)
    refused(platform.call("PUT", f"{PLANS}/no plan", {}), 400, param="plan_name")
    assert not Plan.objects.exists()


def test_a_dry_run_of_each_method_tells_its_change_and_makes_none(platform: Manager) -> None:
    platform.create(plan_name="faq", cache={"ttl": 60})
    before = read_state()
    patched = platform.call("PATCH", f"{FAQ}?dry_run=true", {"cache": {"ttl": 90}}).json()
    assert patched["changes"][0]["fields"] == {"ttl": {"before": 60, "after": 90}}
    same = platform.call("PATCH", f"{FAQ}?dry_run=true", {"cache": {"ttl": 60}}).json()
    assert (same["changes"], same["unchanged"]) == ([], 1)
    replaced = put(platform, {"cache": {"ttl": 90}}, query="?dry_run=true")
    assert replaced["changes"][0]["fields"] == {"ttl": {"before": 60, "after": 90}}
    gone = platform.call("DELETE", f"{FAQ}?dry_run=true").json()
    assert [each["action"] for each in gone["changes"]] == ["delete"]
    made = platform.call("POST", f"{PLANS}?dry_run=true", {"plan_name": "new"})
    assert (made.status_code, made.json()["changes"][0]["name"]) == (200, "new")
    refused(
        platform.call("PATCH", f"{FAQ}?dry_run=true", {"cache": {"ttl": -1}}),
        400,
        param="cache.ttl",
    )
    assert read_state() == before


def test_the_etag_of_a_plan_is_its_version_and_guards_changes(platform: Manager) -> None:
    platform.create(plan_name="faq")
    assert platform.call("GET", FAQ)["ETag"] == '"1"'
    changed = platform.client.patch(
        FAQ, {"mode": "off"}, "application/json", headers={"if-match": '"1"'}
    )
    assert (changed.status_code, changed["ETag"]) == (200, '"2"')
    for method in ("patch", "put", "delete"):
        reply = getattr(platform.client, method)(
            FAQ, {"mode": "off"}, "application/json", headers={"if-match": '"1"'}
        )
        refused(reply, 412, param="If-Match", code="precondition_failed")
    assert platform.client.delete(FAQ, headers={"if-match": '"2"'}).status_code == 204


def test_plans_are_listed_in_pages(platform: Manager) -> None:
    for name in ("c", "a", "b"):
        platform.create(plan_name=name)
    page = platform.call("GET", f"{PLANS}?limit=2").json()
    assert [each["plan_name"] for each in page["data"]] == ["a", "b"]
    rest = platform.call("GET", f"{PLANS}?limit=2&after={page['next']}").json()
    assert [each["plan_name"] for each in rest["data"]] == ["c"]
    assert (rest["has_more"], rest["next"]) == (False, None)


def test_a_default_plan_is_not_deleted(platform: Manager) -> None:
    platform.create(plan_name="faq")
    Tenant.objects.create(slug="acme", default_plan=Plan.objects.get())
    refused(platform.call("DELETE", FAQ), 409, param="plan", code="plan_in_use")
    refused(platform.call("DELETE", f"{FAQ}?dry_run=true"), 409, param="plan", code="plan_in_use")
