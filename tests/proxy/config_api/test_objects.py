"""Upstreams, routes, tenants and prices over the API: made by PUT, checked as a file's are."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User

from plans import services
from plans.access import PLATFORM_ADMIN, TENANT_ADMIN, VIEWER
from plans.models import ModelPrice, Plan, Revision, Tenant, VirtualKey
from plans.records import get_row_history
from proxy.models import Route, Upstream
from proxy.upstreams import encryption
from tests.support.management import Manager, manager, refused
from tests.support.people import person, session

pytestmark = pytest.mark.django_db

UPSTREAMS, ROUTES = "/token-saving/upstreams", "/token-saving/routes"
TENANTS, PRICES = "/token-saving/tenants", "/token-saving/prices"
OPENAI = {"base_url": "https://api.openai.com/v1", "key": "sk-a-provider-key"}
BODIES: dict[str, dict[str, Any]] = {
    f"{UPSTREAMS}/openai": OPENAI,
    f"{ROUTES}/smart/balanced": {"upstream": "openai", "model": "gpt-4o-mini"},
    f"{TENANTS}/acme": {"name": "Acme Inc", "routes": ["smart/balanced"]},
    f"{PRICES}/openai/gpt-of-ours": {"input": 1.25, "output": "10"},
}


def read_state() -> list[Any]:
    return [
        list(model.objects.order_by("pk").values())
        for model in (Upstream, Route, Tenant, Plan, VirtualKey, ModelPrice, Revision)
    ]


@pytest.fixture
def filled(platform: Manager) -> Manager:
    for path, body in BODIES.items():
        assert platform.call("PUT", path, body).status_code == 201
    return platform


def put(caller: Manager, path: str, body: Any, status: int = 200) -> Any:
    reply = caller.call("PUT", path, body)
    assert reply.status_code == status, reply.content
    return json.loads(reply.content)


def test_a_put_makes_what_is_not_there_and_changes_nothing_the_second_time(
    platform: Manager,
) -> None:
    for path, body in BODIES.items():
        made = put(platform, path, body, 201)
        before = read_state()
        again = platform.call("PUT", path, body)
        assert (again.status_code, again.json()) == (200, made)
        assert read_state() == before
        read = platform.call("GET", path)
        assert (read.json(), read["ETag"]) == (made, again["ETag"])
    assert Route.objects.get().name == "smart/balanced"
    assert made == {
        "name": "openai/gpt-of-ours",
        "provider": "openai",
        "model": "gpt-of-ours",
        "input": "1.250000",
        "output": "10.000000",
        "cached_input": None,
        "cache_write": None,
        "terms": "",
        "edited": True,
        "managed": None,
        "updated_at": made["updated_at"],
    }


def test_what_a_put_leaves_out_takes_its_default_and_a_patch_changes_what_it_names(
    filled: Manager,
) -> None:
    path = f"{TENANTS}/acme"
    assert filled.call("PATCH", path, {"max_entries": 5}).json()["name"] == "Acme Inc"
    assert put(filled, path, {"max_entries": 5})["name"] == ""
    assert Tenant.objects.get().routes == ["*"]


def test_a_provider_key_is_never_returned_and_stays_unless_it_is_given(filled: Manager) -> None:
    path = f"{UPSTREAMS}/openai"
    replies = [
        filled.call("GET", path),
        filled.call("GET", UPSTREAMS),
        filled.call("PUT", path, OPENAI | {"key": "sk-another-one"}),
        filled.call("PUT", f"{path}?dry_run=true", OPENAI),
        filled.call("PATCH", path, {"key": "not printable \x00"}),
        filled.call("PATCH", path, {"key": "file:/etc/passwd"}),
        filled.call("PUT", path, {"base_url": OPENAI["base_url"], "read_timeout": 60}),
    ]
    assert [reply.status_code for reply in replies] == [200, 200, 200, 200, 400, 400, 200]
    for reply in replies:
        assert b"sk-" not in reply.content
        assert b"root:" not in reply.content
    row = Upstream.objects.get()
    assert encryption.decrypt(row.encrypted_key) == "sk-another-one"
    assert "sk-" not in json.dumps(list(get_row_history(row).values()), default=str)
    assert filled.call("PATCH", path, {"key": ""}).json()["has_key"] is False


def test_a_dry_run_answers_the_change_and_makes_none(filled: Manager) -> None:
    before = read_state()
    reply = filled.call("PATCH", f"{ROUTES}/smart/balanced?dry_run=true", {"model": "gpt-4.1-mini"})
    assert reply.json() == {
        "dry_run": True,
        "changes": [
            {
                "action": "update",
                "kind": "route",
                "name": "smart/balanced",
                "fields": {"model": {"before": "gpt-4o-mini", "after": "gpt-4.1-mini"}},
            }
        ],
        "unchanged": 0,
    }
    made = filled.call("PUT", f"{TENANTS}/new?dry_run=true", {})
    assert [each["action"] for each in made.json()["changes"]] == ["create"]
    gone = filled.call("DELETE", f"{PRICES}/openai/gpt-of-ours?dry_run=true")
    assert [each["action"] for each in gone.json()["changes"]] == ["delete"]
    same = filled.call("PUT", f"{UPSTREAMS}/openai?dry_run=true", OPENAI)
    assert (same.json()["changes"], same.json()["unchanged"]) == ([], 1)
    message = refused(
        filled.call("PUT", f"{TENANTS}/x?dry_run=yes", {}), 400, param="dry_run", code=None
    )
    assert "true or false" in message
    assert read_state() == before


@pytest.mark.parametrize(
    ("path", "body", "param", "says"),
    [
        (f"{UPSTREAMS}/x", {"provider": "azure"}, None, "openai.azure.com"),
        (f"{UPSTREAMS}/x", {"base_url": "http://10.0.0.1/v1"}, "base_url", "private"),
        (f"{UPSTREAMS}/x", OPENAI | {"timeout": 5}, "timeout", "Accepted: provider, base_url"),
        (f"{UPSTREAMS}/openai", OPENAI | {"read_timeout": 0}, "read_timeout", "1"),
        (f"{UPSTREAMS}/{'x' * 65}", OPENAI, None, "64"),
        (f"{ROUTES}/x", {"upstream": "nowhere", "model": "m"}, "upstream", "There are: openai"),
        (f"{ROUTES}/a b", {"upstream": "openai", "model": "m"}, None, "Use letters"),
        (
            f"{ROUTES}/x",
            {"upstream": "openai", "model": "m", "default_plan": "none-such"},
            "default_plan",
            "No such plan of the platform",
        ),
        (f"{TENANTS}/acme", {"routes": ["nowhere"]}, "routes", "No such route: nowhere"),
        (f"{TENANTS}/acme", {"keys": {}}, "keys", "Unknown field"),
        (f"{TENANTS}/no slug", {}, None, "slug"),
        (f"{TENANTS}/acme", ["no", "object"], None, "mapping"),
        (f"{PRICES}/openai", {"input": 1, "output": 1}, None, "<provider>/<model>"),
        (f"{PRICES}/openai/m", {"input": -1, "output": 1}, "input", "0"),
        (f"{PRICES}/openai/m", {"input": "dear", "output": 1}, "input", "US dollars"),
        (f"{TENANTS}/acme", {"reason": 5}, "reason", "line of text"),
    ],
)
def test_what_is_wrong_is_refused_by_field_and_changes_nothing(
    filled: Manager, path: str, body: Any, param: str | None, says: str
) -> None:
    before = read_state()
    assert says in refused(filled.call("PUT", path, body), 400, param=param)
    assert read_state() == before


def test_what_is_used_is_not_deleted_and_the_cause_is_told(filled: Manager) -> None:
    assert "route smart/balanced" in refused(
        filled.call("DELETE", f"{UPSTREAMS}/openai"), 409, code="object_in_use"
    )
    assert "tenant acme" in refused(
        filled.call("DELETE", f"{ROUTES}/smart/balanced"), 409, code="object_in_use"
    )
    key, _ = services.issue_virtual_key(tenant=Tenant.objects.get(), name="web")
    assert "key web" in refused(filled.call("DELETE", f"{TENANTS}/acme"), 409, code="object_in_use")
    services.revoke_key(key=key)
    person("ann", VIEWER, Tenant.objects.get())
    assert "ann of acme" in refused(
        filled.call("DELETE", f"{TENANTS}/acme"), 409, code="object_in_use"
    )
    User.objects.get(username="ann").delete()
    for path in reversed(BODIES):
        assert filled.call("DELETE", path).status_code == 204, path
        assert filled.call("GET", path).status_code == 404
    assert not Upstream.objects.exists()


def test_a_published_price_comes_back_when_its_own_is_deleted(platform: Manager) -> None:
    services.seed_prices()
    before = platform.call("GET", f"{PRICES}/openai/gpt-4o-mini").json()
    put(platform, f"{PRICES}/openai/gpt-4o-mini", {"input": 7, "output": 9})
    edited = platform.call("GET", f"{PRICES}?edited=true").json()["data"]
    assert [each["name"] for each in edited] == ["openai/gpt-4o-mini"]
    assert platform.call("DELETE", f"{PRICES}/openai/gpt-4o-mini").status_code == 204
    after = platform.call("GET", f"{PRICES}/openai/gpt-4o-mini").json()
    assert (after["input"], after["edited"]) == (before["input"], False)


def test_each_change_is_in_the_history_with_its_author_and_reason(filled: Manager) -> None:
    filled.call("PATCH", f"{TENANTS}/acme", {"max_bytes": 9, "reason": "They asked for it"})
    note = get_row_history(Tenant.objects.get()).first()
    assert note is not None
    assert (note.actor, note.history_change_reason) == ("Admin key test", "They asked for it")
    assert (note.max_bytes, note.history_type) == (9, "~")
    row = Upstream.objects.get()
    filled.call("PATCH", f"{UPSTREAMS}/openai", {"read_timeout": 60, "reason": "It hangs"})
    note = get_row_history(row).first()
    assert note is not None
    assert (note.actor, note.history_change_reason) == ("Admin key test", "It hangs")


def test_a_version_that_was_read_guards_a_change(filled: Manager) -> None:
    path = f"{TENANTS}/acme"
    read = filled.call("GET", path)["ETag"]
    changed = filled.client.patch(
        path, {"name": "A"}, "application/json", headers={"if-match": read}
    )
    assert changed.status_code == 200
    for method in ("patch", "put", "delete"):
        reply = getattr(filled.client, method)(
            path, {"name": "B"}, "application/json", headers={"if-match": read}
        )
        refused(reply, 412, param="If-Match", code="precondition_failed")
    only_new = filled.client.put(path, {}, "application/json", headers={"if-none-match": "*"})
    refused(only_new, 412, param="If-None-Match", code="precondition_failed")
    gone = filled.client.put(f"{TENANTS}/other", {}, "application/json", headers={"if-match": "*"})
    refused(gone, 412, param="If-Match", code="precondition_failed")
    assert Tenant.objects.get().name == "A"


def test_lists_come_in_pages(platform: Manager) -> None:
    for slug in ("c", "a", "e", "b", "d"):
        put(platform, f"{TENANTS}/{slug}", {}, 201)
    found, after = [], ""
    while after is not None:
        page = platform.call("GET", f"{TENANTS}?limit=2&after={after}").json()
        found += [each["slug"] for each in page["data"]]
        assert page["has_more"] is (page["next"] is not None)
        after = page["next"]
    assert found == ["a", "b", "c", "d", "e"]
    for limit in ("0", "1001", "two"):
        refused(platform.call("GET", f"{TENANTS}?limit={limit}"), 400, param="limit")


def test_names_that_no_object_has_are_not_found(platform: Manager) -> None:
    codes = {
        f"{UPSTREAMS}/x": ("upstream", "object_not_found"),
        f"{ROUTES}/x": ("route", "object_not_found"),
        f"{PRICES}/x/y": ("price", "object_not_found"),
        f"{TENANTS}/x": ("tenant", "tenant_not_found"),
        f"{UPSTREAMS}/x%00y": ("upstream", "object_not_found"),
        f"{ROUTES}/{'x' * 400}": ("route", "object_not_found"),
    }
    for path, (param, code) in codes.items():
        for method in ("GET", "DELETE"):
            refused(platform.call(method, path), 404, param=param, code=code)
        refused(platform.call("PATCH", path, {}), 404, param=param, code=code)


def test_a_tenant_sees_itself_and_prices_and_changes_neither(filled: Manager) -> None:
    own = manager(Tenant.objects.create(slug="rival"))
    assert [each["slug"] for each in own.call("GET", TENANTS).json()["data"]] == ["rival"]
    refused(own.call("GET", f"{TENANTS}/acme"), 404, param="tenant", code="tenant_not_found")
    assert own.call("GET", f"{PRICES}/openai/gpt-of-ours").status_code == 200
    before = read_state()
    for path, body in BODIES.items():
        for method in ("PUT", "PATCH", "DELETE"):
            reply = own.call(method, path, None if method == "DELETE" else body)
            refused(reply, 403, code="permission_denied")
    for path in (UPSTREAMS, ROUTES, f"{UPSTREAMS}/openai", f"{ROUTES}/smart/balanced"):
        refused(own.call("GET", path), 403, code="permission_denied")
    assert read_state() == before


@pytest.mark.parametrize(
    ("group", "tenant", "reads", "writes"),
    [
        (PLATFORM_ADMIN, False, {*BODIES}, {*BODIES}),
        (TENANT_ADMIN, True, {f"{TENANTS}/acme", f"{PRICES}/openai/gpt-of-ours"}, set()),
        (VIEWER, False, set(), set()),
    ],
)
def test_people_may_do_what_their_role_says(
    filled: Manager, group: str, tenant: bool, reads: set[str], writes: set[str]
) -> None:
    client = session(person("ann", group, Tenant.objects.get() if tenant else None))
    for path, body in BODIES.items():
        assert (client.get(path).status_code == 200) is (path in reads), path
        reply = client.put(path, body, "application/json")
        assert (reply.status_code == 200) is (path in writes), path
