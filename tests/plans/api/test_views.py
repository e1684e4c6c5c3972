"""The management API: what it takes, how it changes plans, what it knows of the backends,
and its document."""

import json
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from plans.api.serializers import CacheSerializer, CompressionSerializer
from plans.fields import MAX_INT32
from plans.models import Tenant
from tests.support.management import GUIDE, ONE, PLANS, Manager, refused

pytestmark = pytest.mark.django_db

CACHE = {
    "exact": True,
    "backend": "pgvector_semantic",
    "match": "verified",
    "similarity_threshold": 0.85,
    "strictness": None,
    "max_error_rate": None,
    "sample_rate": 0.05,
    "judge_model": None,
    "ttl": 3600,
    "ttl_jitter": 0.1,
    "stale_while_revalidate": 0,
    "stale_if_error": 0,
    "scope": "tenant",
    "tool_calls": "output",
    "max_temperature": 1.0,
    "time_sensitive": False,
    "personal": False,
    "context": "window",
    "window": 2,
}
COMPRESSION = {
    "engine": "text_rank",
    "max_input_tokens": 4096,
    "language": "english",
    "min_sentences": 1,
    "focus": "question",
    "when": "always",
    "deadline_ms": None,
}


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
        "holdout": 0.0,
        "version": 1,
        "tenant": None,
    }
    assert reply["Location"] == "/token-saving/plans/support-bot-cache"


def test_a_half_left_out_is_off_when_the_other_is_given(platform: Manager) -> None:
    assert platform.create(plan_name="a", cache={})["compression"] is None
    assert platform.create(plan_name="b", compression={})["cache"] is None
    assert platform.create(plan_name="c", cache={"backend": None})["cache"] == CACHE | {
        "backend": None
    }


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


@pytest.mark.parametrize(
    "path", ["/plans", "/plans/plan", "/cache-engines", "/compression-engines"]
)
def test_every_path_answers_with_and_without_a_slash(platform: Manager, path: str) -> None:
    platform.create()
    with_slash, without = (platform.call("GET", f"/token-saving{path}{end}") for end in ("", "/"))
    assert with_slash.status_code == without.status_code == 200
    assert with_slash.content == without.content


def test_a_body_posted_to_the_path_with_a_slash_is_not_lost_in_a_redirect(
    platform: Manager,
) -> None:
    assert platform.call("POST", f"{PLANS}/", {"plan_name": "x"}).status_code == 201
    assert platform.call("PATCH", f"{PLANS}/x/", {"mode": "off"}).status_code == 200


def test_the_engines_say_whether_they_answer(platform: Manager) -> None:
    backends = {
        engine["name"]: engine
        for engine in json.loads(platform.call("GET", "/token-saving/cache-engines").content)[
            "data"
        ]
    }
    assert backends["pgvector_semantic"]["available"]
    assert backends["redis_semantic"]["available"]
    assert not backends["qdrant_semantic"]["available"]
    assert "set QDRANT_URL" in backends["qdrant_semantic"]["reason"]
    listed = json.loads(platform.call("GET", "/token-saving/compression-engines").content)
    assert {engine["name"]: engine["focus"] for engine in listed["data"]} == {
        "trim": ["none"],
        "text_rank": ["question", "none"],
        "lex_rank": ["none"],
        "lsa": ["none"],
    }
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
    assert json.loads(platform.call("PATCH", ONE, {"cache": {"scope": "key"}}).content)[
        "cache"
    ] == CACHE | {"scope": "key"}
    assert json.loads(platform.call("PATCH", ONE, {"compression": {"engine": "trim"}}).content)[
        "compression"
    ] == COMPRESSION | {
        "engine": "trim",
        "focus": "none",
    }


def test_a_patch_that_changes_nothing_keeps_the_version(platform: Manager) -> None:
    platform.create()
    assert json.loads(platform.call("PATCH", ONE, {}).content)["version"] == 1
    assert json.loads(platform.call("PATCH", ONE, {"cache": {"ttl": 3600}}).content)["version"] == 1


def test_a_patch_that_would_break_the_plan_changes_nothing(platform: Manager) -> None:
    before = platform.create()
    refused(
        platform.call(
            "PATCH", ONE, {"mode": "off", "cache": {"ttl": 60, "similarity_threshold": 2}}
        ),
        400,
        param="cache.similarity_threshold",
    )
    assert json.loads(platform.call("GET", ONE).content) == before


def test_a_version_in_the_patch_is_checked(platform: Manager) -> None:
    platform.create()
    assert platform.call("PATCH", ONE, {"version": 1, "mode": "off"}).status_code == 200
    message = refused(
        platform.call("PATCH", ONE, {"version": 1, "mode": "active"}),
        409,
        param="version",
        code="version_conflict",
    )
    assert "version 2" in message
    for wrong in ("2", True, None, 2.0):
        refused(platform.call("PATCH", ONE, {"version": wrong}), 400, param="version")


def test_a_plan_can_be_renamed_to_a_free_name(platform: Manager) -> None:
    platform.create()
    platform.create(plan_name="other")
    refused(
        platform.call("PATCH", ONE, {"plan_name": "other"}),
        409,
        param="plan_name",
        code="plan_name_taken",
    )
    assert (
        json.loads(platform.call("PATCH", ONE, {"plan_name": "free"}).content)["plan_name"]
        == "free"
    )
    assert platform.call("GET", ONE).status_code == 404


def test_a_name_is_taken_once_per_owner(platform: Manager, acme: Tenant) -> None:
    platform.create()
    refused(
        platform.call("POST", PLANS, {"plan_name": "plan"}),
        409,
        param="plan_name",
        code="plan_name_taken",
    )
    assert platform.call("POST", f"{PLANS}?tenant=acme", {"plan_name": "plan"}).status_code == 201
    refused(
        platform.call("POST", f"{PLANS}?tenant=acme", {"plan_name": "plan"}),
        409,
        param="plan_name",
        code="plan_name_taken",
    )


# Backends as they answer now


def test_a_backend_that_does_not_answer_is_refused_with_the_reason(
    platform: Manager, settings: Settings
) -> None:
    settings.REDIS_SEMANTIC_URL = "redis://:hidden@127.0.0.1:1/0"
    message = refused(platform.call("POST", PLANS, GUIDE), 400, param="cache.backend")
    assert "127.0.0.1:1 does not answer" in message
    assert "hidden" not in message


def test_a_plan_on_a_backend_that_went_away_can_still_be_changed(
    platform: Manager, settings: Settings
) -> None:
    platform.create(cache={"backend": "redis_semantic"})
    settings.REDIS_SEMANTIC_URL = "redis://127.0.0.1:1/0"
    assert platform.call("PATCH", ONE, {"cache": {"ttl": 60}}).status_code == 200
    assert platform.call("PATCH", ONE, {"cache": {"backend": None}}).status_code == 200
    refused(
        platform.call("PATCH", ONE, {"cache": {"backend": "redis_semantic"}}),
        400,
        param="cache.backend",
    )


# What questions are matched by


def test_a_plan_may_match_by_cosine_and_go_back(platform: Manager) -> None:
    assert platform.create(cache={"match": "cosine"})["cache"]["match"] == "cosine"
    reply = platform.call("PATCH", ONE, {"cache": {"match": "verified"}})
    assert json.loads(reply.content)["cache"]["match"] == "verified"


def test_to_verify_is_refused_while_the_verifier_is_not_prepared(
    platform: Manager, settings: Settings, tmp_path: Path
) -> None:
    platform.create(cache={"match": "verified"})
    settings.VAR_DIR = tmp_path
    message = refused(
        platform.call("POST", PLANS, {"plan_name": "new", "cache": {"match": "verified"}}),
        400,
        param="cache.match",
    )
    assert "prepare_embedder" in message
    assert (
        platform.call("PATCH", ONE, {"cache": {"match": "verified", "ttl": 60}}).status_code == 200
    )
    assert platform.create(plan_name="new", cache={"match": "cosine"})["cache"]["match"] == "cosine"


# The document


def test_the_openapi_document_is_valid_and_without_warnings() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", "/dev/null")


def test_the_document_shows_each_path_once_and_the_bounds_of_the_rules(client: Client) -> None:
    for path in ("/api/schema", "/api/schema/"):
        document = json.loads(client.get(path).content)
        assert "/token-saving/plans/{plan}" in document["paths"]
        assert not [path for path in document["paths"] if path.endswith("/")]
    ttl = document["components"]["schemas"]["Cache"]["properties"]["ttl"]
    assert (ttl["minimum"], ttl["maximum"], ttl["default"]) == (1, MAX_INT32, 3600)


def test_the_document_and_the_rules_know_the_same_fields(platform: Manager) -> None:
    for half, serializer in (
        ("compression", CompressionSerializer()),
        ("cache", CacheSerializer()),
    ):
        message = refused(
            platform.call("POST", PLANS, {"plan_name": "x", half: {"?": 1}}), 400, param=f"{half}.?"
        )
        assert f"Accepted here: {', '.join(serializer.fields)}." in message
        assert {
            name: field.default for name, field in serializer.fields.items() if not field.write_only
        } == platform.create(plan_name=half, **{half: {}})[half]


def test_the_docs_page_runs_no_inline_code(client: Client) -> None:
    for path in ("/api/docs", "/api/docs/"):
        page = client.get(path)
        assert page.status_code == 200
        html = page.content.decode()
        assert "<style" not in html
        assert " style=" not in html
        assert html.count("<script") == html.count("<script src=") == 2
        # In no fixed order.
        policy = [directive.strip() for directive in page["Content-Security-Policy"].split(";")]
        assert "script-src 'self'" in policy
        assert "img-src 'self' data:" in policy  # the page draws its icons itself
        script = client.get(f"{path}?script=")
        assert script["Content-Type"] == "application/javascript"
        assert "schema" in script.content.decode()
