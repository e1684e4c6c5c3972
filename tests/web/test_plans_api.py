"""The management API: who may call it, what it takes, what it refuses."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from plans import rules, services
from plans.models import AdminKey, Plan, Tenant
from plans.serializers import CacheSerializer, CompressionSerializer
from tests.web.management import GUIDE, PLANS, Manager, manager, refused

pytestmark = pytest.mark.django_db

ONE = f"{PLANS}/plan"
CACHE = {
    "exact": True,
    "backend": "pgvector_semantic",
    "similarity_threshold": 0.85,
    "ttl": 3600,
    "scope": "tenant",
    "max_temperature": 1.0,
    "time_sensitive": False,
    "personal": False,
}
COMPRESSION = {"engine": "text_rank", "max_input_tokens": 4096, "language": "english", "min_sentences": 1}


@pytest.fixture
def platform(db: None) -> Manager:
    return manager()


@pytest.fixture
def acme(db: None) -> Tenant:
    return Tenant.objects.create(slug="acme")


# What it takes


def test_the_body_of_the_guide_makes_the_plan_it_describes(platform: Manager) -> None:
    reply = platform.call("POST", PLANS, GUIDE)
    assert reply.status_code == 201, reply.content
    plan = json.loads(reply.content)
    assert plan.pop("created_at") <= plan.pop("updated_at")
    assert plan == {
        "plan_name": "support-bot-cache",
        "mode": "active",
        "compression": COMPRESSION,
        "cache": CACHE | {"backend": "redis_semantic"},
        "version": 1,
        "tenant": None,
    }
    assert reply["Location"] == "/token-saving/plans/support-bot-cache"


def test_a_half_left_out_is_off_when_the_other_is_given(platform: Manager) -> None:
    assert platform.create(plan_name="a", cache={})["compression"] is None
    assert platform.create(plan_name="b", compression={})["cache"] is None
    assert platform.create(plan_name="c", cache={"backend": None})["cache"] == CACHE | {"backend": None}


def test_a_plan_that_gives_neither_half_takes_both_with_their_defaults(platform: Manager) -> None:
    plan = platform.create()
    assert (plan["compression"], plan["cache"]) == (COMPRESSION, CACHE)
    assert platform.create(plan_name="b", compression=None)["cache"] == CACHE
    plan = platform.create(plan_name="c", compression=None, cache=None, mode="off")
    assert (plan["compression"], plan["cache"], plan["mode"]) == (None, None, "off")


def test_plans_are_listed_read_and_deleted(platform: Manager) -> None:
    platform.create(plan_name="b")
    made = platform.create(plan_name="a")
    listed = json.loads(platform.call("GET", PLANS).content)
    assert listed["object"] == "list"
    assert [plan["plan_name"] for plan in listed["data"]] == ["a", "b"]
    assert json.loads(platform.call("GET", f"{PLANS}/a").content) == made
    reply = platform.call("DELETE", f"{PLANS}/a")
    assert (reply.status_code, reply.content) == (204, b"")
    refused(platform.call("GET", f"{PLANS}/a"), 404, param="plan", code="plan_not_found")
    refused(platform.call("DELETE", f"{PLANS}/a"), 404, param="plan", code="plan_not_found")


@pytest.mark.parametrize("path", ["/plans", "/plans/plan", "/cache-engines", "/compression-engines"])
def test_every_path_answers_with_and_without_a_slash(platform: Manager, path: str) -> None:
    platform.create()
    with_slash, without = (platform.call("GET", f"/token-saving{path}{end}") for end in ("", "/"))
    assert with_slash.status_code == without.status_code == 200
    assert with_slash.content == without.content


def test_a_body_posted_to_the_path_with_a_slash_is_not_lost_in_a_redirect(platform: Manager) -> None:
    assert platform.call("POST", f"{PLANS}/", {"plan_name": "x"}).status_code == 201
    assert platform.call("PATCH", f"{PLANS}/x/", {"mode": "off"}).status_code == 200


def test_the_engines_say_whether_they_answer(platform: Manager) -> None:
    backends = {engine["name"]: engine for engine in json.loads(platform.call("GET", "/token-saving/cache-engines").content)["data"]}
    assert backends["pgvector_semantic"]["available"]
    assert backends["redis_semantic"]["available"]
    assert not backends["qdrant_semantic"]["available"]
    assert "not available in this version" in backends["qdrant_semantic"]["reason"]
    listed = json.loads(platform.call("GET", "/token-saving/compression-engines").content)
    assert {engine["name"] for engine in listed["data"]} == {"trim", "text_rank", "lex_rank", "lsa"}
    assert "english" in listed["languages"]


# Changing


def test_a_patch_changes_only_the_fields_it_names(platform: Manager) -> None:
    before = platform.create()
    after = json.loads(platform.call("PATCH", ONE, {"cache": {"ttl": 60}}).content)
    assert after["cache"] == CACHE | {"ttl": 60}
    assert (after["compression"], after["mode"]) == (before["compression"], before["mode"])
    assert after["version"] == before["version"] + 1
    assert after["updated_at"] > before["updated_at"]


def test_null_turns_a_half_off_and_an_object_turns_it_on_with_defaults(platform: Manager) -> None:
    platform.create(cache={"ttl": 60})
    assert json.loads(platform.call("PATCH", ONE, {"cache": None}).content)["cache"] is None
    assert json.loads(platform.call("PATCH", ONE, {"cache": {"scope": "key"}}).content)["cache"] == CACHE | {"scope": "key"}
    assert json.loads(platform.call("PATCH", ONE, {"compression": {"engine": "trim"}}).content)["compression"] == COMPRESSION | {
        "engine": "trim"
    }


def test_a_patch_that_changes_nothing_keeps_the_version(platform: Manager) -> None:
    platform.create()
    assert json.loads(platform.call("PATCH", ONE, {}).content)["version"] == 1
    assert json.loads(platform.call("PATCH", ONE, {"cache": {"ttl": 3600}}).content)["version"] == 1


def test_a_patch_that_would_break_the_plan_changes_nothing(platform: Manager) -> None:
    before = platform.create()
    refused(
        platform.call("PATCH", ONE, {"mode": "off", "cache": {"ttl": 60, "similarity_threshold": 2}}),
        400,
        param="cache.similarity_threshold",
    )
    assert json.loads(platform.call("GET", ONE).content) == before


def test_a_version_in_the_patch_is_checked(platform: Manager) -> None:
    platform.create()
    assert platform.call("PATCH", ONE, {"version": 1, "mode": "off"}).status_code == 200
    message = refused(platform.call("PATCH", ONE, {"version": 1, "mode": "active"}), 409, param="version", code="version_conflict")
    assert "version 2" in message
    for wrong in ("2", True, None, 2.0):
        refused(platform.call("PATCH", ONE, {"version": wrong}), 400, param="version")


def test_a_plan_can_be_renamed_to_a_free_name(platform: Manager) -> None:
    platform.create()
    platform.create(plan_name="other")
    refused(platform.call("PATCH", ONE, {"plan_name": "other"}), 409, param="plan_name", code="plan_name_taken")
    assert json.loads(platform.call("PATCH", ONE, {"plan_name": "free"}).content)["plan_name"] == "free"
    assert platform.call("GET", ONE).status_code == 404


def test_a_name_is_taken_once_per_owner(platform: Manager, acme: Tenant) -> None:
    platform.create()
    refused(platform.call("POST", PLANS, {"plan_name": "plan"}), 409, param="plan_name", code="plan_name_taken")
    assert platform.call("POST", f"{PLANS}?tenant=acme", {"plan_name": "plan"}).status_code == 201
    refused(platform.call("POST", f"{PLANS}?tenant=acme", {"plan_name": "plan"}), 409, param="plan_name", code="plan_name_taken")


# Bad input

WRONG_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"nonsense": 1}, "nonsense"),
    ({"mode": "shadow"}, "mode"),
    ({"mode": "ACTIVE"}, "mode"),
    ({"mode": None}, "mode"),
    ({"compression": []}, "compression"),
    ({"compression": "text_rank"}, "compression"),
    ({"compression": {"engine": "bert"}}, "compression.engine"),
    ({"compression": {"engine": None}}, "compression.engine"),
    ({"compression": {"max_input_tokens": 63}}, "compression.max_input_tokens"),
    ({"compression": {"max_input_tokens": 2**31}}, "compression.max_input_tokens"),
    ({"compression": {"max_input_tokens": 10**30}}, "compression.max_input_tokens"),
    ({"compression": {"max_input_tokens": True}}, "compression.max_input_tokens"),
    ({"compression": {"max_input_tokens": "4096"}}, "compression.max_input_tokens"),
    ({"compression": {"max_input_tokens": 4096.0}}, "compression.max_input_tokens"),
    ({"compression": {"language": "klingon"}}, "compression.language"),
    ({"compression": {"language": ["english"]}}, "compression.language"),
    ({"compression": {"min_sentences": 0}}, "compression.min_sentences"),
    ({"compression": {"ttl": 60}}, "compression.ttl"),
    ({"compression": {"when": "saves"}}, "compression.when"),
    ({"compression": {"focus": "question"}}, "compression.focus"),
    ({"cache": True}, "cache"),
    ({"cache": {"similarity_threshold": 1.01}}, "cache.similarity_threshold"),
    ({"cache": {"similarity_threshold": -0.1}}, "cache.similarity_threshold"),
    ({"cache": {"similarity_threshold": "0.85"}}, "cache.similarity_threshold"),
    ({"cache": {"similarity_threshold": True}}, "cache.similarity_threshold"),
    ({"cache": {"similarity_threshold": None}}, "cache.similarity_threshold"),
    ({"cache": {"ttl": 0}}, "cache.ttl"),
    ({"cache": {"ttl": -1}}, "cache.ttl"),
    ({"cache": {"ttl": 2**31}}, "cache.ttl"),
    ({"cache": {"ttl": 1.5}}, "cache.ttl"),
    ({"cache": {"exact": "yes"}}, "cache.exact"),
    ({"cache": {"exact": 1}}, "cache.exact"),
    ({"cache": {"exact": False, "backend": None}}, "cache.exact"),
    ({"cache": {"backend": "faiss"}}, "cache.backend"),
    ({"cache": {"backend": "qdrant_semantic"}}, "cache.backend"),
    ({"cache": {"backend": ""}}, "cache.backend"),
    ({"cache": {"backend": 1}}, "cache.backend"),
    ({"cache": {"scope": "world"}}, "cache.scope"),
    ({"cache": {"max_temperature": 2.1}}, "cache.max_temperature"),
    ({"cache": {"context": "window"}}, "cache.context"),
    ({"cache": {"match": "verified"}}, "cache.match"),
    ({"cache": {"personal": 0}}, "cache.personal"),
    ({"holdout": 0.1}, "holdout"),
    ({"bindings": []}, "bindings"),
    ({"rate_limit": 5}, "rate_limit"),
    ({"budget": 5}, "budget"),
    ({"shadow": True}, "shadow"),
    ({"tenant": "acme"}, "tenant"),
    ({"created_at": "now"}, "created_at"),
]


@pytest.mark.parametrize(("fields", "param"), WRONG_FIELDS, ids=[json.dumps(fields) for fields, _ in WRONG_FIELDS])
def test_a_wrong_field_is_refused_by_name_when_a_plan_is_made_or_changed(platform: Manager, fields: dict[str, Any], param: str) -> None:
    message = refused(platform.call("POST", PLANS, {"plan_name": "new"} | fields), 400, param=param)
    assert param in message
    platform.create()
    refused(platform.call("PATCH", ONE, fields), 400, param=param)
    assert Plan.objects.count() == 1
    assert Plan.objects.get().version == 1


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "a/b", "ä", "a" * 65, "a\n", "a\x00b", "\ud800", None, 1, True, ["a"]])
def test_a_bad_name_is_refused(platform: Manager, name: Any) -> None:
    refused(platform.call("POST", PLANS, {"plan_name": name}), 400, param="plan_name")


def test_a_name_must_be_given(platform: Manager) -> None:
    assert "required" in refused(platform.call("POST", PLANS, {}), 400, param="plan_name")
    refused(platform.call("POST", PLANS), 400, param="plan_name")


def test_what_a_later_version_brings_is_refused_as_such(platform: Manager) -> None:
    for fields in ({"mode": "shadow"}, {"cache": {"backend": "qdrant_semantic"}}, {"cache": {"context": "strict"}}, {"holdout": 1}):
        assert "not available in this version" in platform.call("POST", PLANS, {"plan_name": "x"} | fields).content.decode().lower()


def test_every_field_at_fault_is_named_in_the_message(platform: Manager) -> None:
    reply = platform.call("POST", PLANS, {"plan_name": "x", "compression": {"engine": "bert"}, "cache": {"ttl": 0, "nope": 1}})
    message = refused(reply, 400, param="compression.engine")
    for part in ("compression.engine", "text_rank", "cache.ttl", "cache.nope"):
        assert part in message


BROKEN_BODIES = {
    "cut": b'{"plan_name": ',
    "nan": b'{"plan_name": "x", "cache": {"similarity_threshold": NaN}}',
    "infinity": b'{"plan_name": "x", "cache": {"similarity_threshold": -Infinity}}',
    "not utf-8": b'{"plan_name": "\xff"}',
    "deep": b'{"a":' * 30_000 + b"1" + b"}" * 30_000,
    "digits": b'{"plan_name": "x", "cache": {"ttl": ' + b"9" * 5000 + b"}}",
}


@pytest.mark.parametrize("name", BROKEN_BODIES)
def test_a_body_that_is_not_json_is_refused(platform: Manager, name: str) -> None:
    reply = platform.call("POST", PLANS, BROKEN_BODIES[name])
    if name == "deep":  # also larger than any plan
        refused(reply, 413, code="request_too_large")
    else:
        assert "JSON" in refused(reply, 400)


def test_depth_a_small_body_can_reach_is_refused(platform: Manager) -> None:
    refused(platform.call("POST", PLANS, b"[" * 60_000), 400)
    nested = b'{"plan_name": "x", "cache": ' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    assert platform.call("POST", PLANS, nested).status_code == 400


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"1", b"null", b"true"])
def test_json_that_is_not_an_object_is_refused(platform: Manager, body: bytes) -> None:
    refused(platform.call("POST", PLANS, body), 400)
    platform.create()
    refused(platform.call("PATCH", ONE, body), 400)


def test_a_number_too_large_for_a_float_is_refused(platform: Manager) -> None:
    reply = platform.call("POST", PLANS, b'{"plan_name": "x", "cache": {"similarity_threshold": 1e999}}')
    refused(reply, 400, param="cache.similarity_threshold")


def test_a_field_name_of_lone_surrogates_and_controls_is_refused_in_printable_form(platform: Manager) -> None:
    refused(platform.call("POST", PLANS, b'{"plan_name": "x", "\\ud800\\u0000<b>": 1}'), 400, param="??<b>")


def test_other_content_types_are_refused(platform: Manager) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
        reply = platform.client.generic("POST", PLANS, json.dumps(GUIDE), content_type=kind)
        refused(reply, 415, code="unsupported_media_type")
    reply = platform.client.generic("POST", PLANS, json.dumps(GUIDE), content_type="application/json; charset=nonsense")
    assert reply.status_code == 201


def test_a_body_over_the_limit_is_refused(platform: Manager) -> None:
    refused(platform.call("POST", PLANS, b'{"plan_name": "x"' + b" " * 70_000 + b"}"), 413, code="request_too_large")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_a_method_that_a_path_does_not_know_is_refused(platform: Manager, method: str) -> None:
    reply = platform.call(method, PLANS, {})
    refused(reply, 405, code="method_not_allowed")
    assert "POST" in reply["Allow"]


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/plans/a/b/c", "/plans//", "/cache-engines/x"])
def test_an_unknown_path_gets_the_error_object(platform: Manager, path: str) -> None:
    refused(platform.call("GET", f"/token-saving{path}"), 404, code="unknown_url")
    refused(Manager("nobody").call("GET", f"/token-saving{path}"), 401, code="invalid_api_key")


@pytest.mark.parametrize("name", ["%00", "a%00b", "%ED%A0%80", "%FF", "a" * 300, "a%20b", "%F0%9F%98%80"])
def test_a_strange_name_in_the_path_is_an_unknown_plan(platform: Manager, name: str) -> None:
    refused(platform.call("GET", f"{PLANS}/{name}"), 404, param="plan", code="plan_not_found")


@pytest.mark.parametrize("slug", ["nobody", "%00", "%ED%A0%80", "a" * 300, "acme%00"])
def test_a_strange_or_unknown_tenant_is_not_found(platform: Manager, acme: Tenant, slug: str) -> None:
    refused(platform.call("GET", f"{PLANS}?tenant={slug}"), 404, param="tenant", code="tenant_not_found")


def test_a_wrong_host_gets_the_error_object(platform: Manager, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["here.example"]
    refused(platform.client.get(PLANS, headers={"host": "there.example"}), 400)


# Backends as they answer now


def test_a_backend_that_does_not_answer_is_refused_with_the_reason(platform: Manager, settings: Settings) -> None:
    settings.REDIS_SEMANTIC_URL = "redis://:hidden@127.0.0.1:1/0"
    message = refused(platform.call("POST", PLANS, GUIDE), 400, param="cache.backend")
    assert "127.0.0.1:1 does not answer" in message
    assert "hidden" not in message


def test_a_plan_on_a_backend_that_went_away_can_still_be_changed(platform: Manager, settings: Settings) -> None:
    platform.create(cache={"backend": "redis_semantic"})
    settings.REDIS_SEMANTIC_URL = "redis://127.0.0.1:1/0"
    assert platform.call("PATCH", ONE, {"cache": {"ttl": 60}}).status_code == 200
    assert platform.call("PATCH", ONE, {"cache": {"backend": None}}).status_code == 200
    refused(platform.call("PATCH", ONE, {"cache": {"backend": "redis_semantic"}}), 400, param="cache.backend")


# Who may call


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer x", "Basic eDp5", "bearer tta-" + "A" * 43, "Bearer tta-" + "A" * 44, "Bearer \xe9"]
)
def test_without_a_valid_admin_key_nothing_opens(client: Client, header: str) -> None:
    for method, path in (("GET", PLANS), ("POST", PLANS), ("PATCH", ONE), ("DELETE", ONE), ("GET", "/token-saving/cache-engines")):
        reply = client.generic(method, path, "{", "application/json", headers={"authorization": header} if header else None)
        refused(reply, 401, code="invalid_api_key")
        assert reply["WWW-Authenticate"].startswith("Bearer")


def test_a_malformed_key_is_refused_before_any_look_up(client: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert client.get(PLANS, headers={"authorization": "Bearer tta-short"}).status_code == 401


def test_a_virtual_key_does_not_open_the_management_api(acme: Tenant) -> None:
    _, secret = services.issue_virtual_key(tenant=acme, name="sdk")
    refused(Manager(secret).call("GET", PLANS), 401, code="invalid_api_key")


def test_a_revoked_admin_key_is_refused_at_once(platform: Manager) -> None:
    assert platform.call("GET", PLANS).status_code == 200
    services.revoke(key=AdminKey.objects.get())
    refused(platform.call("GET", PLANS), 401, code="invalid_api_key")


def test_the_admin_key_of_the_environment_is_the_platforms(settings: Settings) -> None:
    settings.ADMIN_KEY = "a key of the operator's own making"
    assert Manager(settings.ADMIN_KEY).create()["tenant"] is None
    assert Manager(settings.ADMIN_KEY + "x").call("GET", PLANS).status_code == 401
    settings.ADMIN_KEY = ""
    assert Manager("").call("GET", PLANS).status_code == 401


def test_two_tenants_never_see_each_others_plans(platform: Manager, acme: Tenant) -> None:
    other = Tenant.objects.create(slug="other")
    ours, theirs = manager(acme), manager(other)
    assert ours.create(plan_name="ours")["tenant"] == "acme"
    platform.create(plan_name="everyones")
    assert json.loads(theirs.call("GET", PLANS).content)["data"] == []
    for name in ("ours", "everyones"):
        for method, body in (("GET", None), ("PATCH", {"mode": "off"}), ("DELETE", None)):
            refused(theirs.call(method, f"{PLANS}/{name}", body), 404, param="plan", code="plan_not_found")
            refused(theirs.call(method, f"{PLANS}/{name}?tenant=acme", body), 404, param="tenant", code="tenant_not_found")
    refused(theirs.call("POST", f"{PLANS}?tenant=nobody", {"plan_name": "x"}), 404, param="tenant", code="tenant_not_found")
    assert theirs.call("GET", f"{PLANS}?tenant=other").status_code == 200
    assert Plan.objects.filter(mode="active").count() == 2


def test_the_platform_chooses_the_owner_by_tenant(platform: Manager, acme: Tenant) -> None:
    manager(acme).create(plan_name="ours")
    refused(platform.call("GET", f"{PLANS}/ours"), 404, param="plan", code="plan_not_found")
    assert json.loads(platform.call("GET", f"{PLANS}/ours?tenant=acme").content)["tenant"] == "acme"
    assert platform.call("DELETE", f"{PLANS}/ours?tenant=acme").status_code == 204


def staff(*permissions: str) -> Client:
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions, content_type__app_label="plans"))
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    return client


def test_a_staff_session_acts_as_the_platform_within_its_permissions(platform: Manager) -> None:
    platform.create()
    client = staff("view_plan")
    assert client.get(PLANS).status_code == 200
    client = Client()
    client.force_login(User.objects.get())
    refused(client.post(PLANS, GUIDE, content_type="application/json"), 403, code="permission_denied")
    refused(client.delete(ONE), 403, code="permission_denied")
    User.objects.update(is_staff=False)
    refused(client.get(PLANS), 403, code="permission_denied")


def test_a_session_without_its_csrf_token_changes_nothing(client: Client) -> None:
    session = staff("view_plan", "add_plan")
    assert "CSRF" in refused(session.post(PLANS, GUIDE, content_type="application/json"), 403, code="permission_denied")
    token = "a" * 32
    session.cookies["tokenthrift_csrf"] = token
    assert session.post(PLANS, GUIDE, content_type="application/json", headers={"x-csrftoken": token}).status_code == 201


# The document


def test_the_openapi_document_is_valid_and_without_warnings() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", "/dev/null")


def test_the_document_shows_each_path_once_and_the_bounds_of_the_rules(client: Client) -> None:
    for path in ("/api/schema", "/api/schema/"):
        document = json.loads(client.get(path).content)
        assert "/token-saving/plans/{plan}" in document["paths"]
        assert not [path for path in document["paths"] if path.endswith("/")]
    ttl = document["components"]["schemas"]["Cache"]["properties"]["ttl"]
    assert (ttl["minimum"], ttl["maximum"], ttl["default"]) == (1, rules.INT32, 3600)


def test_the_document_and_the_rules_know_the_same_fields(platform: Manager) -> None:
    for half, serializer in (("compression", CompressionSerializer()), ("cache", CacheSerializer())):
        message = refused(platform.call("POST", PLANS, {"plan_name": "x", half: {"?": 1}}), 400, param=f"{half}.?")
        assert f"Accepted here: {', '.join(serializer.fields)}." in message
        assert {name: field.default for name, field in serializer.fields.items()} == platform.create(plan_name=half, **{half: {}})[half]


def test_the_docs_page_runs_no_inline_code(client: Client) -> None:
    for path in ("/api/docs", "/api/docs/"):
        page = client.get(path)
        assert page.status_code == 200
        html = page.content.decode()
        assert "<style" not in html
        assert " style=" not in html
        assert html.count("<script") == html.count("<script src=") == 2
        assert "script-src 'self'" in page["Content-Security-Policy"]
        script = client.get(f"{path}?script=")
        assert script["Content-Type"] == "application/javascript"
        assert "schema" in script.content.decode()
