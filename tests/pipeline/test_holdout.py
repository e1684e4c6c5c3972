"""A request that is held out goes as if it had no plan, and is counted on its side."""

from decimal import Decimal
from typing import Any

import pytest

from plans.snapshot import CacheSettings, PlanSnapshot
from tests.support.fakes import FakeClient, World, ask, body, completion, full_plan


def a_plan(**fields: Any) -> PlanSnapshot:
    return full_plan(holdout=0.5, **fields)


async def sides(world: World, number: int = 40, **fields: Any) -> tuple[list[str], list[str]]:
    """Questions that are held out, and questions that are not. The caches are empty afterwards."""
    asked = [f"Question {name}" for name in range(number)]
    for question in asked:
        await ask(world, body(question, **fields))
    held = [
        question
        for question, event in zip(asked, world.ledger.events, strict=True)
        if event.reason == "holdout"
    ]
    world.exact.entries.clear()
    world.semantic.entries.clear()
    world.upstream.bodies.clear()
    world.ledger.entries.clear()
    return held, [question for question in asked if question not in held]


def told(client: FakeClient) -> tuple[str | None, str | None]:
    return client.headers.get("x-tokenthrift-cache"), client.headers.get(
        "x-tokenthrift-bypass-reason"
    )


async def test_it_is_answered_by_the_provider_each_time_and_nothing_is_stored() -> None:
    world = World(plan=a_plan())
    held, _ = await sides(world)
    for answer in ("One.", "Another."):
        world.upstream.says = completion(answer)
        client = await ask(world, body(held[0]))
        assert answer.encode() in client.received
        assert told(client) == ("bypass", "holdout")
        assert client.headers["x-tokenthrift-plan"] == "support"
        assert client.headers["cache-status"] == "tokenthrift; fwd=bypass; detail=holdout"
        assert client.headers["x-tokenthrift-tokens-saved"] == "0"
    event = world.event
    assert (
        event.plan_id,
        event.is_counted,
        event.attempts,
        event.tokens_saved,
        event.cost_saved,
    ) == (
        1,
        True,
        1,
        0,
        Decimal(0),
    )
    assert (event.holdout, event.would_cost) == (0.5, event.billed_cost)
    assert not world.exact.entries
    assert not world.semantic.entries
    assert not world.ledger.entries


async def test_it_takes_nothing_from_the_caches_and_compares_nothing() -> None:
    world = World(plan=a_plan())
    held, _ = await sides(world)
    whole = World(plan=full_plan(), exact=world.exact, semantic=world.semantic)
    for question in held:
        await ask(whole, body(question))
    texts = len(world.embedder.texts)
    assert world.exact.entries
    for question in held:
        assert told(await ask(world, body(question))) == ("bypass", "holdout")
    assert len(world.embedder.texts) == texts


async def test_its_chat_goes_whole() -> None:
    world = World(plan=a_plan(cache=None))
    lots = []
    for name in range(20):
        await ask(world, body(history=10, user=f"user {name}"))
        lots.append(
            (world.event.reason, len(world.upstream.bodies[-1]["messages"]), world.event.engine)
        )
    assert set(lots) == {("holdout", 21, ""), ("no-cache-in-plan", 1, "trim")}


async def test_the_others_are_served_and_stored_as_ever() -> None:
    world = World(plan=a_plan())
    _, treated = await sides(world)
    for question in treated:
        await ask(world, body(question))
        assert told(await ask(world, body(question))) == ("exact", None)
        assert world.event.holdout == 0.5


async def test_turns_of_a_chat_share_their_lot_whatever_the_instructions_say() -> None:
    world = World(plan=a_plan())
    held, treated = await sides(world)
    for question in (*held, *treated):
        turns: list[dict[str, Any]] = [
            {"role": "system", "content": "It is noon."},
            {"role": "user", "content": question},
        ]
        for turn in range(3):
            turns[0] = {"role": "system", "content": f"It is {turn} o'clock."}
            await ask(world, body(messages=turns))
            assert (world.event.reason == "holdout") is (question in held)
            turns += [
                {"role": "assistant", "content": f"Reply {turn}"},
                {"role": "user", "content": f"And {turn}?"},
            ]
    assert len({event.replicate for event in world.ledger.events}) > 10


async def test_people_who_ask_the_same_are_not_all_on_one_side() -> None:
    world = World(plan=a_plan())
    for name in range(40):
        await ask(world, body(user=f"user {name}"))
    assert 8 < sum(event.reason == "holdout" for event in world.ledger.events) < 32


@pytest.mark.parametrize("mode", ["shadow", "off"])
async def test_nothing_is_held_out_where_nothing_is_saved(mode: str) -> None:
    world = World(plan=a_plan(mode=mode))
    held, _ = await sides(world)
    assert not held
    assert {event.holdout for event in world.ledger.events} == {0.0}


async def test_without_a_share_nothing_is_drawn() -> None:
    world = World()
    held, _ = await sides(world)
    assert not held
    assert {(event.holdout, event.replicate) for event in world.ledger.events} == {(0.0, 0)}


async def test_a_request_that_takes_a_stored_answer_or_none_is_not_drawn() -> None:
    world = World(plan=a_plan())
    for name in range(20):
        await ask(world, body(f"Question {name}", cache={"only-if-cached": True}))
        assert (world.event.status, world.event.holdout) == (504, 0.0)


async def test_a_sample_is_of_its_request_s_group() -> None:
    world = World(plan=a_plan(cache=CacheSettings(max_error_rate=0.1, sample_rate=1.0)))
    _, treated = await sides(world)
    before = [
        {"role": "user", "content": treated[0]},
        {"role": "assistant", "content": "Like this."},
    ]
    for question in ("How do I pay?", "how do i PAY"):
        await ask(world, body(messages=[*before, {"role": "user", "content": question}]))
    await world.tools.background_tasks.drain()
    hit, sample = world.ledger.events[-2:]
    assert (hit.tier, sample.tier) == ("semantic", "sample")
    assert (sample.holdout, sample.replicate) == (0.5, hit.replicate)


async def test_the_provider_s_failure_is_the_client_s_as_without_a_plan() -> None:
    world = World(plan=a_plan(cache=CacheSettings(stale_if_error=60)))
    held, _ = await sides(world)
    world.upstream.says = {"error": {"message": "no"}}
    client = await ask(world, body(held[0]))
    assert client.status == 502
    assert not world.event.is_counted
