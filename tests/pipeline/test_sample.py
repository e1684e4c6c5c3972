"""A share of semantic hits is answered by the provider too, after the reply, and compared."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest

from plans.snapshot import CacheSettings
from proxy.core.errors import UpstreamUnreachable
from proxy.core.quality.cohort import derive_cohort
from proxy.core.quality.error_budget import TierState
from proxy.pipeline.toolbox import Toolbox
from stats.events import Event
from tests.support.fakes import FakeReply, World, ask, body, completion, full_plan

ASKED, NEAR = "How do I pay?", "how do I pay"


def budgeted(**cache: Any) -> World:
    """A gateway with an error budget, in which every would-be hit is sampled,
    and one stored answer."""
    given: dict[str, Any] = {"match": "cosine", "max_error_rate": 0.01, "sample_rate": 1.0} | cache
    return World(plan=full_plan(cache=CacheSettings(**given)))


async def hit(world: World, question: str = NEAR, **fields: Any) -> Any:
    """The reply to the near question, once what was begun after it has ended."""
    client = await ask(world, body(question, **fields))
    await world.tools.background_tasks.drain()
    return client


async def primed(**cache: Any) -> World:
    world = budgeted(**cache)
    await ask(world, body(ASKED))
    await world.tools.background_tasks.drain()
    return world


def sample(world: World) -> Event:
    (found,) = [event for event in world.ledger.events if event.tier == "sample"]
    return found


async def test_a_sampled_hit_is_served_and_then_asked_upstream() -> None:
    world = await primed()
    client = await hit(world)
    assert client.headers["x-tokenthrift-cache"] == "semantic"
    assert orjson.loads(client.received) == completion()
    assert len(world.upstream.bodies) == 2
    served = world.ledger.events[-2]
    assert (served.tier, served.attempts, served.spent_cost) == ("semantic", 0, Decimal(0))


async def test_the_sample_is_a_row_of_its_own_spent_on_saving() -> None:
    world = await primed()
    await hit(world)
    served, found = world.ledger.events[-2], sample(world)
    assert (found.sample, found.would, found.attempts, found.plan) == (
        "right",
        "semantic",
        1,
        "support",
    )
    assert (found.spent_cost, found.billed_cost, found.would_cost) == (
        Decimal("0.00012"),
        Decimal(0),
        Decimal(0),
    )
    assert (found.prompt_tokens, found.completion_tokens, found.tokens_saved) == (100, 10, -110)
    assert found.cost_saved == -found.spent_cost
    assert found.note == f"sample of {served.event_id}"
    assert found.basis
    assert found.similarity == served.similarity
    assert not found.is_counted


async def test_every_call_upstream_has_its_attempt_in_the_ledger() -> None:
    world = await primed()
    await hit(world)
    events = world.ledger.events
    assert (
        sum(event.attempts for event in events)
        == len(world.upstream.bodies)
        == len(world.ledger.attempts)
    )
    assert {attempt.event_id for attempt in world.ledger.attempts} == {
        event.event_id for event in events if event.attempts
    }
    assert all(event.attempts == 0 for event in events if event.tier in ("exact", "semantic"))


async def test_a_stream_is_sampled_without_one() -> None:
    world = await primed()
    await hit(world, stream=True, stream_options={"include_usage": True})
    assert not world.upstream.bodies[-1].get("stream")
    assert "stream_options" not in world.upstream.bodies[-1]
    assert sample(world).sample == "right"


async def test_another_answer_is_wrong_and_its_entry_serves_nobody_else() -> None:
    world = await primed()
    world.upstream.says = completion("No, that costs 12 euros and takes 3 days.")
    stored = next(iter(world.semantic.entries))
    await hit(world)
    found = sample(world)
    assert (found.sample, found.entry_id) == ("wrong", stored)
    assert stored not in world.semantic.entries
    # The fresh answer was kept.
    assert orjson.loads((await hit(world)).received) == world.upstream.says


async def test_without_a_budget_nothing_is_sampled() -> None:
    world = await primed(max_error_rate=None)
    await hit(world)
    assert [event.tier for event in world.ledger.events] == ["miss", "semantic"]
    assert len(world.upstream.bodies) == 1


async def test_nothing_is_sampled_at_a_rate_of_nought_nor_of_exact_hits() -> None:
    world = await primed(sample_rate=0.0)
    await hit(world)
    await hit(world, ASKED)
    assert [event.tier for event in world.ledger.events] == ["miss", "semantic", "exact"]


async def test_who_wants_a_stored_answer_or_none_causes_no_call() -> None:
    world = await primed()
    client = await hit(world, cache={"only-if-cached": True})
    assert client.headers["x-tokenthrift-cache"] == "semantic"
    assert len(world.upstream.bodies) == 1


async def test_the_client_never_waits_for_a_sample() -> None:
    world = await primed()
    world.upstream.hang = True
    client = await asyncio.wait_for(ask(world, body(NEAR)), 1)
    assert orjson.loads(client.received) == completion()
    await world.tools.background_tasks.close()


async def test_a_server_that_stops_cancels_its_samples_and_records_them() -> None:
    world = await primed()
    world.upstream.hang = True
    await ask(world, body(NEAR))
    await asyncio.sleep(0.05)
    await world.tools.background_tasks.close()
    found = sample(world)
    assert (found.outcome, found.attempts, found.sample) == ("cut", 1, "")
    assert not world.tools.background_tasks.start_task(asyncio.sleep(0))


async def test_a_provider_that_fails_gives_no_outcome() -> None:
    world = await primed()
    world.upstream.error = UpstreamUnreachable("gone")
    client = await hit(world)
    assert client.status == 200
    found = sample(world)
    assert (found.sample, found.outcome, found.status, found.attempts, found.spent_cost) == (
        "",
        "upstream_error",
        502,
        1,
        Decimal(0),
    )


async def test_an_answer_that_cannot_be_compared_is_still_paid_for() -> None:
    world = await primed()
    world.upstream.says = completion("An ans", finish="length")
    await hit(world)
    assert (sample(world).sample, sample(world).spent_cost) == ("", Decimal("0.00012"))


async def test_a_provider_s_error_gives_no_outcome() -> None:
    world = await primed()
    world.upstream.reply = FakeReply(429, {}, [b'{"error": {"message": "slow down"}}'])
    await hit(world)
    assert (sample(world).sample, sample(world).status, sample(world).spent_cost) == (
        "",
        429,
        Decimal(0),
    )


async def test_an_embedder_that_dies_meanwhile_leaves_the_cost_and_no_outcome() -> None:
    world = await primed()
    world.upstream.says = completion("Another one.")
    await ask(world, body(NEAR))
    world.embedder.down = True
    await world.tools.background_tasks.drain()
    assert (sample(world).sample, sample(world).spent_cost, sample(world).failures) == (
        "",
        Decimal("0.00012"),
        ("embedder",),
    )


async def test_a_tier_that_is_off_serves_no_meaning_but_goes_on_measuring_for_nothing() -> None:
    world = await primed()
    turn_off(world.tools)
    client = await hit(world)
    assert client.headers["x-tokenthrift-cache"] == "miss"
    missed, found = world.ledger.events[-2:]
    assert (missed.tier, missed.reason, missed.would, missed.attempts) == (
        "miss",
        "error-budget",
        "semantic",
        1,
    )
    assert (found.tier, found.sample, found.attempts, found.spent_cost, found.tokens_saved) == (
        "sample",
        "right",
        0,
        Decimal(0),
        0,
    )
    assert len(world.upstream.bodies) == 2
    assert (await hit(world, ASKED)).headers["x-tokenthrift-cache"] == "exact"


def turn_off(tools: Toolbox) -> None:
    (plan,) = tools.config_source.config.plans.values()
    assert plan.cache is not None
    tools.error_budgets.apply_switch(
        plan, basis(tools, plan.cache), 1, since=0.0, off="error-budget"
    )


def basis(tools: Toolbox, cache: CacheSettings) -> str:
    return derive_cohort(cache, tools.scorer_id)


async def test_wrong_answers_turn_the_tier_off() -> None:
    world = budgeted()
    for number in range(4):
        world.upstream.says = completion(f"It takes {number} days.")
        await ask(world, body(f"How long is way {number}?"))
        world.upstream.says = completion(f"It takes {number + 20} days.")
        assert (await hit(world, f"how long is way {number}")).headers[
            "x-tokenthrift-cache"
        ] == "semantic"
    world.upstream.says = completion("It takes 7 days.")
    await ask(world, body("How long is the last?"))
    assert (await hit(world, "how long is the last")).headers["x-tokenthrift-cache"] == "miss"
    (trip,) = world.tools.error_budgets.unsaved_trips
    assert trip.reason == "error-budget"
    assert trip.detail == "4 of 4 sampled hits were wrong: at least 51.0%, the budget is 1.00%"


async def test_a_neighbour_below_the_threshold_is_compared_when_the_provider_answered_anyway(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = await primed()
    nearest = world.semantic.find_nearest

    async def a_little_farther(*arguments: Any, **keywords: Any) -> Any:
        return [replace(each, similarity=0.8) for each in await nearest(*arguments, **keywords)]

    monkeypatch.setattr(world.semantic, "find_nearest", a_little_farther)
    assert (await hit(world)).headers["x-tokenthrift-cache"] == "miss"
    found = sample(world)
    assert (found.sample, found.would, found.similarity, found.attempts) == ("right", "", 0.8, 0)


@pytest.mark.parametrize(
    ("similarity", "learned", "tier"),
    [
        (0.83, 0.82, "semantic"),
        (0.81, 0.82, "miss"),
        (0.87, 0.88, "miss"),
        (0.89, 0.88, "semantic"),
    ],
)
async def test_hits_are_served_from_the_threshold_that_the_samples_taught(
    monkeypatch: pytest.MonkeyPatch, similarity: float, learned: float, tier: str
) -> None:
    world = await primed(sample_rate=0.0001)
    monkeypatch.setattr(world.tools.error_budgets, "tier_state", lambda *_: TierState(learned))
    nearest = world.semantic.find_nearest

    async def so_far(*arguments: Any, **keywords: Any) -> Any:
        return [
            replace(each, similarity=similarity) for each in await nearest(*arguments, **keywords)
        ]

    monkeypatch.setattr(world.semantic, "find_nearest", so_far)
    assert (await hit(world)).headers["x-tokenthrift-cache"] == tier
    strict = await hit(world, f"{NEAR} !", cache={"similarity_threshold": 0.99})
    assert strict.headers["x-tokenthrift-cache"] == "miss"  # a request may still raise it


async def test_every_new_question_that_is_looked_up_is_watched_and_exact_hits_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = await primed()
    seen: list[tuple[str, str]] = []
    monkeypatch.setattr(
        world.tools.error_budgets,
        "observe_lookup",
        lambda plan, basis, tenant, question, served: seen.append((question, served)),
    )
    stored = next(iter(world.semantic.entries))
    await hit(world)
    await hit(world, ASKED)
    await hit(world, "Another one?")
    assert seen == [(NEAR, stored), ("Another one?", "")]


async def test_only_so_many_samples_run_at_once() -> None:
    world = await primed()
    world.upstream.hang = True
    for _ in range(8):
        await ask(world, body(NEAR))
    await asyncio.sleep(0.05)
    assert len(world.upstream.bodies) == 1 + 4
    await world.tools.background_tasks.close()
