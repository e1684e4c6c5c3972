"""Rows of stored answers, and the sweeper over a real PostgreSQL:
what it takes out of which store, and what it leaves."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from plans.models import Plan, Tenant, TenantUsage
from proxy.runtime.cache_sweeper import CacheSweeper
from proxy.runtime.cache_sweeper_sql import SECOND_REMOVAL_DELAY_SECONDS
from stats import database
from stats.events import CacheEntryRecord
from stats.ledger import deletions, inserts
from stats.ledger.spool import _format_line
from stats.models.cache_entries import CacheEntry
from tests.support.events import make_event
from tests.support.fakes import World

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[database.Connection]:
    made = await database.open_connection(database_url)
    yield made
    await made.close()
    await sync_to_async(connections.close_all)()  # those that async queries opened in their thread


@pytest.fixture
async def acme() -> Tenant:
    return await Tenant.objects.acreate(slug="acme")


@pytest.fixture
async def desk(acme: Tenant) -> Plan:
    return await Plan.objects.acreate(name="desk", tenant=acme)


class Cache:
    """A gateway of fakes whose stores and rows are filled together."""

    def __init__(self, conn: database.Connection, plan: Plan, url: str) -> None:
        self.conn, self.plan, self.world = conn, plan, World()
        self.sweeper = CacheSweeper(self.world.tools, url)

    async def add(
        self, entry_id: str, *, tenant: Tenant | None = None, written: bool = True, **fields: Any
    ) -> CacheEntryRecord:
        """One in both tiers, under a second exact key as well."""
        owner, now = tenant or self.plan.tenant, time.time()
        assert owner is not None
        kept = CacheEntryRecord(
            entry_id=entry_id,
            sent=f"{entry_id}-cut",
            tenant_id=owner.pk,
            tenant=owner.slug,
            plan_id=self.plan.pk,
            plan=self.plan.name,
            route="smart",
            namespace="",
            end_user="",
            backend="pgvector_semantic",
            exact=True,
            bytes=100,
            created_at=now,
            expires_at=now + 60,
        )
        kept = replace(kept, **fields)
        self.world.exact.entries |= {entry_id: b"", kept.sent: b""}
        self.world.semantic.entries[entry_id] = None  # type: ignore[assignment]  # only its name matters here
        if written:
            await self.write(kept)
        return kept

    async def write(self, *kept: CacheEntryRecord) -> None:
        await inserts.insert_rows(
            self.conn,
            "worker",
            [inserts.parse_line(_format_line("kept", each).strip()) for each in kept],
        )

    @property
    def stored(self) -> set[str]:
        """What is in all stores; fails the test when an entry is in some of them only."""
        found = set(self.world.semantic.entries)
        assert set(self.world.exact.entries) == found | {f"{each}-cut" for each in found}
        return found


@pytest.fixture
def cache(conn: database.Connection, desk: Plan, database_url: str) -> Cache:
    return Cache(conn, desk, database_url)


async def erase(**fields: Any) -> int:
    deleted, _ = await sync_to_async(deletions.erase_entries)(
        deletions.EntryFilter(**fields), by="test"
    )
    return deleted


async def test_a_deleted_entry_is_taken_out_twice(cache: Cache, conn: database.Connection) -> None:
    await cache.add("a")
    await cache.add("b")
    assert await erase(entry_id="a") == 1
    await cache.sweeper.sweep_stores()
    assert cache.stored == {"b"}
    await cache.add("a", written=False)  # a write that was still under way
    await cache.sweeper.sweep_stores()
    assert cache.stored == {"a", "b"}
    await conn.execute(
        "UPDATE stats_cacheentry SET doomed_at = doomed_at - make_interval(secs => %s)",
        (SECOND_REMOVAL_DELAY_SECONDS,),
    )
    await cache.sweeper.sweep_stores()
    assert cache.stored == {"b"}
    assert [row.entry_id async for row in CacheEntry.objects.all()] == ["b"]


async def test_an_answer_kept_anew_after_its_deletion_stays(
    cache: Cache, conn: database.Connection
) -> None:
    kept = await cache.add("a")
    await erase(entry_id="a-cut")
    await cache.sweeper.sweep_stores()
    assert cache.stored == set()
    await conn.execute(
        "UPDATE stats_cacheentry SET doomed_at = doomed_at - make_interval(secs => %s)",
        (SECOND_REMOVAL_DELAY_SECONDS,),
    )
    await cache.add("a", created_at=time.time() + 0.001, expires_at=kept.expires_at)
    await cache.sweeper.sweep_stores()
    assert cache.stored == {"a"}


@pytest.mark.parametrize(
    ("wanted", "hit"),
    [({}, True), ({"namespace": "n"}, True), ({"namespace": "m"}, False), ({"route": "smart"}, True), ({"end_user": "u"}, True),
     ({"end_user": "v"}, False), ({"entry_id": "late"}, True), ({"entry_id": "late-cut"}, True), ({"plan_id": -1}, False),
     ({"tenant_id": -1}, False)],
)  # fmt: skip
async def test_a_row_that_comes_in_late_is_deleted_as_it_comes(
    cache: Cache, wanted: dict[str, Any], hit: bool
) -> None:
    kept = await cache.add("late", namespace="n", end_user="u", written=False)
    assert await erase(**wanted) == 0
    later = replace(kept, entry_id="new", sent="new-cut", created_at=time.time() + 1)
    await cache.write(kept, later)
    await cache.sweeper.sweep_stores()
    assert cache.stored == (set() if hit else {"late"})
    assert {row.entry_id async for row in deletions.find_servable_entries()} == (
        {"new"} if hit else {"new", "late"}
    )


async def test_lines_that_come_twice_or_in_the_wrong_order_leave_the_newest(cache: Cache) -> None:
    kept = await cache.add("a", bytes=1)
    await cache.write(
        replace(kept, bytes=3, created_at=kept.created_at + 2),
        replace(kept, bytes=2, created_at=kept.created_at + 1),
    )
    await cache.write(replace(kept, bytes=1))
    await cache.write(replace(kept, entry_id="old", expires_at=time.time() - 1))
    assert [row.bytes async for row in CacheEntry.objects.all()] == [3]


async def test_a_store_that_is_away_keeps_its_entries_waiting_and_only_those(cache: Cache) -> None:
    await cache.add("a")
    await cache.add("b", exact=False)
    cache.world.exact.down = True
    assert await erase() == 2
    await cache.sweeper.sweep_stores()
    assert "b" not in cache.world.semantic.entries
    assert {row.entry_id: row.removed async for row in CacheEntry.objects.all()} == {
        "a": False,
        "b": True,
    }
    cache.world.exact.down = False
    cache.sweeper._stores_away_until.clear()  # two seconds later
    await cache.sweeper.sweep_stores()
    assert "a" not in cache.world.exact.entries


async def test_surplus_goes_by_last_use_and_leaves_other_tenants_alone(
    cache: Cache, acme: Tenant, conn: database.Connection
) -> None:
    rival = await Tenant.objects.acreate(slug="rival")
    now = time.time()
    for number in range(6):
        await cache.add(f"a{number}", created_at=now - 600 + number)
        await cache.add(f"r{number}", tenant=rival, created_at=now - 900 + number)
    # by way of the ledger: the first is used again, also under the key of the compressed request
    # the second
    hits = [
        make_event(at=now, tier="exact", entry_id=entry_id) for entry_id in ("a0", "a0", "a1-cut")
    ]
    await inserts.insert_rows(
        conn, "worker", [inserts.parse_line(_format_line("event", each).strip()) for each in hits]
    )
    assert [(row.hits, row.used_at.timestamp() == pytest.approx(now)) async for row in CacheEntry.objects.filter(entry_id__in=("a0", "a1"))
            .order_by("entry_id")] == [(2, True), (1, True)]  # fmt: skip
    await Tenant.objects.filter(pk=acme.pk).aupdate(max_entries=5, max_bytes=350)
    await cache.sweeper.sweep_stores()
    assert cache.stored == {"a0", "a1", "a5", *(f"r{number}" for number in range(6))}
    cache.sweeper._next_count_at = 0.0
    await TenantUsage.objects.aupdate(counted_at="2026-01-01T00:00Z")
    await cache.sweeper.sweep_stores()
    usage = {
        row.tenant.slug: (row.entries, row.bytes)
        async for row in TenantUsage.objects.select_related("tenant")
    }
    assert usage == {"acme": (3, 300), "rival": (6, 600)}


async def test_entries_of_a_plan_that_is_gone_go_too(
    cache: Cache, desk: Plan, acme: Tenant
) -> None:
    await cache.add("a")
    await desk.adelete()
    await cache.sweeper.sweep_stores()
    assert cache.stored == set()


async def test_rows_of_expired_entries_go_in_batches(
    cache: Cache, conn: database.Connection
) -> None:
    kept = await cache.add("a")
    await cache.write(*(replace(kept, entry_id=f"x{number}", sent="") for number in range(2500)))
    await conn.execute("UPDATE stats_cacheentry SET expires_at = now() WHERE entry_id <> 'a'")
    await cache.sweeper.sweep_stores()
    assert [row.entry_id async for row in CacheEntry.objects.all()] == ["a"]


async def test_two_workers_write_and_note_the_same_rows_at_once(
    cache: Cache, database_url: str
) -> None:
    """The ledger waits for no row that another worker holds, and never ends in a deadlock."""
    kept = await cache.add("a")
    hit = [
        inserts.parse_line(_format_line("event", make_event(tier="exact", entry_id="a")).strip())
    ]
    async with cache.conn.transaction():
        await cache.write(kept)
        async with await psycopg.AsyncConnection.connect(database_url) as other:
            await other.execute("SET lock_timeout = '500ms'")
            assert await inserts.insert_rows(other, "worker", hit) == 1
