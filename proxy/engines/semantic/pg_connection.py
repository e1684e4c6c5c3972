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

PgValue = bytes | str | None  # bytes go in PostgreSQL's binary form, str as text
BINARY_FORMAT = 1
SUCCESS_STATUSES = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


@dataclass(slots=True, eq=False)
class Query:
    """A statement on its way, and until when (by the event loop's clock) its answer is of use."""

    statement: Statement
    values: dict[str, PgValue]
    answer: asyncio.Future[PGresult]
    deadline: float

    def set_error(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # heard, should the caller be leaving


class PgConnection:
    """`freed` is called when the next statement may come,
    `lost` once when the connection is gone."""

    def __init__(
        self,
        connection: psycopg.AsyncConnection,
        *,
        freed: Callable[[], None],
        lost: Callable[["PgConnection"], None],
    ) -> None:
        self._connection = connection  # or its destructor would close what we use
        self._pgconn = connection.pgconn
        self._on_free, self._on_lost = freed, lost
        self._query: Query | None = None
        self._result: PGresult | None = None
        self._prepared_labels: set[bytes] = set()
        self._is_preparing = self._is_writing = self._is_closed = False
        self._loop = asyncio.get_running_loop()
        self._socket = self._pgconn.socket
        self._loop.add_reader(self._socket, self._handle_readable)
        self._input_poll = select.poll()
        self._input_poll.register(self._socket, select.POLLIN)

    def is_ready(self) -> bool:
        """Whether a statement can be sent.

        A connection on which something came that nobody asked for is dropped: a server says so that
        it closes it, and the event loop may not have been told yet.
        """
        if self._query is not None or self._is_closed:
            return False
        if self._input_poll.poll(0):
            self.close_with_error(psycopg.OperationalError("the server closed an idle connection"))
        return not self._is_closed

    def get_overdue_seconds(self, now: float) -> float:
        """Seconds since the statement under way should have been answered; negative before."""
        return float("-inf") if self._query is None else now - self._query.deadline

    def start_query(self, job: Query) -> None:
        """Send the job's statement, unless nobody waits for it any more."""
        if job.answer.done():
            return
        self._query = job
        self._run_guarded(self._send_query)

    def close_with_error(self, error: Exception) -> None:
        """Close the connection; the job under way fails with that error."""
        if self._is_closed:
            return
        self._is_closed = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._pgconn.finish()
        if self._query is not None:
            self._query.set_error(error)
        self._on_lost(self)

    def _run_guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (psycopg.Error, OSError) as error:  # the server went away
            self.close_with_error(error)
            self._on_free()

    def _send_query(self) -> None:
        assert self._query is not None  # noqa: S101 -- start set it
        statement, values = self._query.statement, self._query.values
        self._is_preparing = bool(statement.label) and statement.label not in self._prepared_labels
        if self._is_preparing:
            self._pgconn.send_prepare(statement.label, statement.text)
        else:
            given = [values[name] for name in statement.parameter_names]
            sent = [value.encode() if isinstance(value, str) else value for value in given]
            formats = [BINARY_FORMAT if isinstance(value, bytes) else 0 for value in given]
            if statement.label:
                self._pgconn.send_query_prepared(statement.label, sent, formats, BINARY_FORMAT)
            else:
                self._pgconn.send_query_params(statement.text, sent, None, formats, BINARY_FORMAT)
        self._flush_output()

    def _flush_output(self) -> None:
        """What the socket does not take now goes when it can."""
        unsent = self._pgconn.flush() != 0
        if unsent != self._is_writing:
            self._is_writing = unsent
            if unsent:
                self._loop.add_writer(self._socket, self._run_guarded, self._flush_output)
            else:
                self._loop.remove_writer(self._socket)

    def _handle_readable(self) -> None:
        self._run_guarded(self._read_results)

    def _read_results(self) -> None:
        self._pgconn.consume_input()
        if self._is_writing:
            self._flush_output()
        while self._query is not None and not self._pgconn.is_busy():
            result = self._pgconn.get_result()
            if result is not None:
                self._result = result
            else:
                self._finish_query(self._query, self._result)

    def _finish_query(self, job: Query, result: PGresult | None) -> None:
        self._result = None
        if result is None or result.status not in SUCCESS_STATUSES:
            self._fail_query(
                job,
                psycopg.OperationalError("no result")
                if result is None
                else errors.error_from_result(result),
            )
        elif self._is_preparing:
            self._prepared_labels.add(job.statement.label)
            self._send_query()
            return
        elif not job.answer.done():
            job.answer.set_result(result)
        self._query = None
        self._on_free()

    def _fail_query(self, job: Query, error: psycopg.Error) -> None:
        """After an error a statement may have to be prepared anew (its table is another one):
        so does a new connection. A statement that took too long was a good one."""
        if isinstance(error, errors.QueryCanceled):
            job.set_error(error)
        else:
            self.close_with_error(error)
