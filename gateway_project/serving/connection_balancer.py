"""New connections go to the worker that has the fewest."""

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

# How many connections each worker of one `serve` holds, in memory that all of them see.
#
# Only a hint: who reads an old number takes a connection that another worker should have had, or
# takes it a millisecond later. So nothing is locked but the claim of a row, and a worker that was
# killed leaves its row to the next one.

ROW = Struct("=II")  # a process id, 0 for nobody, and how many connections it holds
SIZE = 64 * ROW.size  # more workers than that go uncounted
CLAIM_SECONDS = 5.0


class Shares:
    """This worker's row and a view of the others'.

    Made when the worker begins to listen. Raises OSError or TimeoutError.
    """

    def __init__(self, table: Path) -> None:
        claiming = file_locks.take(
            table.with_suffix(".lock"), file_locks.EXCLUSIVE, seconds=CLAIM_SECONDS
        )
        try:
            with table.open("a+b") as file:
                # A hole in a file on a full disk would kill who writes there.
                os.posix_fallocate(file.fileno(), 0, SIZE)
                self._rows = mmap.mmap(file.fileno(), SIZE)
            self._mine = self._free()
            self._open = self._coming = 0
            self._write()
        finally:
            os.close(claiming)

    def coming(self) -> None:
        """A connection was accepted; `came` or `failed` follows."""
        self._coming += 1
        self._write()

    def failed(self) -> None:
        """It was gone before it was open."""
        self._coming -= 1
        self._write()

    def came(self, held: int) -> None:
        """It is one of the `held` that are open."""
        self._coming -= 1
        self.left(held)

    def left(self, held: int) -> None:
        """One was closed, `held` are open."""
        self._open = held
        self._write()

    def leads(self) -> bool:
        """Whether this worker holds more than a living one: one more, or an eighth more of many."""
        mine = self._open + self._coming
        return any(
            mine > held + held // 8 and _alive(pid) for pid, held in ROW.iter_unpack(self._rows)
        )

    def leave(self) -> None:
        """Take no further part: nobody waits for a worker that accepts nothing."""
        if self._mine is not None:
            ROW.pack_into(self._rows, self._mine, 0, 0)
            self._mine = None

    def _free(self) -> int | None:
        """Where the first row is that is nobody's."""
        owners = (pid for pid, _ in ROW.iter_unpack(self._rows))
        return next((row * ROW.size for row, pid in enumerate(owners) if not _alive(pid)), None)

    def _write(self) -> None:
        if self._mine is not None:
            ROW.pack_into(self._rows, self._mine, os.getpid(), self._open + self._coming)


def _alive(pid: int) -> bool:
    """Workers run under one account, so a process that may not be signalled is none of ours."""
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


# Where several workers accept from one listening socket, each about as many connections as the
# others.
#
# Left alone, the first worker that the kernel wakes takes all that wait, since libuv accepts until
# nothing is left: a pool that a client opens at once then stays with one worker for hours. Here a
# worker that holds more than another steps aside for a moment and leaves the next connection to it;
# what nobody fetched meanwhile it takes after all. So a hung worker costs a new connection a
# millisecond, and none waits for a worker that died, as it would in a socket of its own
# (SO_REUSEPORT).

ASIDE = 0.001  # seconds; the shortest that libuv's timers know
AFTER_ERROR = 1.0  # seconds without accepting when descriptors run out, as in asyncio
TABLE = "connections.table"


class Loop(uvloop.Loop):
    """uvloop, with a `Door` for each listening socket it is given."""

    async def create_server(
        self, protocol_factory: Any, *args: Any, sock: socket.socket | None = None, **options: Any
    ) -> Any:
        if sock is None:
            return await super().create_server(protocol_factory, *args, **options)
        return Door(self, sock, protocol_factory, backlog=options["backlog"])


class Connection(BoundedConnection):
    """A bounded connection, which tells the others how many there are."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        _shares().came(len(self.connections))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        _shares().left(len(self.connections))


class Door:
    """As much of asyncio.Server as uvicorn uses."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        *,
        backlog: int,
    ) -> None:
        self._loop, self._listener, self._protocol, self._shares = (
            loop,
            listener,
            protocol,
            _shares(),
        )
        self._opening: set[asyncio.Task[None]] = set()
        self._back: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        listener.listen(backlog)
        loop.add_reader(listener.fileno(), self._ready)

    def close(self) -> None:
        """Accept nothing more."""
        self._loop.remove_reader(self._listener.fileno())
        if self._back is not None:
            self._back.cancel()
        self._shares.leave()

    async def wait_closed(self) -> None:
        """uvicorn waits for the connections itself."""

    def _ready(self) -> None:
        while not self._shares.leads():
            if not self._take():
                return
        self._step_aside(ASIDE)

    def _step_aside(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._back = self._loop.call_later(seconds, self._return)

    def _return(self) -> None:
        """Take what nobody fetched, and look again."""
        self._loop.add_reader(self._listener.fileno(), self._ready)
        self._take()

    def _take(self) -> bool:
        """Accept one connection; whether there was one."""
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            self._loop.call_exception_handler(
                {"message": "a connection cannot be accepted", "exception": error}
            )
            self._step_aside(AFTER_ERROR)
            return False
        self._shares.coming()
        opening = self._loop.create_task(self._open(connection))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)
        return True

    async def _open(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:  # the client left at once
            connection.close()
            self._shares.failed()


_made: list[Shares] = []


def _shares() -> Shares:
    """This process's row, claimed at first use in the folder of all workers of this `serve`."""
    if not _made:
        _made.append(Shares(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"], TABLE)))
    return _made[0]
