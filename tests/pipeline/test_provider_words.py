"""A provider's words and headers reach the client of that very call,
and our key and its address never do."""

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest

from plans.snapshot import CacheSettings
from proxy.core.errors import UpstreamTimeout, UpstreamUnreachable
from proxy.core.formats import sse
from tests.support.fakes import FakeReply, World, ask, body, completion, full_plan
from tests.support.gated import GatedUpstream, gate, settled

KEY = "sk-proj-Abc123Def456Ghi789"
JSON, STREAM = {"content-type": "application/json"}, {"content-type": "text/event-stream"}
LIMITS = {
    "x-ratelimit-remaining-requests": "59",
    "X-RateLimit-Reset-Tokens": "1s",
    "openai-processing-ms": "812",
    "x-request-id": "req_9",
}
CHUNK = sse.encode_event(
    {"id": "1", "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}
)
VLLM = {
    "object": "error",
    "message": "This model's maximum context length is 4096 tokens.",
    "type": "BadRequestError",
    "param": None,
    "code": 400,
}


def keyed(**fields: Any) -> World:
    """A world whose upstream has a key."""
    world = World(**fields)
    route = world.source.config.routes["smart/balanced"]
    upstream = replace(route.upstream, api_key=KEY, base_url="http://llm.internal.example:8001/v1")
    world.source.config = replace(
        world.source.config, routes={route.name: replace(route, upstream=upstream)}
    )
    return world


def error_in(received: bytes) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(received)["error"]
    return found


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("plan", ["support", None])
@pytest.mark.parametrize(
    ("status", "said", "shown"),
    [
        (400, orjson.dumps(VLLM), 400),
        (404, b'{"error": "model \'qwen3\' not found"}', 404),
        (400, b'{"detail": "too many tokens"}', 400),
        (
            400,
            b'[{"error": {"code": 400, "message": "Bad contents.", "status": "INVALID_ARGUMENT"}}]',
            400,
        ),
        (503, b"no healthy upstream", 503),
        (
            200,
            (
                b'{"error": {"message": "Upstream error from Nvidia: ResourceExhausted", "code": '
                b'429}, "user_id": "org_x"}'
            ),
            429,
        ),
        (200, b'{"error": {"message": "ResourceExhausted", "code": "busy"}}', 502),
        (200, orjson.dumps(VLLM), 400),
        (200, b'{"error": "ResourceExhausted"}', 502),
    ],
    ids=lambda value: value.decode()[:30] if isinstance(value, bytes) else str(value),
)
async def test_an_error_of_any_shape_keeps_its_status_and_its_words(
    status: int, said: bytes, shown: int, stream: bool, plan: str | None
) -> None:
    world = World()
    world.upstream.reply = FakeReply(
        status, JSON if said[:1] in b"{[" else {"content-type": "text/plain"}, [said]
    )
    client = await ask(world, body(stream=stream, plan=plan))
    assert client.status == shown
    words = (
        "maximum context",
        "not found",
        "too many tokens",
        "Bad contents",
        "no healthy",
        "ResourceExhausted",
    )
    assert any(
        word in error_in(client.received)["message"] and word.encode() in said for word in words
    )
    assert b"org_x" not in client.received
    assert (world.event.outcome, world.event.status, world.event.attempts) == (
        "upstream_error",
        shown,
        1,
    )
    assert not world.exact.entries


async def test_a_providers_own_code_is_in_the_ledger_where_it_is_a_name() -> None:
    world = World()
    for code, noted in (
        ("context_length_exceeded", "context_length_exceeded"),
        ("a\u0000b" * 99, ""),
        (42, "42"),
    ):
        world.upstream.reply = FakeReply(
            400, JSON, [orjson.dumps({"error": {"message": "x", "code": code}})]
        )
        await ask(world, body())
        assert world.event.error_code == noted


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_a_provider_refuses_is_ours_to_mend(
    status: int, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    world = keyed()
    said = {
        "error": {
            "message": f"Incorrect API key provided: {KEY} at llm.internal.example",
            "code": "invalid_api_key",
        }
    }
    world.upstream.reply = FakeReply(status, JSON, [orjson.dumps(said)])
    client = await ask(world, body(stream=stream))
    assert (client.status, client.headers["x-should-retry"]) == (502, "false")
    assert (error_in(client.received)["code"], error_in(client.received)["type"]) == (
        "upstream_auth_failed",
        "server_error",
    )
    assert b"Incorrect" not in client.received
    assert (world.event.outcome, world.event.error_code) == (
        "upstream_error",
        "upstream_auth_failed",
    )
    assert "upstream openai answered" in caplog.text
    assert KEY[:8] not in caplog.text
    assert "internal.example" not in caplog.text


@pytest.mark.parametrize(
    "said",
    [
        {"error": {"message": f"x {KEY}", "code": 401}},
        {"error": {"message": f"x {KEY}", "code": "invalid_api_key"}},
    ],
)
async def test_the_same_under_200_and_within_a_stream(said: dict[str, Any]) -> None:
    world = keyed()
    world.upstream.reply = FakeReply(200, JSON, [orjson.dumps(said)])
    client = await ask(world, body())
    assert (client.status, error_in(client.received)["code"]) == (502, "upstream_auth_failed")
    world.upstream.reply = FakeReply(200, STREAM, [CHUNK, sse.encode_event(said), sse.DONE_EVENT])
    client = await ask(world, body(stream=True))
    assert b"upstream_auth_failed" in client.received
    assert KEY[:8].encode() not in client.received
    assert world.event.error_code == "upstream_auth_failed"


@pytest.mark.parametrize("status", [400, 429, 500])
async def test_our_key_and_its_host_are_taken_out_of_every_error_and_header(status: int) -> None:
    world = keyed()
    said = {
        "error": {
            "message": f"Quota of {KEY[:14]}*** at http://llm.internal.example:8001/v1",
            "metadata": {"raw": [KEY]},
        }
    }
    headers = {**JSON, "retry-after": "7", "x-ratelimit-key": KEY, "x-request-id": f"req-{KEY[4:]}"}
    for given, stream in (
        (FakeReply(status, headers, [orjson.dumps(said)]), False),
        (FakeReply(200, STREAM | headers, [CHUNK, sse.encode_event(said)]), True),
    ):
        given.headers = dict(given.headers) | (STREAM if stream else {})
        world.upstream.reply = given
        client = await ask(world, body(stream=stream))
        everything = (
            client.received.decode() + str(client.headers) + world.event.upstream_request_id
        )
        assert "Quota of [redacted]*** at http://[upstream]/v1" in everything
        assert not any(KEY[at : at + 8] in everything for at in range(len(KEY) - 7))
        assert "internal.example" not in everything
        assert client.headers["retry-after"] == "7"


@pytest.mark.parametrize("stream", [False, True])
async def test_headers_of_a_call_reach_its_client_and_no_other(stream: bool) -> None:
    world = World(plan=full_plan(cache=CacheSettings(backend=None)))
    data = [CHUNK, sse.DONE_EVENT] if stream else [orjson.dumps(completion())]
    world.upstream.reply = FakeReply(200, {**LIMITS, **(STREAM if stream else JSON)}, data)
    miss, hit = [await ask(world, body(stream=stream)) for _ in range(2)]
    assert (miss.headers["x-tokenthrift-cache"], hit.headers["x-tokenthrift-cache"]) == (
        "miss",
        "exact",
    )
    for name in (
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-tokens",
        "openai-processing-ms",
        "x-upstream-request-id",
    ):
        assert name in miss.headers
        assert name not in hit.headers
    assert (
        miss.headers["x-upstream-request-id"]
        == world.ledger.events[0].upstream_request_id
        == "req_9"
    )
    assert miss.headers["x-request-id"] == world.ledger.events[0].event_id
    assert world.event.upstream_request_id == ""
    world.upstream.reply = FakeReply(
        429, {**JSON, **LIMITS, "retry-after": "3"}, [b'{"error":{"message":"slow down"}}']
    )
    refused = await ask(world, body("Another?", stream=stream))
    assert (
        refused.status,
        refused.headers["x-ratelimit-remaining-requests"],
        refused.headers["retry-after"],
    ) == (429, "59", "3")


async def test_who_shares_an_error_is_told_when_to_try_again_and_no_more() -> None:
    class Limited(GatedUpstream):
        async def send(self, *args: Any, **fields: Any) -> FakeReply:
            await super().send(*args, **fields)
            return FakeReply(
                429, {**JSON, **LIMITS, "retry-after": "3"}, [b'{"error":{"message":"slow down"}}']
            )

    world = World(upstream=Limited(), plan=full_plan(cache=CacheSettings(backend=None)))
    tasks = [asyncio.create_task(ask(world, body())) for _ in range(2)]
    await settled()
    gate(world).set()
    leader, follower = await asyncio.gather(*tasks)
    assert leader.headers["x-ratelimit-remaining-requests"] == "59"
    assert (follower.status, follower.headers["retry-after"]) == (429, "3")
    assert not any(
        name.startswith(("x-ratelimit", "openai", "x-upstream")) for name in follower.headers
    )


@pytest.mark.parametrize("name", ["x-request-id", "Request-Id", "x-amzn-RequestId"])
async def test_the_providers_id_has_several_names(name: str) -> None:
    world = World()
    world.upstream.reply = FakeReply(
        200, {**JSON, name.lower(): "abc"}, [orjson.dumps(completion())]
    )
    assert (
        (await ask(world, body())).headers["x-upstream-request-id"]
        == world.event.upstream_request_id
        == "abc"
    )


@pytest.mark.parametrize(
    "said",
    [
        VLLM,
        {"error": "maximum context length"},
        {"error": {"message": "maximum context length"}},
        {"detail": "maximum context length"},
    ],
)
@pytest.mark.parametrize("before", [[], [CHUNK]])
async def test_an_error_within_a_stream_is_told_in_openais_shape(
    said: dict[str, Any], before: list[bytes]
) -> None:
    world = World()
    world.upstream.reply = FakeReply(200, STREAM, [*before, sse.encode_event(said), sse.DONE_EVENT])
    client = await ask(world, body(stream=True))
    (error,) = [
        orjson.loads(event.data)["error"]
        for event in sse.SseDecoder().feed(client.received)
        if b"error" in event.data
    ]
    assert "maximum context length" in error["message"]
    assert client.received.startswith(b"".join(before))
    assert (world.event.outcome, world.exact.entries) == ("upstream_error", {})


async def test_no_sdk_tries_again_what_may_be_billed_already() -> None:
    world = World()
    world.upstream.error = UpstreamTimeout("late")
    assert (await ask(world, body())).headers["x-should-retry"] == "false"
    world.upstream.error = UpstreamUnreachable("gone")
    assert "x-should-retry" not in (await ask(world, body())).headers
