"""Virtual keys over the API: given or generated, paused, rotated, listed with their last use."""

import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from plans import selectors, services
from plans.access import TENANT_ADMIN, VIEWER
from plans.models import Tenant, VirtualKey
from plans.records import get_row_history
from tests.support.events import make_event
from tests.support.management import Manager, manager, refused
from tests.support.people import person, session
from tests.support.recorded import store

pytestmark = pytest.mark.django_db
KEYS = "/token-saving/keys"


def secret() -> str:
    return f"tt-{secrets.token_urlsafe(32)}"


def put(caller: Manager, path: str, body: Any, status: int = 201) -> Any:
    reply = caller.call("PUT", path, body)
    assert reply.status_code == status, reply.content
    return json.loads(reply.content)


def find_snapshot(secret: str) -> Any:
    from plans.key_rotation import compute_digest

    return selectors.load_live_keys().get(compute_digest(secret))


def test_a_key_is_generated_and_its_secret_is_shown_this_once(
    platform: Manager, acme: Tenant
) -> None:
    reply = platform.call("PUT", f"{KEYS}/web?tenant=acme", {"routes": []})
    made = reply.json()
    assert reply.status_code == 201
    assert reply["Cache-Control"] == "no-store"
    assert find_snapshot(made["secret"]).name == "web"
    assert made["prefix"] == made["secret"][:9]
    for again in (
        platform.call("PUT", f"{KEYS}/web?tenant=acme", {"routes": []}),
        platform.call("GET", f"{KEYS}/web?tenant=acme"),
        platform.call("GET", KEYS),
    ):
        assert again.status_code == 200
        assert made["secret"].encode() not in again.content
    assert VirtualKey.objects.count() == 1


def test_a_given_secret_must_be_strong_and_is_never_told_back(
    platform: Manager, acme: Tenant
) -> None:
    given = secret()
    for weak in ("tt-password", f"tt-{'a' * 43}", given[:-1], 5):
        message = refused(
            platform.call("PUT", f"{KEYS}/web?tenant=acme", {"secret": weak}), 400, param="secret"
        )
        assert str(weak) not in message
    made = put(platform, f"{KEYS}/web?tenant=acme", {"secret": given})
    assert "secret" not in made
    assert put(platform, f"{KEYS}/web?tenant=acme", {"secret": given}, 200) == made
    assert find_snapshot(given).name == "web"
    refused(
        platform.call("PUT", f"{KEYS}/other?tenant=acme", {"secret": given}), 400, param="secret"
    )
    dry = platform.call("PUT", f"{KEYS}/dry?tenant=acme&dry_run=true", {})
    assert [each["action"] for each in dry.json()["changes"]] == ["create"]
    assert b"secret" not in dry.content
    row = VirtualKey.objects.get()
    assert given not in json.dumps(list(get_row_history(row).values()), default=str)


def test_a_key_is_paused_and_resumed(platform: Manager, acme: Tenant) -> None:
    made = put(platform, f"{KEYS}/web?tenant=acme", {})
    path = f"{KEYS}/{made['id']}"
    paused = platform.call("PATCH", path, {"paused": True, "reason": "Leaked?"}).json()
    assert (paused["paused"], paused["state"]) == (True, "paused")
    assert find_snapshot(made["secret"]).paused
    note = get_row_history(VirtualKey.objects.get()).first()
    assert note is not None
    assert (note.actor, note.history_change_reason) == ("Admin key test", "Leaked?")
    assert platform.call("PATCH", path, {"paused": False}).json()["state"] == "live"
    assert not find_snapshot(made["secret"]).paused


def test_a_rotated_keys_former_secret_works_until_its_moment(
    platform: Manager, acme: Tenant
) -> None:
    plan = platform.call("POST", "/token-saving/plans", {"plan_name": "everywhere"})
    assert plan.status_code == 201
    made = put(platform, f"{KEYS}/web?tenant=acme", {"default_plan": "everywhere"})
    reply = platform.call("POST", f"{KEYS}/web/rotate?tenant=acme", {"overlap": 3600})
    assert reply.status_code == 201, reply.content
    assert reply["Cache-Control"] == "no-store"
    new = reply.json()
    assert (new["former"]["id"], new["former"]["state"]) == (made["id"], "replaced")
    assert new["former"]["replaced_by"] == new["id"]
    ends = datetime.fromisoformat(new["former"]["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < ends <= timedelta(hours=1)
    old, fresh = find_snapshot(made["secret"]), find_snapshot(new["secret"])
    assert (old.name, old.default_plan_id) == (fresh.name, fresh.default_plan_id)
    assert old.default_plan_id is not None
    assert [each["id"] for each in platform.call("GET", KEYS).json()["data"]] == [
        made["id"],
        new["id"],
    ]
    # What holds for the key holds for both secrets; by its name, the new one is meant.
    assert (
        platform.call("PATCH", f"{KEYS}/web?tenant=acme", {"paused": True}).json()["id"]
        == (new["id"])
    )
    assert find_snapshot(made["secret"]).paused
    refused(platform.call("PATCH", f"{KEYS}/{made['id']}", {"paused": False}), 400, param="key")
    again = platform.call("POST", f"{KEYS}/{made['id']}/rotate", {})
    refused(again, 409, param="key", code="key_not_live")
    third = platform.call("POST", f"{KEYS}/web/rotate?tenant=acme", {"overlap": 0}).json()
    assert third["former"]["state"] == "revoked"
    assert find_snapshot(new["secret"]) is None
    assert VirtualKey.objects.get(pk=made["id"]).successor_id == third["id"]
    assert platform.call("DELETE", f"{KEYS}/web?tenant=acme").status_code == 204
    assert selectors.load_live_keys() == {}


def test_a_dry_rotation_tells_and_changes_nothing(platform: Manager, acme: Tenant) -> None:
    put(platform, f"{KEYS}/web?tenant=acme", {})
    before = list(VirtualKey.objects.values())
    reply = platform.call("POST", f"{KEYS}/web/rotate?tenant=acme&dry_run=true", {"overlap": 60})
    assert [each["action"] for each in reply.json()["changes"]] == ["create", "update"]
    assert b"secret" not in reply.content
    assert list(VirtualKey.objects.values()) == before


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"overlap": -1}, "overlap"),
        ({"overlap": 91 * 86400}, "overlap"),
        ({"overlap": "1h"}, "overlap"),
        ({"overlap": True}, "overlap"),
        ({"secret": "tt-weak"}, "secret"),
        ({"secret": None}, "secret"),
        ({"until": "tomorrow"}, "until"),
        ([], None),
    ],
)
def test_a_bad_rotation_is_refused(
    platform: Manager, acme: Tenant, body: Any, param: str | None
) -> None:
    put(platform, f"{KEYS}/web?tenant=acme", {})
    refused(platform.call("POST", f"{KEYS}/web/rotate?tenant=acme", body), 400, param=param)
    assert VirtualKey.objects.count() == 1


def test_another_given_secret_replaces_the_former_one_with_an_overlap(
    platform: Manager, acme: Tenant
) -> None:
    first, second = secret(), secret()
    put(platform, f"{KEYS}/web?tenant=acme", {"secret": first})
    put(platform, f"{KEYS}/web?tenant=acme", {"secret": second, "overlap": 600}, 200)
    assert find_snapshot(first).name == find_snapshot(second).name == "web"
    assert {each.state for each in VirtualKey.objects.all()} == {"live", "replaced"}


def test_keys_are_listed_with_their_last_use(platform: Manager, acme: Tenant) -> None:
    used = put(platform, f"{KEYS}/web?tenant=acme", {})
    unused = put(platform, f"{KEYS}/batch?tenant=acme", {})
    store(make_event(tenant_id=acme.pk, tenant="acme", key_id=used["id"], key="web"))
    listed = {each["id"]: each for each in platform.call("GET", KEYS).json()["data"]}
    at = datetime.fromisoformat(listed[used["id"]]["last_used_at"])
    assert abs(timezone.now() - at) < timedelta(minutes=1)
    assert listed[used["id"]]["requests_24h"] == 1
    assert (listed[unused["id"]]["last_used_at"], listed[unused["id"]]["requests_24h"]) == (None, 0)


def test_revoked_keys_are_listed_apart(platform: Manager, acme: Tenant) -> None:
    made = put(platform, f"{KEYS}/web?tenant=acme", {})
    assert platform.call("DELETE", f"{KEYS}/web?tenant=acme").status_code == 204
    assert platform.call("GET", KEYS).json()["data"] == []
    (gone,) = platform.call("GET", f"{KEYS}?revoked=true").json()["data"]
    assert (gone["id"], gone["state"]) == (made["id"], "revoked")
    refused(platform.call("GET", f"{KEYS}/web"), 404, param="key", code="key_not_found")
    refused(platform.call("GET", f"{KEYS}?revoked=1"), 400, param="revoked")


def test_a_name_that_several_keys_have_takes_the_id(platform: Manager, acme: Tenant) -> None:
    rows = [services.issue_virtual_key(tenant=acme, name="web")[0] for _ in range(2)]
    refused(platform.call("PATCH", f"{KEYS}/web", {}), 400, param="key")
    assert platform.call("PATCH", f"{KEYS}/{rows[0].pk}", {"paused": True}).status_code == 200
    assert [VirtualKey.objects.get(pk=row.pk).paused for row in rows] == [True, False]
    refused(platform.call("PUT", f"{KEYS}/new", {}), 400, param="tenant")
    refused(
        platform.call("PUT", f"{KEYS}/999999?tenant=acme", {}),
        404,
        param="key",
        code="key_not_found",
    )


def test_a_tenant_manages_its_own_keys_alone(
    platform: Manager, acme: Tenant, rival: Tenant
) -> None:
    theirs = put(platform, f"{KEYS}/theirs?tenant=rival", {})
    own = manager(acme)
    mine = put(own, f"{KEYS}/mine", {})
    assert mine["tenant"] == "acme"
    assert [each["id"] for each in own.call("GET", KEYS).json()["data"]] == [mine["id"]]
    for name in ("theirs", str(theirs["id"])):
        for method, path in (
            ("GET", name),
            ("PATCH", name),
            ("DELETE", name),
            ("POST", f"{name}/rotate"),
        ):
            body: Any = {} if method in {"PATCH", "POST"} else None
            reply = own.call(method, f"{KEYS}/{path}", body)
            refused(reply, 404, param="key", code="key_not_found")
    refused(
        own.call("PUT", f"{KEYS}/x?tenant=rival", {}), 404, param="tenant", code="tenant_not_found"
    )
    Tenant.objects.filter(pk=acme.pk).update(routes=["granted"])
    assert "may not use" in refused(
        own.call("PUT", f"{KEYS}/mine", {"routes": ["nowhere"]}), 400, param="routes"
    )


def test_people_may_do_what_their_role_says(acme: Tenant) -> None:
    services.issue_virtual_key(tenant=acme, name="web")
    boss = session(person("ann", TENANT_ADMIN, acme))
    assert boss.patch(f"{KEYS}/web", {"paused": True}, "application/json").status_code == 200
    assert boss.post(f"{KEYS}/web/rotate", {}, "application/json").status_code == 201
    guest = session(person("bob", VIEWER, acme))
    assert guest.get(KEYS).status_code == 403
    assert guest.post(f"{KEYS}/web/rotate", {}, "application/json").status_code == 403
