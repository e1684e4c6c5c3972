"""POST /token-saving/plans/{plan}/preview: what it says, who may ask, and what it refuses."""

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import Settings

from plans import services
from plans.models import ModelPrice, Plan, Tenant
from proxy import bridge
from proxy.core.compression.compress import compress
from proxy.core.errors import ToolUnavailable
from proxy.engines.compressors.pool import PoolCompressor
from proxy.upstreams.services import put_route, put_upstream
from tests.support.fakes import World
from tests.support.management import ONE, PLANS, Manager, manager, refused
from tests.support.texts.chats import support_history

pytestmark = pytest.mark.django_db

PREVIEW = f"{ONE}/preview"
CHAT = [
    *support_history(40)[:-1],
    {"role": "user", "content": "When does the refund for my order arrive?"},
]
SMALL = {"max_input_tokens": 1500}


@pytest.fixture
def plan(platform: Manager) -> dict[str, Any]:
    made: dict[str, Any] = platform.create(compression=SMALL)
    return made


@pytest.fixture
def route(db: None) -> None:
    ModelPrice.objects.create(
        provider="openai", model="gpt-4o-mini", input="0.15", output="0.6", cached_input="0.075"
    )
    upstream = put_upstream(name="openai", base_url="https://api.openai.com/v1")
    put_route(name="smart/balanced", upstream=upstream, model="gpt-4o-mini")


def seen(who: Manager, **body: Any) -> dict[str, Any]:
    reply = who.call("POST", PREVIEW, {"messages": CHAT} | body)
    assert reply.status_code == 200, reply.content
    found: dict[str, Any] = json.loads(reply.content)
    return found


# What it says


def test_it_shows_what_would_be_sent_and_why(
    platform: Manager, plan: dict[str, Any], route: None
) -> None:
    found = seen(platform)
    cut = compress(
        CHAT,
        Plan.objects.get().build_snapshot().compression or pytest.fail("off"),
        model="gpt-4o-mini",
    )
    assert found["messages"] == cut.messages
    assert found["tokens"] == {"asked": cut.before, "sent": cut.after}
    assert found["kept"] == round(cut.after / cut.before, 4)
    assert (found["engine"], found["note"], found["encoding"], found["object"]) == (
        "text_rank",
        "",
        "o200k_base",
        "preview",
    )
    assert found["model"] == {
        "name": "gpt-4o-mini",
        "provider": "openai",
        "route": "smart/balanced",
    }
    assert (found["plan_name"], found["version"], found["mode"], found["compression"]) == (
        "plan",
        1,
        "active",
        plan["compression"],
    )
    assert {piece["place"] for piece in found["pieces"]} == {
        "protected",
        "recent",
        "block",
        "recalled",
        "left out",
    }
    for piece in found["pieces"]:
        assert CHAT[piece["message"]]["content"][piece["start"] : piece["end"]] == piece["text"]
        assert (piece["score"] is None) == (piece["place"] in ("protected", "recent"))


def test_it_says_what_it_costs_either_way(
    platform: Manager, plan: dict[str, Any], route: None
) -> None:
    found = seen(platform)
    cost, tokens, later = found["cost_usd"], found["tokens"], found["next_turn"]
    for side in ("asked", "sent"):
        assert Decimal(cost[side]["now"]) == tokens[side] * Decimal("0.15") / 1_000_000
        warm = later[side]["warm"] if later[side]["warm"] >= 1024 else 0
        assert (
            Decimal(cost[side]["next_turn"])
            == (later[side]["tokens"] - warm / Decimal(2)) * Decimal("0.15") / 1_000_000
        )
    assert later["asked"]["warm"] == tokens["asked"] - 3
    ModelPrice.objects.update(cached_input=None)
    assert seen(platform)["cost_usd"]["asked"] == {"now": cost["asked"]["now"], "next_turn": None}


def test_a_model_is_a_route_or_a_model_with_or_without_a_price(
    platform: Manager, plan: dict[str, Any], route: None
) -> None:
    assert seen(platform, model="smart/balanced")["model"]["route"] == "smart/balanced"
    named = seen(platform, model="gpt-4o-mini")
    assert (named["model"]["route"], bool(named["cost_usd"])) == (None, True)
    unpriced = seen(platform, model="my-own")
    assert (unpriced["model"]["name"], unpriced["cost_usd"]) == ("my-own", None)


def test_without_any_route_tokens_are_counted_all_the_same(
    platform: Manager, plan: dict[str, Any]
) -> None:
    found = seen(platform)
    assert (found["model"], found["cost_usd"]) == (
        {"name": "", "provider": "", "route": None},
        None,
    )
    assert found["tokens"]["sent"] <= 1500


def test_a_draft_is_tried_and_not_saved(platform: Manager, plan: dict[str, Any]) -> None:
    found = seen(platform, compression={"engine": "trim", "max_input_tokens": 800})
    assert found["compression"] == plan["compression"] | {
        "engine": "trim",
        "max_input_tokens": 800,
        "focus": "none",
    }
    assert found["engine"] == "trim"
    assert found["tokens"]["sent"] <= 800
    assert {piece["place"] for piece in found["pieces"]} == {"protected", "whole", "left out"}
    assert json.loads(platform.call("GET", ONE).content) == plan


def test_a_plan_that_cuts_when_it_saves_is_shown_so(
    platform: Manager, plan: dict[str, Any], route: None
) -> None:
    ModelPrice.objects.update(cached_input="0.015")
    found = seen(platform, compression={"when": "saves"})
    assert (found["note"], found["kept"], found["messages"]) == ("cheaper-whole", 1, CHAT)
    assert {piece["place"] for piece in found["pieces"]} == {"protected", "whole"}
    ModelPrice.objects.update(cached_input=None)
    assert seen(platform, compression={"when": "saves"})["messages"] == seen(platform)["messages"]


def test_a_short_chat_goes_as_it_is(platform: Manager, plan: dict[str, Any]) -> None:
    chat = [{"role": "user", "content": "How do I pay?"}]
    found = seen(platform, messages=chat)
    assert (found["messages"], found["kept"]) == (chat, 1)
    assert [piece["place"] for piece in found["pieces"]] == ["protected"]


def test_a_plan_that_compresses_nothing_needs_a_draft(platform: Manager) -> None:
    platform.create(cache={})
    refused(platform.call("POST", PREVIEW, {"messages": CHAT}), 400, param="compression")
    assert seen(platform, compression={})["compression"]["max_input_tokens"] == 4096
    refused(
        platform.call("POST", PREVIEW, {"messages": CHAT, "compression": None}),
        400,
        param="compression",
    )


def test_nothing_of_the_chat_is_logged_or_kept(
    platform: Manager, plan: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    canary = {"role": "user", "content": "The canary sings in Leeds. " * 3}
    seen(platform, messages=[canary, *CHAT])
    platform.call("POST", PREVIEW, {"messages": [canary, {"role": "nobody"}]})
    assert "canary" not in caplog.text


# By the workers of the request path, where there are such


@pytest.fixture
def bench() -> Iterator[PoolCompressor]:
    loop, pool = asyncio.new_event_loop(), PoolCompressor(deadline=30)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    tools = replace(World().tools, compressor=pool)
    bridge.attach_bridge(bridge.LoopBridge(loop, tools))
    yield pool
    bridge.attach_bridge(None)
    asyncio.run_coroutine_threadsafe(pool.close(), loop).result(10)
    # Pipes close in the loop, a step later.
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0.1), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_a_worker_sees_what_this_process_sees(
    platform: Manager, plan: dict[str, Any], route: None, bench: PoolCompressor
) -> None:
    by_worker = seen(platform)
    assert bench._workers[0].process is not None
    bridge.attach_bridge(None)
    assert by_worker == seen(platform)


def test_a_late_worker_is_shown_as_it_would_be_in_traffic(
    platform: Manager, plan: dict[str, Any], bench: PoolCompressor
) -> None:
    seen(platform)
    bench._job_timeout_seconds = 0.0001
    found = seen(platform)
    assert (found["engine"], found["note"]) == ("trim", "deadline")
    assert found["tokens"]["sent"] <= 1500


def test_an_engine_that_fails_and_trim_too_is_said(
    platform: Manager, plan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any, **more: Any) -> Any:
        raise ToolUnavailable("compressor", "MemoryError")

    monkeypatch.setattr("proxy.preview.api.build_priced_preview", broken)
    message = refused(
        platform.call("POST", PREVIEW, {"messages": CHAT}), 503, code="preview_unavailable"
    )
    assert "MemoryError" in message


# Who may ask


def test_another_tenants_plan_does_not_exist(
    platform: Manager, plan: dict[str, Any], acme: Tenant
) -> None:
    ours = manager(acme)
    refused(
        ours.call("POST", PREVIEW, {"messages": CHAT}), 404, param="plan", code="plan_not_found"
    )
    ours.create(compression=SMALL | {"engine": "lsa"})
    assert seen(ours)["engine"] == "lsa"
    assert seen(platform)["engine"] == "text_rank"
    assert platform.call("POST", f"{PREVIEW}?tenant=acme", {"messages": CHAT}).status_code == 200
    refused(
        ours.call("POST", f"{PREVIEW}?tenant=nobody", {"messages": CHAT}),
        404,
        param="tenant",
        code="tenant_not_found",
    )


def test_keys_that_do_not_open_the_management_api_do_not_open_this(
    client: Client, acme: Tenant
) -> None:
    _, secret = services.issue_virtual_key(tenant=acme, name="sdk")
    refused(Manager(secret).call("POST", PREVIEW, {"messages": CHAT}), 401, code="invalid_api_key")
    refused(
        client.post(PREVIEW, {"messages": CHAT}, content_type="application/json"),
        401,
        code="invalid_api_key",
    )


def test_staff_who_may_see_plans_may_look_with_their_csrf_token(plan: dict[str, Any]) -> None:
    user = User.objects.create_user("staff", is_staff=True)
    session = Client(enforce_csrf_checks=True)
    session.force_login(user)
    token = "a" * 32
    session.cookies["tokenthrift_csrf"] = token
    body, header = {"messages": CHAT}, {"x-csrftoken": token}
    refused(
        session.post(PREVIEW, body, content_type="application/json", headers=header),
        403,
        code="permission_denied",
    )
    user.user_permissions.set(Permission.objects.filter(codename="view_plan"))
    assert "CSRF" in refused(
        session.post(PREVIEW, body, content_type="application/json"), 403, code="permission_denied"
    )
    assert (
        session.post(PREVIEW, body, content_type="application/json", headers=header).status_code
        == 200
    )


# What it refuses

WRONG: list[tuple[Any, str | None]] = [
    ({}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": "How do I pay?"}, "messages"),
    ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": "x"}, "y"]}, "messages[1]"),
    ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0]"),
    ({"messages": CHAT, "model": 1}, "model"),
    ({"messages": CHAT, "model": ""}, "model"),
    ({"messages": CHAT, "temperature": 1}, "temperature"),
    ({"messages": CHAT, "compression": []}, "compression"),
    ({"messages": CHAT, "compression": {"engine": "bert"}}, "compression.engine"),
    ({"messages": CHAT, "compression": {"max_input_tokens": 63}}, "compression.max_input_tokens"),
    (
        {"messages": CHAT, "compression": {"engine": "trim", "focus": "question"}},
        "compression.focus",
    ),
    ({"messages": CHAT, "compression": {"ttl": 1}}, "compression.ttl"),
    ([], None),
    (b"{", None),
    (b'{"messages": NaN}', None),
    (b'{"messages": [{"role": "user", "content": "\\u0000"}]}', None),
]


@pytest.mark.parametrize(("body", "param"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_body_is_refused_by_name(
    platform: Manager, plan: dict[str, Any], body: Any, param: str | None
) -> None:
    refused(platform.call("POST", PREVIEW, body), 400, param=param)


def test_what_is_too_deep_or_too_large_is_refused(
    platform: Manager, plan: dict[str, Any], settings: Settings
) -> None:
    deep = b'{"messages": ' + b"[" * 100 + b"]" * 100 + b"}"
    refused(platform.call("POST", PREVIEW, deep), 400, code="request_too_large")
    long = {"messages": [{"role": "user", "content": "x" * 2_000_000}]}
    refused(platform.call("POST", PREVIEW, long), 413, code="request_too_large")
    settings.MAX_BODY_BYTES = 2000
    refused(platform.call("POST", PREVIEW, {"messages": CHAT}), 413, code="request_too_large")


def test_other_methods_and_plans_are_refused(platform: Manager, plan: dict[str, Any]) -> None:
    refused(platform.call("GET", PREVIEW), 405, code="method_not_allowed")
    refused(
        platform.call("POST", f"{PLANS}/other/preview", {"messages": CHAT}),
        404,
        param="plan",
        code="plan_not_found",
    )
    assert platform.call("POST", f"{PREVIEW}/", {"messages": CHAT}).status_code == 200
    refused(platform.client.post(PREVIEW, {"messages": "x"}), 415, code="unsupported_media_type")
