"""Two workers on one port: connections are shared out evenly, also after one of them died."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.gateways import Gateway, inodes, running_gateway
from tests.support.upstream import running_upstream

ESTABLISHED = "01"  # /proc/net/tcp, column st
# Seconds: uvicorn waits 30 for a worker that died with a health check to answer, and a new one
# loads its application and its models.
SOON = 75.0


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with (
        running_upstream() as upstream,
        running_gateway(upstream, tmp_path_factory.mktemp("workers"), workers=2) as running,
    ):
        wait_until(lambda: all_take(running))
        yield running


def test_a_pool_that_opens_at_once_is_split_evenly(gateway: Gateway) -> None:
    # A worker that the machine holds up takes none meanwhile.
    wait_until(lambda: most_beside(gateway, 0, 32) <= 18)


def test_connections_that_come_one_by_one_are_split_evenly(gateway: Gateway) -> None:
    # On a busy machine a worker may be too late for the millisecond it is left.
    wait_until(lambda: most_of_eight(gateway) <= 5)


def test_closed_connections_count_no_longer(gateway: Gateway) -> None:
    with pool(gateway, 4):
        wait_until(lambda: most_beside(gateway, 4, 20) <= 14)
        wait_until(lambda: most_beside(gateway, 4, 12) <= 10)


def test_a_frozen_worker_keeps_no_connection_from_the_other(gateway: Gateway) -> None:
    frozen, _ = gateway.worker_pids()
    os.kill(frozen, signal.SIGSTOP)
    try:
        with pool(gateway, 6) as sockets:
            assert answers(sockets) == 6
    finally:
        os.kill(frozen, signal.SIGCONT)


def test_a_worker_that_died_is_replaced_and_gets_the_next_connections(gateway: Gateway) -> None:
    with ExitStack() as opened:
        opened.enter_context(pool(gateway, 8))
        killed, kept = gateway.worker_pids()
        os.kill(killed, signal.SIGKILL)
        with pool(gateway, 4) as sockets:
            assert answers(sockets) == 4  # by the one that is left, at once
        wait_until(lambda: one_goes_to_another_than(kept, gateway))
        # A worker that has just begun may be slow to fetch the first ones.
        wait_until(lambda: eight_even_out(kept, gateway))


def most_beside(gateway: Gateway, open_ones: int, size: int) -> int:
    """How many connections the worker holds that holds more,
    with so many opened at once beside those that stay open."""
    with pool(gateway, size):
        found = max(held(gateway))
    wait_until(lambda: sum(held(gateway)) == open_ones)
    return found


def most_of_eight(gateway: Gateway) -> int:
    """How many of eight connections opened one by one the worker holds that holds more."""
    with ExitStack() as opened:
        for _ in range(8):
            opened.enter_context(pool(gateway, 1))
            time.sleep(0.01)
        return max(held(gateway))


def eight_even_out(kept: int, gateway: Gateway) -> bool:
    """Whether, with eight connections more, one worker holds as many as all others."""
    with pool(gateway, 8):
        found = list(owners(gateway).values())
    # Of those before, what the living one held.
    return len(found) > 8 and abs(2 * found.count(kept) - len(found)) <= 2


def all_take(gateway: Gateway) -> bool:
    """Whether every worker takes some of eight connections."""
    with pool(gateway, 8):
        return min(held(gateway)) > 0


def one_goes_to_another_than(worker: int, gateway: Gateway) -> bool:
    """Where a connection opened now goes to."""
    with pool(gateway, 1) as (connection,):
        return owners(gateway)[connection.getsockname()[1]] != worker


@contextmanager
def pool(gateway: Gateway, size: int) -> Iterator[list[socket.socket]]:
    """So many accepted connections, opened as fast as they can be, that say nothing."""
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port(gateway)), 5))
            for _ in range(size)
        ]
        mine = {connection.getsockname()[1] for connection in sockets}
        wait_until(lambda: mine <= owners(gateway).keys())
        yield sockets


def answers(sockets: Sequence[socket.socket]) -> int:
    """On how many of the connections a request is answered within five seconds."""
    for connection in sockets:
        connection.settimeout(5)
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
    return sum(connection.recv(4096).startswith(b"HTTP/1.1 401") for connection in sockets)


def held(gateway: Gateway) -> list[int]:
    """How many connections each worker holds."""
    found = list(owners(gateway).values())
    return [found.count(pid) for pid in gateway.worker_pids()]


def owners(gateway: Gateway) -> dict[int, int]:
    """The worker that holds each connection, by the client's port (proc(5), `/proc/net/tcp`
    and `/proc/<pid>/fd`)."""
    sockets = {inode: pid for pid in gateway.worker_pids() for inode in inodes(pid)}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = [
        row
        for row in rows
        if row[3] == ESTABLISHED and hex_port(row[1]) == port(gateway) and row[9] in sockets
    ]
    return {hex_port(row[2]): sockets[row[9]] for row in ours}


def port(gateway: Gateway) -> int:
    return int(gateway.url.rpartition(":")[2])


def hex_port(address: str) -> int:
    return int(address.partition(":")[2], 16)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
