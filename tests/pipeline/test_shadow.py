"""Mode shadow: everything is decided and counted, the provider answers, and nothing is saved."""

from decimal import Decimal

import orjson
import pytest

from plans.snapshot import CacheSettings
from tests.support.fakes import FakeClient, World, ask, body, completion, full_plan


@pytest.fixture
def world() -> World:
    return World(plan=full_plan(mode="shadow"))


async def test_a_hit_is_counted_and_answered_by_the_upstream(world: World) -> None:
    await ask(world, body())
    world.upstream.says = completion("Another answer.")
    for raw, tier in ((body(), "exact"), (body("how do i PAY"), "semantic")):
        client = await ask(world, raw)
        assert orjson.loads(client.received) == completion("Another answer.")
        assert told(client) == ("miss", tier, "shadow")
        event = world.event
        assert (event.tier, event.would, event.reason, event.shadow, event.attempts) == (
            "miss",
            tier,
            "shadow",
            True,
            1,
        )
        assert (event.tokens_saved, event.cost_saved, event.is_counted) == (0, Decimal(0), False)
        assert (event.would_tokens, event.would_saved) == (110, event.billed_cost)
        assert event.entry_id in world.exact.entries
    assert len(world.upstream.bodies) == 3


async def test_the_cache_fills_as_one_in_use_does(world: World) -> None:
    await ask(world, body())
    kept = dict(world.exact.entries), dict(world.semantic.entries)
    await ask(world, body())
    await ask(world, body("how do i PAY"))
    assert (world.exact.entries, world.semantic.entries) == kept
    world.verifier.says = 0.0
    await ask(world, body("What is something else?"))
    assert len(world.exact.entries) == len(world.semantic.entries) == 2


async def test_a_stream_is_the_upstream_s_too(world: World) -> None:
    await ask(world, body())
    client = await ask(world, body(stream=True))
    assert told(client) == ("miss", "exact", "shadow")
    assert world.upstream.bodies[-1]["stream"] is True
    assert (world.event.would_tokens, world.event.served_tokens) == (110, 10)


async def test_a_chat_goes_whole_and_what_would_have_been_cut_is_counted(world: World) -> None:
    raw = body(history=10)
    await ask(world, raw)
    assert len(world.upstream.bodies[-1]["messages"]) == 21
    event = world.event
    assert (event.tokens_saved, event.engine, event.would) == (0, "", "")
    assert (event.would_tokens, event.would_saved) == (200, Decimal(200) / 1_000_000)
    # The answer to the whole chat is not kept as one to what would have been left of it.
    assert len(world.exact.entries) == 1
    other = body(history=11)
    await ask(world, other)
    assert world.event.would == ""


async def test_a_plan_put_in_shadow_would_still_be_served_its_cut_answers() -> None:
    world = World(plan=full_plan(cache=CacheSettings(backend=None)))
    await ask(world, body(history=10))
    shadow = World(
        plan=full_plan(cache=CacheSettings(backend=None), mode="shadow"), exact=world.exact
    )
    client = await ask(shadow, body(history=11))
    assert told(client) == ("miss", "exact", "shadow")
    assert len(shadow.upstream.bodies[-1]["messages"]) == 23


async def test_a_request_that_takes_a_cached_answer_only_gets_none(world: World) -> None:
    await ask(world, body())
    assert (await ask(world, body(cache={"only-if-cached": True}))).status == 504
    assert (world.event.would_tokens, world.event.would_saved) == (0, None)


@pytest.mark.parametrize("mode", ["active", "off"])
async def test_other_modes_name_no_would(mode: str) -> None:
    world = World(plan=full_plan(mode=mode))
    for _ in range(2):
        client = await ask(world, body())
        assert "x-tokenthrift-would" not in client.headers
        assert (world.event.shadow, world.event.would) == (False, "")


def told(client: FakeClient) -> tuple[str | None, ...]:
    return tuple(
        client.headers.get(f"x-tokenthrift-{name}") for name in ("cache", "would", "bypass-reason")
    )
