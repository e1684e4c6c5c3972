"""Under a plan that cuts when it saves, a chat's turns know of each other;
losing that fails no request."""

from dataclasses import replace

import orjson
import pytest

from plans.snapshot import CompressionSettings
from tests.support.fakes import World, ask, body, full_plan

SAVES = full_plan(
    cache=None, compression=CompressionSettings(engine="trim", max_input_tokens=64, when="saves")
)


async def test_the_next_turn_knows_how_the_last_one_was_sent() -> None:
    world = World(SAVES)
    await ask(world, body(history=10))
    assert world.compressor.terms is not None
    assert (world.compressor.terms.prefix_is_warm, world.compressor.terms.last_sent) == (
        False,
        None,
    )
    asked = orjson.loads(body(history=10))["messages"]
    turn = [
        *asked,
        {"role": "assistant", "content": "By card."},
        {"role": "user", "content": "And then?"},
    ]
    await ask(world, body(messages=turn))
    assert (world.compressor.terms.prefix_is_warm, world.compressor.terms.last_sent) == (
        True,
        "cut",
    )


async def test_what_a_chat_recalled_is_added_up_over_its_turns_above_the_budget() -> None:
    world = World(SAVES)
    messages = orjson.loads(body(history=2))["messages"]
    for searched in (0, 70, 160):
        await ask(world, body(messages=messages))
        noted = list(world.chats.sent.values())[-1]
        assert (noted.searched_tokens, noted.retrieved_tokens) == (
            searched,
            2 * (searched > 0) + 2 * (searched > 70),
        )
        messages = [
            *messages,
            {"role": "assistant", "content": "By card."},
            {"role": "user", "content": "And then?"},
        ]


async def test_what_the_provider_reports_as_cached_counts_for_chats_that_go_whole() -> None:
    world = World(SAVES)
    first = orjson.loads(body())["messages"]
    await ask(world, body())
    await ask(
        world,
        body(
            messages=[
                *first,
                {"role": "assistant", "content": "By card."},
                {"role": "user", "content": "And then?"},
            ]
        ),
    )
    assert [repeated for _, repeated in world.chats.repeated] == [0, 100]


@pytest.mark.parametrize(("provider", "held"), [("openai", True), ("anthropic", False)])
async def test_what_was_sent_some_minutes_ago_is_held_by_the_one_and_not_by_the_other(
    provider: str, held: bool
) -> None:
    world = World(SAVES)
    routes = world.source.config.routes
    routes |= {
        name: replace(route, upstream=replace(route.upstream, provider=provider))
        for name, route in routes.items()
    }
    await ask(world, body(history=10))
    world.chats.sent = {
        chat: replace(sent, sent_at=sent.sent_at - 400) for chat, sent in world.chats.sent.items()
    }
    asked = orjson.loads(body(history=10))["messages"]
    await ask(
        world,
        body(
            messages=[
                *asked,
                {"role": "assistant", "content": "By card."},
                {"role": "user", "content": "And then?"},
            ]
        ),
    )
    assert world.compressor.terms is not None
    assert world.compressor.terms.prefix_is_warm is held


async def test_chats_that_cannot_be_looked_up_fail_nothing() -> None:
    world = World(SAVES)
    world.chats.down = True
    client = await ask(world, body(history=10))
    assert client.status == 200
    assert world.event.failures == ("chats",)
    assert world.compressor.terms is not None
    assert world.compressor.terms.prefix_is_warm is None


async def test_a_plan_that_always_cuts_asks_nobody() -> None:
    world = World(full_plan())
    world.chats.down = True
    await ask(world, body(history=10))
    assert (world.compressor.terms, world.event.failures, world.chats.sent) == (None, (), {})
