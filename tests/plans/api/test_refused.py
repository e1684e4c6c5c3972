"""Bad input to the management API: refused with the field's name and what would be accepted,
and nothing is changed."""

import json
from typing import Any

import pytest
from django.db import OperationalError
from pytest_django import Settings

from plans.api.error_responses import as_error_object
from plans.models import Plan, Tenant
from tests.support.management import GUIDE, ONE, PLANS, Manager, refused

pytestmark = pytest.mark.django_db


WRONG_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"nonsense": 1}, "nonsense"),
    ({"mode": "shade"}, "mode"),
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
    ({"compression": {"when": "never"}}, "compression.when"),
    ({"compression": {"deadline_ms": 9}}, "compression.deadline_ms"),
    ({"compression": {"deadline_ms": 60_001}}, "compression.deadline_ms"),
    ({"compression": {"deadline_ms": "soon"}}, "compression.deadline_ms"),
    ({"compression": {"focus": "answer"}}, "compression.focus"),
    ({"compression": {"focus": None}}, "compression.focus"),
    ({"compression": {"engine": "trim", "focus": "question"}}, "compression.focus"),
    (
        {"compression": {"engine": "lsa", "focus": "question", "max_input_tokens": 64}},
        "compression.focus",
    ),
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
    ({"cache": {"tool_calls": "some"}}, "cache.tool_calls"),
    ({"cache": {"tool_calls": None}}, "cache.tool_calls"),
    ({"cache": {"tool_calls": False}}, "cache.tool_calls"),
    ({"cache": {"ttl_jitter": 0.51}}, "cache.ttl_jitter"),
    ({"cache": {"ttl_jitter": -0.1}}, "cache.ttl_jitter"),
    ({"cache": {"ttl_jitter": None}}, "cache.ttl_jitter"),
    ({"cache": {"stale_while_revalidate": -1}}, "cache.stale_while_revalidate"),
    ({"cache": {"stale_while_revalidate": 1.5}}, "cache.stale_while_revalidate"),
    ({"cache": {"stale_if_error": 2**31}}, "cache.stale_if_error"),
    ({"cache": {"stale_if_error": None}}, "cache.stale_if_error"),
    ({"cache": {"exact": "yes"}}, "cache.exact"),
    ({"cache": {"exact": 1}}, "cache.exact"),
    ({"cache": {"exact": False, "backend": None}}, "cache.exact"),
    ({"cache": {"backend": "faiss"}}, "cache.backend"),
    ({"cache": {"backend": "qdrant_semantic"}}, "cache.backend"),
    ({"cache": {"backend": ""}}, "cache.backend"),
    ({"cache": {"backend": 1}}, "cache.backend"),
    ({"cache": {"scope": "world"}}, "cache.scope"),
    ({"cache": {"max_temperature": 2.1}}, "cache.max_temperature"),
    ({"cache": {"context": "all"}}, "cache.context"),
    ({"cache": {"match": "meaning"}}, "cache.match"),
    ({"cache": {"personal": 0}}, "cache.personal"),
    ({"holdout": 0.6}, "holdout"),
    ({"holdout": "0.1"}, "holdout"),
    ({"bindings": []}, "bindings"),
    ({"rate_limit": 5}, "rate_limit"),
    ({"budget": 5}, "budget"),
    ({"shadow": True}, "shadow"),
    ({"tenant": "acme"}, "tenant"),
    ({"created_at": "now"}, "created_at"),
]


@pytest.mark.parametrize(
    ("fields", "param"), WRONG_FIELDS, ids=[json.dumps(fields) for fields, _ in WRONG_FIELDS]
)
def test_a_wrong_field_is_refused_by_name_when_a_plan_is_made_or_changed(
    platform: Manager, fields: dict[str, Any], param: str
) -> None:
    message = refused(platform.call("POST", PLANS, {"plan_name": "new"} | fields), 400, param=param)
    assert param in message
    platform.create()
    refused(platform.call("PATCH", ONE, fields), 400, param=param)
    assert Plan.objects.count() == 1
    assert Plan.objects.get().version == 1


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "none",
        "NONE",
        "-a",
        "a/b",
        "ä",
        "a" * 65,
        "a\n",
        "a\x00b",
        "\ud800",
        None,
        1,
        True,
        ["a"],
    ],
)
def test_a_bad_name_is_refused(platform: Manager, name: Any) -> None:
    refused(platform.call("POST", PLANS, {"plan_name": name}), 400, param="plan_name")


def test_a_name_must_be_given(platform: Manager) -> None:
    assert "required" in refused(platform.call("POST", PLANS, {}), 400, param="plan_name")
    refused(platform.call("POST", PLANS), 400, param="plan_name")


def test_what_a_later_version_brings_is_refused_as_such(platform: Manager) -> None:
    assert (
        "not available in this version"
        in platform.call("POST", PLANS, {"plan_name": "x", "bindings": 1}).content.decode().lower()
    )


def test_every_field_at_fault_is_named_in_the_message(platform: Manager) -> None:
    reply = platform.call(
        "POST",
        PLANS,
        {"plan_name": "x", "compression": {"engine": "bert"}, "cache": {"ttl": 0, "nope": 1}},
    )
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
    reply = platform.call(
        "POST", PLANS, b'{"plan_name": "x", "cache": {"similarity_threshold": 1e999}}'
    )
    refused(reply, 400, param="cache.similarity_threshold")


def test_a_field_name_of_lone_surrogates_and_controls_is_refused_in_printable_form(
    platform: Manager,
) -> None:
    refused(
        platform.call("POST", PLANS, b'{"plan_name": "x", "\\ud800\\u0000<b>": 1}'),
        400,
        param="??<b>",
    )


def test_other_content_types_are_refused(platform: Manager) -> None:
    for kind in (
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data; boundary=x",
    ):
        reply = platform.client.generic("POST", PLANS, json.dumps(GUIDE), content_type=kind)
        refused(reply, 415, code="unsupported_media_type")
    reply = platform.client.generic(
        "POST", PLANS, json.dumps(GUIDE), content_type="application/json; charset=nonsense"
    )
    assert reply.status_code == 201


def test_a_body_over_the_limit_is_refused(platform: Manager) -> None:
    refused(
        platform.call("POST", PLANS, b'{"plan_name": "x"' + b" " * 70_000 + b"}"),
        413,
        code="request_too_large",
    )


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_a_method_that_a_path_does_not_know_is_refused(platform: Manager, method: str) -> None:
    reply = platform.call(method, PLANS, {})
    refused(reply, 405, code="method_not_allowed")
    assert "POST" in reply["Allow"]


@pytest.mark.parametrize(
    "path", ["", "/", "/nothing", "/plans/a/b/c", "/plans//", "/cache-engines/x"]
)
def test_an_unknown_path_gets_the_error_object(platform: Manager, path: str) -> None:
    refused(platform.call("GET", f"/token-saving{path}"), 404, code="unknown_url")
    refused(Manager("nobody").call("GET", f"/token-saving{path}"), 401, code="invalid_api_key")


@pytest.mark.parametrize(
    "name", ["%00", "a%00b", "%ED%A0%80", "%FF", "a" * 300, "a%20b", "%F0%9F%98%80"]
)
def test_a_strange_name_in_the_path_is_an_unknown_plan(platform: Manager, name: str) -> None:
    refused(platform.call("GET", f"{PLANS}/{name}"), 404, param="plan", code="plan_not_found")


@pytest.mark.parametrize("slug", ["nobody", "%00", "%ED%A0%80", "a" * 300, "acme%00"])
def test_a_strange_or_unknown_tenant_is_not_found(
    platform: Manager, acme: Tenant, slug: str
) -> None:
    refused(
        platform.call("GET", f"{PLANS}?tenant={slug}"), 404, param="tenant", code="tenant_not_found"
    )


def test_a_wrong_host_gets_the_error_object(platform: Manager, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["here.example"]
    refused(platform.client.get(PLANS, headers={"host": "there.example"}), 400)


# Faults of ours


def test_a_lost_database_and_a_bug_get_the_error_object_without_details() -> None:
    for error, status, code in (
        (OperationalError("secret"), 503, "database_unavailable"),
        (KeyError("secret"), 500, "internal_error"),
    ):
        reply = as_error_object(error, {})
        assert reply.status_code == status
        assert reply.data["error"]["code"] == code
        assert reply.data["error"]["type"] == "server_error"
        assert "secret" not in str(reply.data)
