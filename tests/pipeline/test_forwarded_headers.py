"""Headers of a client reach the provider only where the upstream names them, and what they may
change of an answer is part of its scope."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from proxy.core.upstream_headers import digest_pairs
from tests.support.fakes import FakeReply, World, ask, body

BETA = (b"anthropic-beta", b"one")
OTHER_BETA = (b"anthropic-beta", b"two")


def make_world(*names: str, **fields: Any) -> World:
    """A world whose upstream is sent these headers of clients."""
    world = World()
    route = world.source.config.routes["smart/balanced"]
    upstream = replace(route.upstream, forwarded_headers=frozenset(names), **fields)
    routes = {route.name: replace(route, upstream=upstream)}
    world.source.config = replace(world.source.config, routes=routes)
    return world


async def ask_tier(world: World, *headers: tuple[bytes, bytes], **fields: Any) -> str:
    client = await ask(world, body(**fields), headers=headers)
    return client.headers["x-tokenthrift-cache"]


async def test_only_named_headers_reach_the_provider() -> None:
    world = make_world("anthropic-beta", "x-team")
    secret = (b"authorization", b"Bearer tt-1")
    await ask(world, body(), headers=[secret, BETA, (b"x-other", b"1"), (b"X-Team", b"a")])
    assert world.upstream.forwarded == [(("anthropic-beta", "one"), ("x-team", "a"))]
    plain = World()
    await ask(plain, body(), headers=[BETA])
    assert plain.upstream.forwarded == [()]


@pytest.mark.parametrize("stream", [False, True])
async def test_another_value_is_another_answer(stream: bool) -> None:
    world = make_world("anthropic-beta")
    assert await ask_tier(world, BETA, stream=stream) == "miss"
    assert await ask_tier(world, BETA, stream=stream) == "exact"
    assert await ask_tier(world, OTHER_BETA, stream=stream) == "miss"
    assert await ask_tier(world, stream=stream) == "miss"
    assert await ask_tier(world, OTHER_BETA, stream=stream) == "exact"
    assert await ask_tier(world, BETA, (b"x-other", b"1"), stream=stream) == "exact"


async def test_a_near_question_under_another_value_is_a_miss() -> None:
    world = make_world("anthropic-beta")
    await ask(world, body("How do I pay?"), headers=[BETA])
    (stored,) = world.semantic.entries.values()
    world.exact.entries.clear()
    assert await ask_tier(world, OTHER_BETA, question="How do I pay?") == "miss"
    world.exact.entries.clear()
    scopes = {entry.scope for entry in world.semantic.entries.values()}
    assert len(scopes) == 2
    assert stored.scope in scopes
    assert await ask_tier(world, BETA, question="how do i pay") == "semantic"


async def test_the_name_of_a_request_is_passed_on_and_separates_no_answers() -> None:
    world = make_world("idempotency-key")
    assert await ask_tier(world, (b"idempotency-key", b"1")) == "miss"
    assert await ask_tier(world, (b"idempotency-key", b"2")) == "exact"
    assert world.upstream.forwarded == [(("idempotency-key", "1"),)]


async def test_a_value_that_no_header_can_have_is_refused_where_it_would_be_passed_on() -> None:
    world = make_world("x-team")
    client = await ask(world, body(), headers=[(b"x-team", b"\xff")])
    assert client.status == 400
    assert "x-team must be one line" in orjson.loads(client.received)["error"]["message"]
    assert world.upstream.bodies == []
    assert (await ask(World(), body(), headers=[(b"x-team", b"\xff")])).status == 200


async def test_headers_and_parameters_of_the_upstream_are_part_of_the_scope() -> None:
    world = make_world()
    assert await ask_tier(world) == "miss"
    for extras in ((("anthropic-beta", "one"),), (("anthropic-beta", "two"),)):
        changed = make_world(headers=extras, extras_digest=digest_pairs(extras))
        changed.exact.entries |= world.exact.entries
        assert await ask_tier(changed) == "miss"
        assert await ask_tier(changed) == "exact"


async def test_secret_values_are_not_told_to_clients() -> None:
    headers = (("cf-access-client-secret", "topsecretvalue"), ("openai-organization", "org-12345"))
    world = make_world(headers=headers, query=(("key", "querysecret"), ("api-version", "2024-10")))
    message = "no topsecretvalue, querysecret; org-12345 lacks 2024-10"
    world.upstream.reply = FakeReply(
        400,
        {"content-type": "application/json"},
        [orjson.dumps({"error": {"message": message, "type": "x", "param": None, "code": None}})],
    )
    received = (await ask(world, body())).received.decode()
    assert "topsecret" not in received
    assert "querysecret" not in received
    assert "org-12345 lacks 2024-10" in received
