"""A pool of PostgreSQL connections that run one statement at a time; callers queue for them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import psycopg
from psycopg.pq.abc import PGresult

from proxy.engines.semantic.pg_connection import PgConnection, PgValue, Query
from proxy.engines.semantic.pg_sql import Statement

MAX_OVERDUE_SECONDS = (
    1.0  # by which a statement is overdue before its connection is considered dead
)


class PoolClosed(Exception):
    """The pool was used after `close`."""


class PgPool:
    """A pool of up to `size` connections.

    `connect` opens one, within a deadline of its own. Nothing is connected before the first query.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[psycopg.AsyncConnection]], size: int
    ) -> None:
        self._connect = connect
        self._max_connections = size
        self._connections: set[PgConnection] = set()
        self._waiting_queries: deque[Query] = deque()
        self._connect_tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def run_query(
        self, statement: Statement, values: dict[str, PgValue], seconds: float
    ) -> PGresult:
        """Run the statement and return its result in binary format.

        Raises TimeoutError, PoolClosed, psycopg.Error or OSError. A caller may leave at any moment:
        a sent statement is completed, and then its connection is free again.
        """
        if self._is_closed:
            raise PoolClosed
        loop = asyncio.get_running_loop()
        job = Query(statement, values, loop.create_future(), loop.time() + seconds)
        self._waiting_queries.append(job)
        self._assign_queries()
        try:
            async with asyncio.timeout_at(job.deadline):
                return await job.answer
        finally:
            if job in self._waiting_queries:
                self._waiting_queries.remove(job)

    def close(self) -> None:
        """Close the connections; waiting callers get PoolClosed."""
        self._is_closed = True
        for task in self._connect_tasks:
            task.cancel()
        for line in list(self._connections):
            line.close_with_error(PoolClosed())
        self._fail_waiting(PoolClosed())

    def _assign_queries(self) -> None:
        """Send waiting statements on free connections, oldest first; open one more if needed."""
        for line in list(self._connections):
            while self._waiting_queries and line.is_ready():
                line.start_query(self._waiting_queries.popleft())
        if not self._waiting_queries or self._is_closed:
            return
        now = asyncio.get_running_loop().time()
        for line in list(self._connections):
            if line.get_overdue_seconds(now) > MAX_OVERDUE_SECONDS:
                line.close_with_error(TimeoutError())
        if len(self._connections) + len(self._connect_tasks) < self._max_connections:
            task = asyncio.create_task(self._add_connection())
            self._connect_tasks.add(task)
            task.add_done_callback(self._connect_tasks.discard)

    async def _add_connection(self) -> None:
        try:
            connection = await self._connect()
        except (psycopg.Error, OSError, TimeoutError) as error:
            if not self._connections:
                self._fail_waiting(error)
            return
        self._connections.add(
            PgConnection(connection, freed=self._assign_queries, lost=self._discard_connection)
        )
        self._assign_queries()

    def _discard_connection(self, line: PgConnection) -> None:
        self._connections.discard(line)

    def _fail_waiting(self, error: Exception) -> None:
        while self._waiting_queries:
            self._waiting_queries.popleft().set_error(error)
