"""A few PostgreSQL connections that take one statement at a time each;
who finds none free waits for the first that is."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import psycopg
from psycopg.pq.abc import PGresult

from proxy.engines.semantic.pg_connection import Job, Line, Value
from proxy.engines.semantic.pg_sql import Statement

HUNG = 1.0  # seconds by which a statement must be overdue before its connection is taken for dead


class Closed(Exception):
    """Asked after `close`."""


class Lines:
    """`connect` opens a connection, within a deadline of its own.

    Nothing is connected before the first `ask`.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[psycopg.AsyncConnection]], size: int
    ) -> None:
        self._connect = connect
        self._size = size
        self._lines: set[Line] = set()
        self._waiting: deque[Job] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        self._closed = False

    async def ask(self, statement: Statement, values: dict[str, Value], seconds: float) -> PGresult:
        """The statement's result, in binary. Raises TimeoutError, Closed, psycopg.Error or OSError.

        A caller may leave at any moment: what was sent is answered, and then the connection is free
        again.
        """
        if self._closed:
            raise Closed
        loop = asyncio.get_running_loop()
        job = Job(statement, values, loop.create_future(), loop.time() + seconds)
        self._waiting.append(job)
        self._assign()
        try:
            async with asyncio.timeout_at(job.until):
                return await job.answer
        finally:
            if job in self._waiting:
                self._waiting.remove(job)

    def close(self) -> None:
        """Drop the connections; whoever waits is told."""
        self._closed = True
        for task in self._connecting:
            task.cancel()
        for line in list(self._lines):
            line.drop(Closed())
        self._refuse(Closed())

    def _assign(self) -> None:
        """Statements to free connections, oldest first;
        one more connection where that is not enough."""
        for line in list(self._lines):
            while self._waiting and line.ready():
                line.start(self._waiting.popleft())
        if not self._waiting or self._closed:
            return
        now = asyncio.get_running_loop().time()
        for line in list(self._lines):
            if line.overdue(now) > HUNG:
                line.drop(TimeoutError())
        if len(self._lines) + len(self._connecting) < self._size:
            task = asyncio.create_task(self._add())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _add(self) -> None:
        try:
            connection = await self._connect()
        except (psycopg.Error, OSError, TimeoutError) as error:
            if not self._lines:
                self._refuse(error)
            return
        self._lines.add(Line(connection, freed=self._assign, lost=self._lost))
        self._assign()

    def _lost(self, line: Line) -> None:
        self._lines.discard(line)

    def _refuse(self, error: Exception) -> None:
        while self._waiting:
            self._waiting.popleft().fail(error)
