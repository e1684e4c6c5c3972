"""Workers killed while they write and flush; PostgreSQL stopped, frozen and started again.

Real processes throughout.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from gateway_project.embedded import processes
from gateway_project.embedded.postgres import EmbeddedPostgres
from proxy.runtime.worker_loops import build_ledger_flush_task
from stats.ledger.flusher import Flusher
from stats.ledger.spool import Spool
from stats.models.cache_entries import CacheEntry, Erasure
from stats.models.requests import DeadLetter, RequestEvent, SpoolCursor, UpstreamAttempt
from stats.models.rollups import Rollup, Tally, Unfolded
from tests.support.events import make_event

WRITER = """
import sys
from stats.events import Attempt
from stats.ledger.spool import Spool
from tests.support.events import make_event
spool = Spool(sys.argv[1])
for _ in range(5000):
    event = make_event()
    spool.record_attempt(Attempt(event.event_id, event.at, 1, "openai", "gpt-4o-mini"))
    spool.record_event(event)
    sys.stdout.write(event.event_id + "\\n")
    sys.stdout.flush()
"""
WORKER = """
import asyncio, sys, django
django.setup()
from proxy.runtime.worker_loops import build_ledger_flush_task
from stats.ledger.flusher import Flusher
from stats.ledger.spool import Spool
from tests.support.events import make_event
async def main():
    spool = Spool(sys.argv[1])
    flusher = Flusher(spool, info=sys.argv[2], interval=0.002)
    task = asyncio.create_task(build_ledger_flush_task(flusher).run())
    while True:
        for _ in range(20):
            event = make_event()
            spool.record_event(event)
            sys.stdout.write(event.event_id + "\\n")
            sys.stdout.flush()
        await asyncio.sleep(0.002)
asyncio.run(main())
"""


def start(program: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True
    )


def kill_after(child: "subprocess.Popen[str]", seconds: float) -> set[str]:
    """Let it write for that long from its first line on, kill it,
    and return the events it saw written."""
    assert child.stdout is not None
    lines = [child.stdout.readline()]
    timer = time.monotonic() + seconds
    os.set_blocking(child.stdout.fileno(), False)
    while time.monotonic() < timer:
        lines += child.stdout.readlines()
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    lines += child.stdout.readlines()
    child.stdout.close()
    # Not the log, not half an id.
    return {line for line in "".join(lines).splitlines() if len(line) == 36}


def stored() -> list[str]:
    return [str(event_id) for event_id in RequestEvent.objects.values_list("event_id", flat=True)]


async def adopt_all(folder: Path, info: str) -> None:
    flusher = Flusher(Spool(folder), info=info)
    await flusher.adopt_files()
    await flusher.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(3))
def test_a_worker_killed_while_it_writes_loses_and_doubles_nothing(
    tmp_path: Path, database_url: str, seed: int
) -> None:
    written = kill_after(start(WRITER, str(tmp_path)), random.Random(seed).uniform(0.01, 0.15))
    asyncio.run(adopt_all(tmp_path, database_url))
    found = stored()
    assert written <= set(found)
    assert len(set(found) - written) <= 1  # settled, and killed before it could say so
    assert UpstreamAttempt.objects.count() <= 1
    assert DeadLetter.objects.count() <= 1
    assert os.listdir(tmp_path) == []


@pytest.mark.django_db(transaction=True)
def test_workers_killed_while_they_flush_lose_and_double_nothing(
    tmp_path: Path, database_url: str
) -> None:
    chance, written = random.Random(7), set[str]()
    for _ in range(4):
        written |= kill_after(start(WORKER, str(tmp_path), database_url), chance.uniform(0.01, 0.3))
    asyncio.run(adopt_all(tmp_path, database_url))
    found = stored()
    assert written <= set(found)
    assert len(set(found) - written) <= 4
    assert SpoolCursor.objects.filter(offset__gt=0).count() <= 4
    assert os.listdir(tmp_path) == []


@pytest.fixture
def postgres() -> Iterator[tuple[EmbeddedPostgres, "subprocess.Popen[bytes]"]]:
    """A PostgreSQL of this test's own, with the tables of stats."""
    folder = Path(os.environ["TOKENTHRIFT_VAR_DIR"]) / f"own-{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir()
    folder.chmod(0o755)
    server = EmbeddedPostgres(
        folder / "data",
        folder / "log",
        processes.find_free_port(),
        "secret",
        processes.choose_account(),
        durable=False,
    )
    child = server.start_process()
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        for model in (
            RequestEvent,
            UpstreamAttempt,
            SpoolCursor,
            DeadLetter,
            CacheEntry,
            Erasure,
            Unfolded,
            Rollup,
            Tally,
        ):
            editor.create_model(model)
    with psycopg.connect(server.url, autocommit=True) as own:
        for statement in editor.collected_sql:
            own.execute(statement.encode())
    yield server, child
    child.send_signal(signal.SIGCONT)
    processes.stop_process(child, signal.SIGINT)


def freeze(server: EmbeddedPostgres, child: "subprocess.Popen[bytes]") -> list[int]:
    """Stop the server with all its sessions, as a hung disk would;
    the processes to wake up again."""
    with psycopg.connect(server.url) as own:
        sessions = [
            row[0]
            for row in own.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'tokenthrift'"
            )
        ]
    for pid in (child.pid, *sessions):
        os.kill(pid, signal.SIGSTOP)
    return [child.pid, *sessions]


async def record_for(spool: Spool, seconds: float) -> tuple[set[str], float]:
    """Some 200 events a second; their ids, and the longest that one of them took to record,
    in seconds."""
    written, slowest, end = set[str](), 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        event = make_event()
        begin = time.perf_counter()
        spool.record_event(event)
        slowest = max(slowest, time.perf_counter() - begin)
        written.add(event.event_id)
        await asyncio.sleep(0.005)
    return written, slowest


async def until_empty(flusher: Flusher, seconds: float) -> float:
    """How long until everything spooled is in the database."""
    begin = time.monotonic()
    async with asyncio.timeout(seconds):
        while flusher.pending_bytes:  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0.02)
    return time.monotonic() - begin


def ids_in(server: EmbeddedPostgres) -> list[str]:
    with psycopg.connect(server.url) as own:
        return [str(row[0]) for row in own.execute("SELECT event_id FROM stats_requestevent")]


@pytest.mark.django_db
async def test_requests_recorded_while_postgresql_is_stopped_are_counted_once_when_it_is_back(
    tmp_path: Path, postgres: tuple[EmbeddedPostgres, "subprocess.Popen[bytes]"]
) -> None:
    server, child = postgres
    spool = Spool(tmp_path)
    flusher = Flusher(spool, info=server.url)
    task = asyncio.create_task(build_ledger_flush_task(flusher).run())
    written, _ = await record_for(spool, 0.5)
    await asyncio.to_thread(processes.stop_process, child, signal.SIGINT)
    while_away, slowest = await record_for(spool, 1.0)
    assert flusher.pending_bytes
    again = await asyncio.to_thread(server.start_process)
    try:
        after, _ = await record_for(spool, 0.3)
        assert await until_empty(flusher, 12) < 10
        task.cancel()
        await flusher.close()
        assert sorted(ids_in(server)) == sorted(written | while_away | after)
        assert slowest < 1.0
    finally:
        await asyncio.to_thread(processes.stop_process, again, signal.SIGINT)


@pytest.mark.django_db
async def test_requests_recorded_while_postgresql_is_frozen_are_counted_once_when_it_wakes(
    tmp_path: Path, postgres: tuple[EmbeddedPostgres, "subprocess.Popen[bytes]"]
) -> None:
    server, child = postgres
    spool = Spool(tmp_path)
    flusher = Flusher(spool, info=server.url, deadline=0.5)
    task = asyncio.create_task(build_ledger_flush_task(flusher).run())
    written, _ = await record_for(spool, 0.5)
    stopped = await asyncio.to_thread(freeze, server, child)
    while_away, slowest = await record_for(spool, 1.5)
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    assert await until_empty(flusher, 12) < 10
    task.cancel()
    await flusher.close()
    assert sorted(ids_in(server)) == sorted(written | while_away)
    assert slowest < 1.0


async def test_a_worker_can_leave_while_postgresql_is_away(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    flusher = Flusher(
        spool, info=f"postgres://nobody:x@127.0.0.1:{processes.find_free_port()}/none"
    )
    spool.record_event(make_event())
    begin = time.monotonic()
    await flusher.close()
    assert time.monotonic() - begin < 3
    assert len(os.listdir(tmp_path)) == 1
