"""The spool and the flusher against a real PostgreSQL."""

import asyncio
import json
import os
import resource
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from stats.events import Attempt
from stats.ledger.flusher import Flusher
from stats.ledger.overflow import OverflowBuffer
from stats.ledger.spool import Spool, SpoolFile
from stats.models.requests import DeadLetter, RequestEvent, SpoolCursor, UpstreamAttempt
from stats.models.rollups import FULL_CUT, PLAN_CUT, Rollup, Unfolded
from stats.time_grains import DAY
from tests.support.events import make_event

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    # counters live as long as the test run, odd events would stay in them
    monkeypatch.setattr("stats.monitoring.metrics.observe_event", lambda event: None)
    return Spool(tmp_path)


@pytest.fixture
async def flusher(spool: Spool, database_url: str) -> AsyncIterator[Flusher]:
    flusher = Flusher(spool, info=database_url)
    yield flusher
    await flusher.close()
    await sync_to_async(connections.close_all)()  # those that async queries opened in their thread


def attempt_of(event_id: str) -> Attempt:
    return Attempt(
        event_id=event_id,
        at=1_800_000_000.0,
        tenant_id=1,
        upstream="openai",
        model="gpt-4o-mini",
        plan_id=1,
    )


def append(spool: Spool, data: bytes) -> None:
    os.write(spool.current_file.descriptor, data)


async def test_every_field_of_an_event_comes_back_from_the_table(
    spool: Spool, flusher: Flusher
) -> None:
    event = make_event(
        at=1_800_000_000.25,
        failures=("exact", "embedder"),
        similarity=0.9123,
        would_cost=Decimal("0.000000000001"),
        stream=True,
        key_id=7,
        not_kept="finish-reason",
        upstream_request_id="req_7d1f",
    )
    spool.record_event(event)
    assert await flusher.flush() == 1
    row = await RequestEvent.objects.aget()
    assert row.at.timestamp() == event.at
    assert row.would_cost == event.would_cost
    assert str(row.event_id) == event.event_id
    assert tuple(row.failures) == event.failures
    plain = [
        name for name in event.__dataclass_fields__ if name not in {"event_id", "at", "failures"}
    ]
    assert {name: getattr(row, name) for name in plain} == {
        name: getattr(event, name) for name in plain
    }


async def test_an_attempt_stays_until_its_request_settles(spool: Spool, flusher: Flusher) -> None:
    event = make_event()
    spool.record_attempt(attempt_of(event.event_id))
    await flusher.flush()
    row = await UpstreamAttempt.objects.aget()
    assert (row.worker, row.plan_id) == (spool.worker_id, 1)
    spool.record_event(event)
    await flusher.flush()
    assert await UpstreamAttempt.objects.acount() == 0


async def test_an_attempt_whose_request_is_settled_already_is_not_kept(
    spool: Spool, flusher: Flusher
) -> None:
    first, second = make_event(), make_event()
    spool.record_event(first)
    await flusher.flush()
    spool.record_attempt(attempt_of(first.event_id))
    spool.record_event(second)
    spool.record_attempt(attempt_of(second.event_id))
    await flusher.flush()
    assert await UpstreamAttempt.objects.acount() == 0


async def test_a_line_read_twice_counts_once(spool: Spool, flusher: Flusher) -> None:
    event = make_event()
    spool.record_event(event)
    spool.record_event(event)
    await flusher.flush()
    spool.record_event(event)
    await flusher.flush()
    assert await RequestEvent.objects.acount() == 1


async def test_half_a_line_waits_for_its_end(spool: Spool, flusher: Flusher) -> None:
    spool.record_event(make_event())
    whole = spool.current_file.read_bytes(0, 10_000)
    append(spool, whole[:50])
    assert await flusher.flush() == 1
    assert flusher.pending_bytes == 50
    event = make_event()
    append(spool, b"\n")
    spool.record_event(event)
    await flusher.flush()
    assert await RequestEvent.objects.filter(event_id=event.event_id).aexists()
    assert await DeadLetter.objects.acount() == 1


async def test_a_poison_row_is_put_aside_and_its_neighbours_are_counted(
    spool: Spool, flusher: Flusher
) -> None:
    for number in range(20):
        spool.record_event(make_event(status=99_999) if number == 7 else make_event())
    await flusher.flush()
    assert await RequestEvent.objects.acount() == 19
    letter = await DeadLetter.objects.aget()
    assert "smallint" in letter.reason
    assert b"99999" in bytes(letter.line)


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b'{"other": {}}',
        b'{"event": 1}',
        b'{"event": {}}',
        b'{"event": {"event_id": "x"}}',
        b"\xff\x00",
    ],
)
async def test_garbage_in_the_file_is_put_aside(
    spool: Spool, flusher: Flusher, line: bytes
) -> None:
    append(spool, line + b"\n")
    spool.record_event(make_event())
    await flusher.flush()
    assert await RequestEvent.objects.acount() == 1
    assert bytes((await DeadLetter.objects.aget()).line).replace(b" ", b"") == line.replace(
        b" ", b""
    )


async def test_text_that_postgresql_cannot_hold_is_cleaned_and_cut(
    spool: Spool, flusher: Flusher
) -> None:
    spool.record_event(
        make_event(
            route="a\0b\ud800c", note="n" * 100_000, error_code="e" * 300, failures=("x\0y",)
        )
    )
    await flusher.flush()
    row = await RequestEvent.objects.aget()
    assert (row.route, row.failures) == ("ab?c", ["xy"])
    assert (len(row.note), len(row.error_code)) == (200, 64)


async def test_numbers_beyond_every_column_are_put_aside(spool: Spool, flusher: Flusher) -> None:
    spool.record_event(make_event(asked_tokens=10**30))
    spool.record_event(make_event(would_cost=Decimal(10) ** 12))
    await flusher.flush()
    assert await RequestEvent.objects.acount() == 0
    assert await DeadLetter.objects.acount() == 2


async def test_a_file_grown_large_is_rotated_and_removed_when_flushed(
    spool: Spool, flusher: Flusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stats.ledger.flusher.ROTATE_BYTES", 1)
    first = spool.current_file.path
    for _ in range(3):
        spool.record_event(make_event())
        await flusher.flush()
    assert not first.exists()
    assert await RequestEvent.objects.acount() == 3
    assert await SpoolCursor.objects.acount() == 1


async def test_a_backlog_of_thousands_is_flushed_in_chunks(spool: Spool, flusher: Flusher) -> None:
    for _ in range(3000):
        spool.record_event(make_event())
    assert await flusher.flush() == 3000
    assert await RequestEvent.objects.acount() == 3000
    assert (flusher.pending_bytes, flusher.lag_seconds) == (0, 0.0)


async def test_closing_flushes_and_leaves_nothing_behind(spool: Spool, database_url: str) -> None:
    spool.record_event(make_event())
    await Flusher(spool, info=database_url).close()
    assert await RequestEvent.objects.acount() == 1
    assert os.listdir(spool.folder) == []
    assert await SpoolCursor.objects.acount() == 0


async def test_a_living_worker_s_file_is_left_alone(
    spool: Spool, flusher: Flusher, database_url: str
) -> None:
    spool.record_event(make_event())
    other = Flusher(Spool(spool.folder), info=database_url)
    assert await other.adopt_files() == 0
    await other.close()
    assert await flusher.flush() == 1


async def test_a_dead_worker_s_file_is_adopted_from_where_it_stopped(
    spool: Spool, database_url: str, tmp_path: Path
) -> None:
    event = make_event()
    spool.record_event(make_event())
    killed = Flusher(spool, info=database_url)
    await killed.flush()
    await killed._drop_connection()
    spool.record_attempt(attempt_of(event.event_id))
    append(spool, b'{"event": {"event_id": "torn')
    spool.close()
    heir = Flusher(Spool(tmp_path), info=database_url)
    assert await heir.adopt_files() == 1
    await heir.close()
    assert await RequestEvent.objects.acount() == 1
    assert await UpstreamAttempt.objects.filter(event_id=event.event_id).aexists()
    assert await DeadLetter.objects.acount() == 1
    assert os.listdir(tmp_path) == []


def test_a_file_removed_while_it_is_adopted_is_not_read_again(spool: Spool) -> None:
    path = spool.current_file.path
    spool.current_file.delete_file()
    assert SpoolFile.adopt_file(path) is None


@pytest.fixture
def full_disk(spool: Spool) -> Iterator[None]:
    """A file size limit, which fails writes as a full disk does."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    spool.record_event(make_event())
    resource.setrlimit(resource.RLIMIT_FSIZE, (spool.current_file.read_size() + 100, old[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, old)
    signal.signal(signal.SIGXFSZ, handler)


async def test_what_a_full_disk_refuses_is_written_when_there_is_room(
    spool: Spool, flusher: Flusher, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("full_disk")
    events = [make_event() for _ in range(5)]
    for event in events:
        spool.record_event(event)
    assert spool.error_count >= 5
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit[1], limit[1]))
    await flusher.flush()
    stored = {str(row.event_id) async for row in RequestEvent.objects.all()}
    assert stored >= {event.event_id for event in events}
    assert len(stored) == 6


def test_a_closed_descriptor_fails_no_request(spool: Spool) -> None:
    os.close(spool.current_file.descriptor)
    spool.record_event(make_event(event_id=str(uuid.uuid4())))
    spool.record_attempt(attempt_of(str(uuid.uuid4())))
    assert spool.error_count == 2


def test_a_forked_child_does_not_keep_the_lock(spool: Spool) -> None:
    path = spool.current_file.path
    born, until = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.write(born[1], b".")
        os.read(until[0], 1)
        os._exit(0)
    os.read(born[0], 1)
    spool.close()
    adopted = SpoolFile.adopt_file(path)
    os.write(until[1], b".")
    os.waitpid(child, 0)
    for end in (*born, *until):
        os.close(end)
    assert adopted is not None
    adopted.close()


async def test_workers_that_fold_at_once_add_each_request_once(
    spool: Spool, flusher: Flusher, database_url: str
) -> None:
    others = [Flusher(Spool(spool.folder), info=database_url) for _ in range(2)]
    for _ in range(8):  # a batch each, so that there is something for everybody
        for _ in range(20):
            spool.record_event(make_event(tokens_saved=3))
        await flusher.flush()
        await asyncio.gather(*(each.roll_up() for each in (flusher, *others)))
    while await flusher.roll_up():
        pass
    for other in others:
        await other.close()
    for cut in (PLAN_CUT, FULL_CUT):
        rows = [row async for row in Rollup.objects.filter(grain=DAY, cut=cut)]
        assert (sum(row.requests for row in rows), sum(row.tokens_saved for row in rows)) == (
            160,
            480,
        )
    assert not await Unfolded.objects.aexists()


async def test_what_is_not_folded_is_folded_later(spool: Spool, flusher: Flusher) -> None:
    spool.record_event(make_event())
    await flusher.flush()
    assert not await Rollup.objects.aexists()
    assert await flusher.roll_up() == 1
    assert await flusher.roll_up() == 0
    assert (await Rollup.objects.aget(grain=DAY, cut=PLAN_CUT)).requests == 1


async def all_stored() -> set[str]:
    return {str(row.event_id) async for row in RequestEvent.objects.all()}


async def test_a_full_disk_takes_lines_again_once_what_is_on_it_is_stored(
    spool: Spool, flusher: Flusher, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("full_disk")  # and so it stays
    events = [make_event() for _ in range(300)]
    for event in events:
        spool.record_event(event)
    await flusher.flush()
    assert await all_stored() >= {event.event_id for event in events}
    assert (spool.current_file.read_size(), flusher.pending_bytes, len(spool.overflow)) == (0, 0, 0)
    errors, last = spool.error_count, make_event()
    spool.record_event(last)
    assert spool.error_count == errors
    assert spool.current_file.read_size() > 0
    await flusher.flush()
    assert last.event_id in await all_stored()
    assert await DeadLetter.objects.acount() == 0


async def test_what_waits_in_memory_goes_into_the_database_when_the_worker_ends(
    spool: Spool, database_url: str
) -> None:
    spool._max_disk_bytes = 1
    events = [make_event() for _ in range(20)]
    for event in events:
        spool.record_event(event)
    assert len(spool.overflow) == 20
    await Flusher(spool, info=database_url).close()
    assert await all_stored() == {event.event_id for event in events}
    assert os.listdir(spool.folder) == []


async def test_what_is_dropped_is_put_aside_by_kind_and_number(
    tmp_path: Path, database_url: str, spool: Spool
) -> None:
    small = Spool(tmp_path / "small", disk_bytes=1, memory_bytes=20_000)
    events = [make_event() for _ in range(100)]
    for event in events:
        small.record_attempt(attempt_of(event.event_id))
        small.record_event(event)
    held = len(small.overflow)
    assert small.overflow.size_bytes <= 20_000
    flusher = Flusher(small, info=database_url)
    await flusher.flush()
    await flusher.flush()
    letter = await DeadLetter.objects.aget()
    assert "dropped" in letter.reason
    dropped = json.loads(bytes(letter.line))["dropped"]
    assert sum(dropped.values()) + held == 200
    assert dropped["event"] + await RequestEvent.objects.acount() == 100
    assert str(events[-1].event_id) in await all_stored()
    await flusher.close()


async def test_a_worker_s_files_take_no_more_than_they_may(
    tmp_path: Path, database_url: str, spool: Spool
) -> None:
    bounded = Spool(tmp_path / "bounded", disk_bytes=10_000)
    for _ in range(100):
        bounded.record_event(make_event())
    assert bounded.current_file.read_size() <= 10_000
    flusher = Flusher(bounded, info=database_url)
    await flusher.flush()
    bounded.record_event(make_event())
    assert bounded.current_file.read_size() > 0
    await flusher.close()
    assert await RequestEvent.objects.acount() == 101


async def test_a_worker_that_dies_between_cursor_and_emptying_has_its_lines_read_once_more(
    spool: Spool, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool._max_disk_bytes = 3000
    events = [make_event() for _ in range(20)]
    for event in events:
        spool.record_event(event)

    def dies() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(spool, "empty_current_file", dies)
    killed = Flusher(spool, info=database_url)
    with pytest.raises(KeyboardInterrupt):
        await killed.flush()
    await killed._drop_connection()
    spool.close()
    heir = Flusher(Spool(tmp_path), info=database_url)
    await heir.adopt_files()
    await heir.close()
    assert await all_stored() == {event.event_id for event in events}
    assert await DeadLetter.objects.acount() == 0


def test_half_a_line_on_a_full_disk_is_taken_back(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    spool.record_event(make_event())
    before = spool.current_file.read_size()
    monkeypatch.setattr("os.write", lambda descriptor, data: write(descriptor, data[:40]))
    spool.record_event(make_event())
    assert spool.current_file.read_size() == before
    monkeypatch.setattr("os.write", write)
    spool.retry_overflow()
    lines = spool.current_file.read_bytes(0, 100_000).splitlines()
    assert len(lines) == 2
    assert all(json.loads(line) for line in lines)


def test_what_only_helps_is_dropped_before_what_is_accounted_for() -> None:
    overflow = OverflowBuffer(300)
    lines = [b'{"kept":{"n":%d%s}}\n' % (n, b" " * 60) for n in range(2)] + [
        b'{"event":{"n":%d%s}}\n' % (n, b" " * 60) for n in range(4)
    ]
    for line in lines:
        overflow.add_line(line)
    assert overflow.dropped_counts == {"kept": 2, "event": 1}
    taken = overflow.take_lines(200)
    assert taken == lines[3:5]
    overflow.put_back_lines(taken)
    assert overflow.take_lines(10**6) == lines[3:]
    assert overflow.size_bytes == 0


async def test_lines_in_memory_reach_the_database_though_the_disk_never_recovers(
    spool: Spool, flusher: Flusher
) -> None:
    def broken(line: bytes) -> None:
        raise OSError("Input/output error")

    spool._write_line = broken  # type: ignore[method-assign]
    events = [make_event() for _ in range(50)]
    for event in events:
        spool.record_event(event)
    assert await flusher.flush() == 50
    assert await all_stored() == {event.event_id for event in events}


def test_a_request_that_the_metrics_cannot_count_is_recorded_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path)
    for _ in range(2):
        spool.record_event(make_event(failures=None))
    spool.close()
    (file,) = tmp_path.glob("*.jsonl")
    assert len(file.read_bytes().splitlines()) == 2
    assert caplog.text.count("missing from the metrics") == 1
