"""When the embedder changes, old entries are invisible until they are brought over,
and never mixed; on every backend."""

import asyncio

import pytest

from proxy.core.ports import OutdatedEntry
from tests.support.backends import AnyCache, Backend, at

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant"),
]


async def outdated(backend: Backend, cache: AnyCache, batch: int = 2) -> list[OutdatedEntry]:
    """Those of this test: the table of PostgreSQL is shared with others."""
    found = [
        entry
        async for page in cache.iter_outdated(batch)
        for entry in page
        if entry.entry_id.startswith(backend.run)
    ]
    return sorted(found, key=lambda entry: (entry.storage_location, entry.entry_id))


async def test_old_entries_are_invisible_then_moved_whole(backend: Backend) -> None:
    old, new = backend.cache("old"), backend.cache("new", 16)
    for name in ("a", "b", "c"):
        await old.add(
            backend.entry(
                name,
                at(0),
                embedder="old",
                bucket=f"bucket-{name}",
                scope=f"scope-{name}",
                envelope=bytes(range(256)),
            )
        )
    assert await new.find_nearest("bucket-a", at(0, 16), floor=-1, limit=5) == []

    found = await outdated(backend, new)
    assert [(entry.entry_id, entry.question) for entry in found] == [
        (backend.id(name), f"question {name}") for name in "abc"
    ]
    for entry in found:
        await new.move_entry(entry, at(20, 16))

    assert await outdated(backend, new) == []
    for name in ("a", "b", "c"):
        (moved,) = await new.find_nearest(f"bucket-{name}", at(20, 16), floor=0.99, limit=5)
        assert (moved.entry_id, moved.scope) == (backend.id(name), f"scope-{name}")
        assert (moved.question, moved.envelope) == (f"question {name}", bytes(range(256)))
        assert await old.find_nearest(f"bucket-{name}", at(0), floor=-1, limit=5) == []


async def test_two_former_embedders_of_one_dimension_stay_apart(backend: Backend) -> None:
    first, second, now = backend.cache("first"), backend.cache("second"), backend.cache("now")
    await first.add(backend.entry("a", at(0), embedder="first"))
    await second.add(backend.entry("b", at(0), embedder="second"))
    await now.add(backend.entry("c", at(0), embedder="now"))
    for cache, name in ((first, "a"), (second, "b"), (now, "c")):
        assert [
            one.entry_id for one in await cache.find_nearest("b1", at(0), floor=-1, limit=5)
        ] == [backend.id(name)]
    assert [entry.entry_id for entry in await outdated(backend, now)] == [
        backend.id("a"),
        backend.id("b"),
    ]
    assert len({entry.storage_location for entry in await outdated(backend, now)}) == 2


async def test_a_moved_entry_expires_when_it_would_have(backend: Backend) -> None:
    old, new = backend.cache("old"), backend.cache("new")
    await old.add(backend.entry("late", at(0), embedder="old", ttl=1.0))
    await old.add(backend.entry("past", at(0), embedder="old", ttl=-5))
    (entry,) = await outdated(backend, new)
    await new.move_entry(entry, at(0))
    assert len(await new.find_nearest("b1", at(0), floor=0.9, limit=5)) == 1
    await asyncio.sleep(1.05)
    assert await new.find_nearest("b1", at(0), floor=0.9, limit=5) == []


async def test_an_answer_that_came_meanwhile_wins(backend: Backend) -> None:
    old, new = backend.cache("old"), backend.cache("new")
    await old.add(backend.entry("e", at(0), embedder="old", envelope=b"old"))
    (entry,) = await outdated(backend, new)
    await new.add(backend.entry("e", at(10), embedder="new", envelope=b"new"))
    await new.move_entry(entry, at(0))
    (found,) = await new.find_nearest("b1", at(10), floor=0.999, limit=5)
    assert found.envelope == b"new"
    assert await outdated(backend, new) == []


async def test_moving_twice_or_what_is_gone_does_nothing(backend: Backend) -> None:
    old, new = backend.cache("old"), backend.cache("new")
    await old.add(backend.entry("e", at(0), embedder="old"))
    (entry,) = await outdated(backend, new)
    await asyncio.gather(*(new.move_entry(entry, at(0)) for _ in range(4)))
    assert len(await new.find_nearest("b1", at(0), floor=0.9, limit=5)) == 1
    await new.delete(entry.entry_id)
    await new.move_entry(entry, at(0))
    assert await new.find_nearest("b1", at(0), floor=-1, limit=5) == []


async def test_another_installation_is_never_touched(backend: Backend) -> None:
    if backend.kind == "pgvector":
        pytest.skip("installations never share a table: each has its database")
    new = backend.cache("new")
    for instance in ("0", "-semantic", ":semantic", "*", "~"):  # names that begin like ours
        other = backend.cache("old", instance=instance)
        await other.add(backend.entry(f"of {instance}", at(0), embedder="old"))
        assert await outdated(backend, new) == []
        assert await new.purge_expired() == 0
        assert len(await other.find_nearest("b1", at(0), floor=0.9, limit=5)) == 1
    assert await outdated(backend, backend.cache("new", instance="?")) == []


async def test_purge_reaches_former_embedders_too(backend: Backend) -> None:
    """Redis expires them by itself."""
    old, new = backend.cache("old"), backend.cache("new")
    await new.purge_expired()
    await old.add(backend.entry("past", at(0), embedder="old", ttl=-5))
    await old.add(backend.entry("fresh", at(0), embedder="old"))
    assert await new.purge_expired() == (0 if backend.kind == "redis" else 1)
    (entry,) = await outdated(backend, new)
    await new.move_entry(entry, at(0))
    assert await new.purge_expired() == 0
    await old.add(
        backend.entry("again", at(0), embedder="old")
    )  # a worker that has not been restarted yet, whose collection was taken away
    assert [one.entry_id for one in await old.find_nearest("b1", at(0), floor=0.9, limit=5)] == [
        backend.id("again")
    ]


async def test_deleting_reaches_former_embedders_and_no_other_entry_or_installation(
    backend: Backend,
) -> None:
    old, new = backend.cache("old"), backend.cache("new", 16)
    others = (
        []
        if backend.kind == "pgvector"
        else [backend.cache("old", instance=name) for name in ("-semantic", ":semantic", "0")]
    )
    for cache in (old, *others):
        await cache.add(backend.entry("e", at(0), embedder="old"))
    await old.add(backend.entry("kept", at(0), embedder="old"))
    await new.delete(backend.id("e"))
    assert await old.get(backend.id("e")) is None
    assert await old.get(backend.id("kept")) is not None
    for other in others:
        assert await other.get(backend.id("e")) is not None
