"""A wrong answer is taken out of every tier that can be reached, and is served by none."""

from dataclasses import replace

import pytest

from plans.snapshot import CacheSettings
from proxy.core.caching.envelope import Envelope
from proxy.core.config import FeedbackPenalties
from proxy.feedback.eviction import StoredCopy, find_copies, remove_copies, restore_copies
from tests.support.entries import decode, encode
from tests.support.fakes import FakeSemantic, World, ask, body, full_plan, resealed


def kept_as(held: StoredCopy) -> Envelope:
    assert held.envelope is not None
    return held.envelope


@pytest.fixture
async def world() -> World:
    made = World()
    await ask(made, body())
    return made


async def test_an_entry_leaves_every_tier_and_comes_back(world: World) -> None:
    (entry,) = world.exact.entries
    held = await find_copies(world.tools, entry)
    assert [each.tier for each in held] == ["exact", "pgvector_semantic"]
    await remove_copies(world.tools, held)
    assert (world.exact.entries, world.semantic.entries) == ({}, {})
    assert await restore_copies(world.tools, held) == 2
    assert await restore_copies(world.tools, held) == 0  # it is there again
    assert decode(world.exact.entries[entry]).completion == kept_as(held[0]).completion
    assert (await ask(world, body("how do i PAY"))).headers["x-tokenthrift-cache"] == "semantic"


async def test_neighbours_of_another_scope_stay(world: World) -> None:
    ((entry, stored),) = world.semantic.entries.items()
    world.semantic.entries["twin"] = resealed(stored, entry_id="twin")
    world.semantic.entries["foreign"] = resealed(stored, entry_id="foreign", scope="another")
    assert {each.entry_id for each in await find_copies(world.tools, entry)} == {entry, "twin"}


async def test_what_could_not_be_deleted_is_not_served(world: World) -> None:
    (entry,) = world.exact.entries
    held = await find_copies(world.tools, entry)
    world.exact.down = world.semantic.down = True
    assert await find_copies(world.tools, entry) == []
    await remove_copies(world.tools, held)
    world.exact.down = world.semantic.down = False
    assert (await ask(world, body())).headers["x-tokenthrift-cache"] == "exact"
    wrong = frozenset((kept_as(each).scope, kept_as(each).created_at) for each in held)
    world.source.config = replace(
        world.source.config, revision=2, penalties=FeedbackPenalties(wrong_answers=wrong)
    )
    assert (await ask(world, body())).headers["x-tokenthrift-cache"] == "miss"
    assert (await ask(world, body())).headers["x-tokenthrift-cache"] == "exact"  # answered anew


async def test_an_exact_entry_alone_can_go(world: World) -> None:
    alone = World(plan=full_plan(cache=CacheSettings(backend=None)))
    await ask(alone, body())
    (entry,) = alone.exact.entries
    assert [each.tier for each in await find_copies(alone.tools, entry)] == ["exact"]
    assert await find_copies(alone.tools, "nobody") == []


async def test_what_was_planted_or_moved_is_nobody_s_holding(world: World) -> None:
    ((entry, stored),) = world.semantic.entries.items()
    world.semantic.entries["moved"] = replace(stored, entry_id="moved")
    world.exact.entries[entry] = b"planted"
    assert [(each.entry_id, each.tier) for each in await find_copies(world.tools, entry)] == [
        (entry, "pgvector_semantic")
    ]


async def test_a_neighbour_that_two_backends_have_is_one_copy_in_each_tier(world: World) -> None:
    """Else its exact copy would be evicted, counted and put back twice."""
    ((entry, stored),) = world.semantic.entries.items()
    near = resealed(stored, entry_id="near")
    other = FakeSemantic(name="redis_semantic")
    other.entries |= {entry: stored, "near": near}
    world.semantic.entries["near"] = near
    world.exact.entries["near"] = encode(
        replace(decode(world.exact.entries[entry]), entry_id="near")
    )
    tools = replace(
        world.tools, semantic_caches={each.name: each for each in (world.semantic, other)}
    )
    held = await find_copies(tools, entry)
    places = [(each.entry_id, each.tier) for each in held]
    assert sorted(places) == sorted({*places})
    assert len(places) == 6
    await remove_copies(tools, held)
    assert await restore_copies(tools, held) == 6
