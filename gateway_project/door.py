"""Where several workers accept from one listening socket, each about as many connections as the others.

Left alone, the first worker that the kernel wakes takes all that wait, since libuv accepts until nothing is left: a pool that a client
opens at once then stays with one worker for hours. Here a worker that holds more than another steps aside for a moment and leaves
the next connection to it; what nobody fetched meanwhile it takes after all. So a hung worker costs a new connection a millisecond,
and none waits for a worker that died, as it would in a socket of its own (SO_REUSEPORT).
"""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

from gateway_project.connection import BoundedConnection
from gateway_project.shares import Shares

ASIDE = 0.001  # seconds; the shortest that libuv's timers know
AFTER_ERROR = 1.0  # seconds without accepting when descriptors run out, as in asyncio
TABLE = "connections.table"


class Loop(uvloop.Loop):
    """uvloop, with a `Door` for each listening socket it is given."""

    async def create_server(self, protocol_factory: Any, *args: Any, sock: socket.socket | None = None, **options: Any) -> Any:
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
        self, loop: asyncio.AbstractEventLoop, listener: socket.socket, protocol: Callable[[], asyncio.Protocol], *, backlog: int
    ) -> None:
        self._loop, self._listener, self._protocol, self._shares = loop, listener, protocol, _shares()
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
            self._loop.call_exception_handler({"message": "a connection cannot be accepted", "exception": error})
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
