"""Leases on the embedded services.

While any process holds a lease on a var folder, its supervisor runs PostgreSQL and Redis. Three
locks in `run/`: `start.lock`, one start at a time; `users.lock`, shared by the processes that use
the services, held exclusively by the supervisor after the last has gone; `keeper.lock`, held by the
supervisor as long as it runs.
"""

import os
import selectors
import subprocess
import sys
import time
from pathlib import Path

from gateway_project.embedded import file_locks
from gateway_project.embedded.processes import (
    START_TIMEOUT_SECONDS,
    STOP_TIMEOUT_SECONDS,
    ServiceError,
    read_log_tail,
)

BASE_DIR = Path(__file__).resolve().parents[2]
FIRST_START_TIMEOUT_SECONDS = 150.0  # the first start creates the cluster on a cold disk
_lease_locks: dict[Path, int] = {}


def acquire_lease(var: Path, *, durable: bool = True) -> None:
    """Keep the services of `var` running until this process ends or calls `release_lease`.

    `durable` False: throwaway data of a test, so no fsync and no append-only file. Raises
    ServiceError.
    """
    var = var.resolve()
    run = var / "run"
    try:
        for folder in (var, run, var / "log"):
            folder.mkdir(parents=True, exist_ok=True)
        # The services log statements and clients, which no other account may read.
        (var / "log").chmod(0o700)
        starting = file_locks.acquire_lock(
            run / "start.lock", file_locks.EXCLUSIVE, seconds=FIRST_START_TIMEOUT_SECONDS
        )
    except (OSError, TimeoutError) as error:
        raise ServiceError(f"The embedded services cannot start: {error}.") from error
    try:
        # Wait for a stopping supervisor to end.
        _lease_locks[var] = file_locks.acquire_lock(
            run / "users.lock", file_locks.SHARED, seconds=STOP_TIMEOUT_SECONDS * 2.5
        )
        if _is_supervisor_running(run):
            _wait_for_ready_file(run / "ready")
        else:
            _start_supervisor(var, durable=durable)
    except TimeoutError as error:
        raise ServiceError(f"The embedded services do not stop: {error}.") from error
    except BaseException:
        release_lease(var, seconds=0)
        raise
    finally:
        os.close(starting)


def release_lease(var: Path, *, seconds: float = STOP_TIMEOUT_SECONDS * 2) -> None:
    """Release the lease; wait up to `seconds` for the services to stop if no one else uses them."""
    var = var.resolve()
    held = _lease_locks.pop(var, None)
    if held is None:
        return
    os.close(held)
    run, deadline = var / "run", time.monotonic() + seconds
    while _is_supervisor_running(run) and not _has_other_users(run) and time.monotonic() < deadline:
        time.sleep(0.05)


def _is_supervisor_running(run: Path) -> bool:
    return not file_locks.is_lock_free(run / "keeper.lock", file_locks.SHARED)


def _has_other_users(run: Path) -> bool:
    """Whether another process holds a lease."""
    # The lock can then be shared, but not held exclusively.
    return file_locks.is_lock_free(
        run / "users.lock", file_locks.SHARED
    ) and not file_locks.is_lock_free(run / "users.lock", file_locks.EXCLUSIVE)


def _start_supervisor(var: Path, *, durable: bool) -> None:
    (var / "run" / "ready").unlink(missing_ok=True)
    log = var / "log" / "keeper.log"
    log.touch(0o600)
    command = [
        sys.executable,
        "-m",
        "gateway_project.embedded.supervisor",
        str(var),
        *([] if durable else ["--throwaway"]),
    ]
    with log.open("ab") as errors:
        child = subprocess.Popen(  # noqa: S603 - this very program
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=BASE_DIR,
            start_new_session=True,
        )
    # It outlives this process by design: no warning about a running child.
    child.returncode = 0
    assert child.stdout is not None  # noqa: S101 - PIPE was asked for
    with selectors.DefaultSelector() as selector, child.stdout as answer:
        selector.register(answer, selectors.EVENT_READ)
        line = (
            answer.readline().decode().strip()
            if selector.select(FIRST_START_TIMEOUT_SECONDS)
            else ""
        )
    if line != "ready":
        raise ServiceError(line or f"The embedded services did not start. {read_log_tail(log)}")


def _wait_for_ready_file(ready: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not ready.exists():
        if time.monotonic() > deadline:
            raise ServiceError(
                "The embedded services, started by another process, did not answer within "
                f"{START_TIMEOUT_SECONDS:g} s."
            )
        time.sleep(0.05)
