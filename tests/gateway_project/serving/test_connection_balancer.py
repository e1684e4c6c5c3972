"""Who holds how many connections, as several processes see it."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from gateway_project.serving.connection_balancer import ConnectionCounts

spawn = multiprocessing.get_context("spawn")


def hold(table: Path, count: int, ready: Connection) -> None:
    """Another worker with so many open connections, until it is told to leave."""
    shares = ConnectionCounts(table)
    shares.record_close(count)
    ready.send("holds")
    ready.recv()
    shares.release_row()
    ready.send("left")
    ready.recv()


@contextmanager
def other(table: Path, count: int) -> Iterator[tuple[int, Connection]]:
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=hold, args=(table, count, theirs), daemon=True)
    process.start()
    assert ours.recv() == "holds"
    assert process.pid is not None
    try:
        yield process.pid, ours
    finally:
        process.kill()
        process.join()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "connections.table"


def test_alone_nobody_leads(table: Path) -> None:
    shares = ConnectionCounts(table)
    shares.record_close(1000)
    assert not shares.holds_more_than_others()


@pytest.mark.parametrize(
    ("mine", "theirs", "leads"),
    [(0, 0, False), (1, 0, True), (4, 5, False), (18, 16, False), (19, 16, True)],
)
def test_who_holds_more_leads_and_of_many_an_eighth_more(
    table: Path, mine: int, theirs: int, leads: bool
) -> None:
    with other(table, theirs):
        shares = ConnectionCounts(table)
        shares.record_close(mine)
        assert shares.holds_more_than_others() is leads


def test_what_is_coming_counts_until_it_fails(table: Path) -> None:
    with other(table, 0):
        shares = ConnectionCounts(table)
        shares.record_accept()
        assert shares.holds_more_than_others()
        shares.record_failure()
        assert not shares.holds_more_than_others()
        shares.record_accept()
        shares.record_open(1)
        assert shares.holds_more_than_others()
        shares.record_close(0)
        assert not shares.holds_more_than_others()


def test_nobody_waits_for_one_that_left(table: Path) -> None:
    with other(table, 0) as (_, line):
        shares = ConnectionCounts(table)
        shares.record_close(5)
        assert shares.holds_more_than_others()
        line.send("leave")
        assert line.recv() == "left"
        assert not shares.holds_more_than_others()


def test_nobody_waits_for_one_that_was_killed_and_its_row_is_used_again(table: Path) -> None:
    with other(table, 0) as (pid, _):
        first = ConnectionCounts(table)
        first.record_close(5)
        os.kill(pid, signal.SIGKILL)
    assert not first.holds_more_than_others()
    with other(table, 1):
        assert first.holds_more_than_others()
    assert first._rows[16:].strip(b"\0") == b""  # two rows are used, not three
