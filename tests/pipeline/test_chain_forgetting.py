"""An answer that was forgotten is never served again, from wherever it comes back."""

from dataclasses import replace

import msgpack
import orjson
import pytest

from proxy.core.errors import ToolUnavailable
from proxy.pipeline import chain
from tests.support.entries import decode, encode
from tests.support.fakes import FakeClient, World, ask, body, completion


def forget(world: World, tag: str = "", *, plan: int = 1, tenant: int | None = None) -> None:
    """What a worker reads after the management call:
    a new revision, and from it on the answers count."""
    old = world.source.config
    marks = {**old.min_revisions, (plan, tenant, tag): old.revision + 1}
    world.source.config = replace(old, revision=old.revision + 2, min_revisions=marks)


async def tier(world: World, raw: bytes) -> str:
    return (await ask(world, raw)).headers["x-tokenthrift-cache"]


@pytest.mark.parametrize("again", [body("How do I pay?"), body("how do i pay")])
async def test_forgetting_all_reaches_both_tiers_and_what_comes_after_counts(again: bytes) -> None:
    world = World()
    await ask(world, body("How do I pay?"))
    forget(world)
    world.upstream.says = completion("A newer answer.")
    assert orjson.loads((await ask(world, again)).received) == completion("A newer answer.")
    assert await tier(world, again) == "exact"


async def test_a_tag_reaches_what_carries_it_and_nothing_else() -> None:
    world = World()
    prices, hours = (
        body("What is the price?", cache={"tags": ["prices", "de"]}),
        body("When is it open?", cache={"tags": ["hours"]}),
    )
    for raw in (prices, hours):
        await ask(world, raw)
    forget(world, "prices")
    assert [await tier(world, raw) for raw in (prices, hours)] == ["miss", "exact"]


async def test_a_request_that_names_a_tag_is_never_given_an_answer_older_than_its_end() -> None:
    world = World()
    await ask(world, body())
    forget(world, "prices")
    assert await tier(world, body(cache={"tags": ["prices"]})) == "miss"
    assert await tier(world, body(cache={"tags": ["prices"]})) == "exact"


async def test_another_plans_and_another_tenants_answers_stay() -> None:
    world = World()
    await ask(world, body())
    forget(world, plan=2)
    forget(world, tenant=2)
    assert await tier(world, body()) == "exact"
    forget(world, tenant=1)
    assert await tier(world, body()) == "miss"


async def test_what_a_worker_holds_in_memory_is_forgotten_too() -> None:
    world = World()
    world.tools.local_cache.start_invalidations()
    for _ in range(2):
        await ask(world, body())
    world.exact.down = world.semantic.down = True
    assert await tier(world, body()) == "exact"
    forget(world)
    assert await tier(world, body()) == "miss"


async def test_a_request_that_began_before_stores_what_nobody_is_served() -> None:
    world = World()
    send = world.upstream.send

    async def forgotten_meanwhile(*args: object, **fields: object) -> object:
        forget(world)
        return await send(*args, **fields)  # type: ignore[arg-type]

    world.upstream.send = forgotten_meanwhile  # type: ignore[method-assign,assignment]
    assert await tier(world, body()) == "miss"
    world.upstream.send = send  # type: ignore[method-assign]
    assert len(world.exact.entries) == 1
    assert await tier(world, body()) == "miss"
    assert await tier(world, body()) == "exact"


async def test_an_entry_that_comes_back_into_an_empty_store_stays_dead() -> None:
    world = World()
    await ask(world, body())
    exact, semantic = dict(world.exact.entries), dict(world.semantic.entries)
    forget(world)
    # A replica promoted, a backup restored.
    world.exact.entries, world.semantic.entries = exact, semantic
    assert await tier(world, body("how do i pay")) == "miss"


async def test_dead_neighbours_make_room_for_living_ones() -> None:
    world = World()
    for raw in (
        body("How do I pay?"),
        body("how DO i pay"),
        body("HOW do I PAY"),
        body("how do I pay!"),
        body("How Do I Pay?"),
        body("how do i PAY?"),
    ):
        world.exact.entries.clear()
        await ask(world, raw, cache_control="no-cache")
    assert len(world.semantic.entries) == 6
    forget(world)
    await ask(world, body("how do i pay"))
    assert world.event.reason == "forgotten"
    assert len(world.semantic.entries) == 2  # five looked at and removed, one added
    assert await tier(world, body("How do i pay")) == "semantic"


async def test_the_same_question_forgotten_is_replaced_and_not_removed() -> None:
    world = World()
    await ask(world, body())
    forget(world)
    await ask(world, body())
    assert len(world.semantic.entries) == 1
    assert await tier(world, body("how do i pay")) == "semantic"


async def test_entries_of_an_older_schema_are_a_miss_and_no_error() -> None:
    world = World()
    await ask(world, body())
    old = b"J" + msgpack.packb([1, "s", 1, 1.5, 9.5, b"{}", 3, 2, 1, False])
    world.exact.entries = dict.fromkeys(world.exact.entries, old)
    world.semantic.entries = {
        name: replace(entry, envelope=old) for name, entry in world.semantic.entries.items()
    }
    call = world.call(body())
    await chain.run(call, world.tools)
    assert isinstance(call.client, FakeClient)
    assert (
        call.client.status,
        call.client.headers["x-tokenthrift-cache"],
        world.event.failures,
    ) == (200, "miss", ())
    assert [decode(value).revision for value in world.exact.entries.values()] == [1]


async def test_broken_neighbours_make_room_too() -> None:
    world = World()
    await ask(world, body())
    world.semantic.entries = {
        name: replace(entry, envelope=b"J\x00") for name, entry in world.semantic.entries.items()
    }
    world.upstream.says = completion("not stored", finish="length")
    await ask(world, body("how do i pay"))
    assert world.event.reason == "foreign"
    assert world.semantic.entries == {}


async def test_a_store_that_cannot_delete_is_no_failure() -> None:
    world = World()
    await ask(world, body())
    forget(world)

    async def gone(entry_id: str) -> None:
        raise ToolUnavailable("pgvector_semantic", "gone")

    world.semantic.delete = gone  # type: ignore[method-assign]
    world.upstream.says = completion("A newer answer.")
    assert orjson.loads((await ask(world, body("how do i pay"))).received) == completion(
        "A newer answer."
    )
    assert len(world.semantic.entries) == 2


async def test_the_entry_carries_tags_and_the_revision_it_was_asked_under() -> None:
    world = World()
    world.source.config = replace(world.source.config, revision=77)
    await ask(world, body(cache={"tags": ["b", "a"]}))
    [kept] = [decode(value) for value in world.exact.entries.values()]
    assert (kept.revision, kept.tags) == (77, ("b", "a"))
    assert decode(encode(kept)) == kept
