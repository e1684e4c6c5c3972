"""The volume of the spool is full while PostgreSQL is frozen:
every answered request is in the ledger afterwards, once."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.gateways import Gateway, running_gateway
from tests.support.servers import PostgresServer
from tests.support.upstream import MockUpstream, running_upstream

VOLUME = "256k"
SECONDS = 60.0  # on a busy machine


@pytest.fixture
def volume() -> Iterator[Path]:
    """A volume of 256 KB."""
    folder = Path(tempfile.mkdtemp(prefix="tokenthrift-volume-"))
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={VOLUME}", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        folder.rmdir()
        pytest.skip("mounting a volume takes more rights than these")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    folder = Path(tempfile.mkdtemp(prefix="tokenthrift-full-"))
    server = PostgresServer(folder)
    yield server
    server.kill()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def upstream() -> Iterator[MockUpstream]:
    with running_upstream() as running:
        yield running


def ask(gateway: Gateway, number: int) -> list[str]:
    """So many different requests; the ids of those that were answered."""
    with ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(lambda n: gateway.chat(f"{n} {uuid.uuid4()}"), range(number)))
    assert {reply.status_code for reply in replies} == {200}
    return [reply.headers["x-request-id"] for reply in replies]


def ids_in(gateway: Gateway) -> list[str]:
    with psycopg.connect(gateway.environment["DATABASE_URL"]) as conn:
        return [str(row[0]) for row in conn.execute("SELECT event_id FROM stats_requestevent")]


def letters_in(gateway: Gateway) -> int:
    with psycopg.connect(gateway.environment["DATABASE_URL"]) as conn:
        found = conn.execute("SELECT count(*) FROM stats_deadletter").fetchone()
    return found[0] if found else -1


def until_stored(gateway: Gateway, ids: set[str]) -> None:
    ends = time.monotonic() + SECONDS
    while not ids <= set(ids_in(gateway)):
        assert time.monotonic() < ends, (
            f"{len(ids - set(ids_in(gateway)))} of {len(ids)} are not in the ledger"
        )
        time.sleep(0.5)


def is_full(volume: Path) -> bool:
    found = os.statvfs(volume)
    return found.f_bavail * found.f_frsize < 4096


def test_a_spool_that_filled_its_volume_loses_nothing_and_recovers(
    postgres: PostgresServer, upstream: MockUpstream, volume: Path
) -> None:
    environment: dict[str, Any] = {
        "DATABASE_URL": postgres.url,
        "TOKENTHRIFT_SPOOL_DIR": str(volume),
    }
    with running_gateway(upstream, Path(tempfile.mkdtemp()), **environment) as gateway:
        with postgres.frozen():
            answered = ask(gateway, 400)
            assert is_full(volume)
        answered += ask(gateway, 100)
        gateway.stop()
        found = ids_in(gateway)
        assert len(found) == len(set(found))
        assert set(answered) <= set(found)
        assert letters_in(gateway) == 0
        assert os.listdir(volume) == []


def test_a_worker_killed_after_the_volume_was_full_loses_nothing(
    postgres: PostgresServer, upstream: MockUpstream, volume: Path
) -> None:
    environment: dict[str, Any] = {
        "DATABASE_URL": postgres.url,
        "TOKENTHRIFT_SPOOL_DIR": str(volume),
    }
    with running_gateway(upstream, Path(tempfile.mkdtemp()), workers=2, **environment) as gateway:
        with postgres.frozen():
            answered = ask(gateway, 400)
            assert is_full(volume)
        until_stored(gateway, set(answered))
        time.sleep(1)  # a turn of the flusher, in which the files are emptied
        with postgres.frozen():
            answered += ask(gateway, 60)
            os.kill(gateway.worker_pids()[0], signal.SIGKILL)
        until_stored(gateway, set(answered))
        found = ids_in(gateway)
        assert len(found) == len(set(found))
        assert letters_in(gateway) == 0
