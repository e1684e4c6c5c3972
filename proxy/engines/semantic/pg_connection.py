"""One PostgreSQL connection, driven by the event loop itself:
a statement leaves in the turn that asks it, and its answer is there in the turn it arrives
(postgresql.org/docs/current/libpq-async.html).

psycopg's cursors do the same in 0.3 ms of Python and four turns a statement, its pool in two more;
beside an embedder each of those turns waits for the processor.
"""

import asyncio
import select
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from psycopg import errors
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from proxy.engines.semantic.pg_sql import Statement

Value = bytes | str | None  # bytes go in PostgreSQL's binary form, str as text
BINARY = 1
GOOD = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


@dataclass(slots=True, eq=False)
class Job:
    """A statement on its way, and until when (by the event loop's clock) its answer is of use."""

    statement: Statement
    values: dict[str, Value]
    answer: asyncio.Future[PGresult]
    until: float

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # heard, should the caller be leaving


class Line:
    """`freed` is called when the next statement may come,
    `lost` once when the connection is gone."""

    def __init__(
        self,
        connection: psycopg.AsyncConnection,
        *,
        freed: Callable[[], None],
        lost: Callable[["Line"], None],
    ) -> None:
        self._connection = connection  # or its destructor would close what we use
        self._pg = connection.pgconn
        self._freed, self._lost = freed, lost
        self._job: Job | None = None
        self._result: PGresult | None = None
        self._prepared: set[bytes] = set()
        self._preparing = self._writing = self._gone = False
        self._loop = asyncio.get_running_loop()
        self._socket = self._pg.socket
        self._loop.add_reader(self._socket, self._readable)
        self._heard = select.poll()
        self._heard.register(self._socket, select.POLLIN)

    def ready(self) -> bool:
        """Whether a statement can be sent.

        A connection on which something came that nobody asked for is dropped: a server says so that
        it closes it, and the event loop may not have been told yet.
        """
        if self._job is not None or self._gone:
            return False
        if self._heard.poll(0):
            self.drop(psycopg.OperationalError("the server closed an idle connection"))
        return not self._gone

    def overdue(self, now: float) -> float:
        """Seconds since the statement under way should have been answered; negative before."""
        return float("-inf") if self._job is None else now - self._job.until

    def start(self, job: Job) -> None:
        """Send the job's statement, unless nobody waits for it any more."""
        if job.answer.done():
            return
        self._job = job
        self._guarded(self._send)

    def drop(self, error: Exception) -> None:
        """Close the connection; the job under way fails with that error."""
        if self._gone:
            return
        self._gone = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._pg.finish()
        if self._job is not None:
            self._job.fail(error)
        self._lost(self)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (psycopg.Error, OSError) as error:  # the server went away
            self.drop(error)
            self._freed()

    def _send(self) -> None:
        assert self._job is not None  # noqa: S101 -- start set it
        statement, values = self._job.statement, self._job.values
        self._preparing = bool(statement.label) and statement.label not in self._prepared
        if self._preparing:
            self._pg.send_prepare(statement.label, statement.text)
        else:
            given = [values[name] for name in statement.names]
            sent = [value.encode() if isinstance(value, str) else value for value in given]
            formats = [BINARY if isinstance(value, bytes) else 0 for value in given]
            if statement.label:
                self._pg.send_query_prepared(statement.label, sent, formats, BINARY)
            else:
                self._pg.send_query_params(statement.text, sent, None, formats, BINARY)
        self._flush()

    def _flush(self) -> None:
        """What the socket does not take now goes when it can."""
        unsent = self._pg.flush() != 0
        if unsent != self._writing:
            self._writing = unsent
            if unsent:
                self._loop.add_writer(self._socket, self._guarded, self._flush)
            else:
                self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        self._guarded(self._read)

    def _read(self) -> None:
        self._pg.consume_input()
        if self._writing:
            self._flush()
        while self._job is not None and not self._pg.is_busy():
            result = self._pg.get_result()
            if result is not None:
                self._result = result
            else:
                self._answer(self._job, self._result)

    def _answer(self, job: Job, result: PGresult | None) -> None:
        self._result = None
        if result is None or result.status not in GOOD:
            self._refuse(
                job,
                psycopg.OperationalError("no result")
                if result is None
                else errors.error_from_result(result),
            )
        elif self._preparing:
            self._prepared.add(job.statement.label)
            self._send()
            return
        elif not job.answer.done():
            job.answer.set_result(result)
        self._job = None
        self._freed()

    def _refuse(self, job: Job, error: psycopg.Error) -> None:
        """After an error a statement may have to be prepared anew (its table is another one):
        so does a new connection. A statement that took too long was a good one."""
        if isinstance(error, errors.QueryCanceled):
            job.fail(error)
        else:
            self.drop(error)
