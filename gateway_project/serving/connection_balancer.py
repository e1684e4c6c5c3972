"""Balance new connections: they go to the worker that has the fewest."""

import asyncio
import mmap
import os
import socket
from collections.abc import Callable
from pathlib import Path
from struct import Struct
from typing import Any

import uvloop

from gateway_project.embedded import file_locks
from gateway_project.serving.connection import BoundedConnection

# Connection counts of each worker of one `serve`, in shared memory.
#
# They are only a hint: a worker that reads an old count takes a connection that another worker
# should have had, or takes it a millisecond later. So nothing is locked except to claim a row, and
# a killed worker leaves its row to the next one.

ROW_FORMAT = Struct("=II")  # process id (0: free) and number of connections
TABLE_BYTES = 64 * ROW_FORMAT.size  # further workers are not counted
CLAIM_TIMEOUT_SECONDS = 5.0


class ConnectionCounts:
    """This worker's row and a view of the others'.

    Created when the worker begins to listen. Raises OSError or TimeoutError.
    """

    def __init__(self, table: Path) -> None:
        claiming = file_locks.acquire_lock(
            table.with_suffix(".lock"), file_locks.EXCLUSIVE, seconds=CLAIM_TIMEOUT_SECONDS
        )
        try:
            with table.open("a+b") as file:
                # On a full disk, writing to a hole in the file would kill the process.
                if hasattr(os, "posix_fallocate"):  # not on macOS
                    os.posix_fallocate(file.fileno(), 0, TABLE_BYTES)
                else:
                    os.truncate(file.fileno(), TABLE_BYTES)
                self._rows = mmap.mmap(file.fileno(), TABLE_BYTES)
            self._row_offset = self._find_free_row()
            self._open_count = self._opening_count = 0
            self._write_row()
        finally:
            os.close(claiming)

    def record_accept(self) -> None:
        """Count an accepted connection; `record_open` or `record_failure` follows."""
        self._opening_count += 1
        self._write_row()

    def record_failure(self) -> None:
        """Uncount a connection that was gone before it was open."""
        self._opening_count -= 1
        self._write_row()

    def record_open(self, held: int) -> None:
        """Record that an accepted connection is now one of `held` open ones."""
        self._opening_count -= 1
        self.record_close(held)

    def record_close(self, held: int) -> None:
        """Record that a connection was closed and `held` are open."""
        self._open_count = held
        self._write_row()

    def holds_more_than_others(self) -> bool:
        """Whether this worker has more than another live one: by one, or by an eighth of many."""
        mine = self._open_count + self._opening_count
        return any(
            mine > held + held // 8 and _is_alive(pid)
            for pid, held in ROW_FORMAT.iter_unpack(self._rows)
        )

    def release_row(self) -> None:
        """Free the row: no one waits for a worker that accepts nothing."""
        if self._row_offset is not None:
            ROW_FORMAT.pack_into(self._rows, self._row_offset, 0, 0)
            self._row_offset = None

    def _find_free_row(self) -> int | None:
        """Return the offset of the first free row."""
        owners = (pid for pid, _ in ROW_FORMAT.iter_unpack(self._rows))
        return next(
            (row * ROW_FORMAT.size for row, pid in enumerate(owners) if not _is_alive(pid)), None
        )

    def _write_row(self) -> None:
        if self._row_offset is not None:
            ROW_FORMAT.pack_into(
                self._rows, self._row_offset, os.getpid(), self._open_count + self._opening_count
            )


def _is_alive(pid: int) -> bool:
    """Whether the worker with this process id is running."""
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    # Workers run under one account, so a process that may not be signalled is not one of ours.
    except (ProcessLookupError, PermissionError):
        return False
    return True


# Several workers accept from one listening socket, each about as many connections as the others.
#
# Otherwise the first worker that the kernel wakes takes all waiting connections, since libuv
# accepts until none is left: a pool that a client opens at once then stays with one worker for
# hours. Here a worker that has more than another steps aside for a moment and leaves the next
# connection to it; what is still waiting afterwards it takes after all. So a hung worker costs a
# new connection a millisecond, and none waits for a dead worker, as it would in a socket of its own
# (SO_REUSEPORT).

STEP_ASIDE_SECONDS = 0.001  # the shortest of libuv's timers
RETRY_DELAY_SECONDS = 1.0  # without accepting if descriptors run out, as in asyncio
TABLE_FILE_NAME = "connections.table"


class Loop(uvloop.Loop):
    """uvloop, with a `BalancedAcceptor` for each listening socket it is given."""

    async def create_server(
        self, protocol_factory: Any, *args: Any, sock: socket.socket | None = None, **options: Any
    ) -> Any:
        if sock is None:
            return await super().create_server(protocol_factory, *args, **options)
        return BalancedAcceptor(self, sock, protocol_factory, backlog=options["backlog"])


class Connection(BoundedConnection):
    """A bounded connection that updates this worker's count."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        _get_connection_counts().record_open(len(self.connections))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        _get_connection_counts().record_close(len(self.connections))


class BalancedAcceptor:
    """Accepts connections; as much of asyncio.Server as uvicorn uses."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        *,
        backlog: int,
    ) -> None:
        self._loop, self._listener, self._protocol_factory, self._counts = (
            loop,
            listener,
            protocol,
            _get_connection_counts(),
        )
        self._opening_tasks: set[asyncio.Task[None]] = set()
        self._resume_timer: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        listener.listen(backlog)
        loop.add_reader(listener.fileno(), self._accept_waiting)

    def close(self) -> None:
        """Stop accepting."""
        self._loop.remove_reader(self._listener.fileno())
        if self._resume_timer is not None:
            self._resume_timer.cancel()
        self._counts.release_row()

    async def wait_closed(self) -> None:
        """Return at once: uvicorn waits for the connections itself."""

    def _accept_waiting(self) -> None:
        while not self._counts.holds_more_than_others():
            if not self._accept_one():
                return
        self._step_aside(STEP_ASIDE_SECONDS)

    def _step_aside(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._resume_timer = self._loop.call_later(seconds, self._resume_accepting)

    def _resume_accepting(self) -> None:
        """Accept a connection that no worker took meanwhile, and go on as usual."""
        self._loop.add_reader(self._listener.fileno(), self._accept_waiting)
        self._accept_one()

    def _accept_one(self) -> bool:
        """Accept one connection; return whether there was one."""
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            self._loop.call_exception_handler(
                {"message": "a connection cannot be accepted", "exception": error}
            )
            self._step_aside(RETRY_DELAY_SECONDS)
            return False
        self._counts.record_accept()
        opening = self._loop.create_task(self._open_connection(connection))
        self._opening_tasks.add(opening)
        opening.add_done_callback(self._opening_tasks.discard)
        return True

    async def _open_connection(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol_factory, connection)
        except OSError:  # the client disconnected at once
            connection.close()
            self._counts.record_failure()


_instances: list[ConnectionCounts] = []


def _get_connection_counts() -> ConnectionCounts:
    """Return this process's row, claimed on first use in the folder shared by the workers."""
    if not _instances:
        _instances.append(
            ConnectionCounts(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"], TABLE_FILE_NAME))
        )
    return _instances[0]
