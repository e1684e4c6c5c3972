"""A PostgreSQL connection driven by the event loop itself.

A statement is sent in the turn of the loop that asks for it, and its result is there in the turn it
arrives (postgresql.org/docs/current/libpq-async.html). psycopg's cursors do the same in 0.3 ms of
Python and four turns per statement, its pool in two more; beside an embedder each of those turns
waits for the processor.
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

PgValue = bytes | str | None  # bytes are sent in binary format, str as text
BINARY_FORMAT = 1
SUCCESS_STATUSES = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


@dataclass(slots=True, eq=False)
class Query:
    """A statement to run.

    `deadline`: until when its answer is useful, by the event loop's clock.
    """

    statement: Statement
    values: dict[str, PgValue]
    answer: asyncio.Future[PGresult]
    deadline: float

    def set_error(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # retrieved, should the caller be leaving


class PgConnection:
    """A connection that runs one statement at a time.

    `freed` is called when it can take the next statement, `lost` once when it is closed.
    """

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
        """Whether a statement can be sent; a connection that the server closed is dropped."""
        if self._query is not None or self._is_closed:
            return False
        # Unrequested input: the server announces that it closes, and the event loop may not know
        # yet.
        if self._input_poll.poll(0):
            self.close_with_error(psycopg.OperationalError("the server closed an idle connection"))
        return not self._is_closed

    def get_overdue_seconds(self, now: float) -> float:
        """Return how many seconds the running statement is past its deadline; negative before."""
        return float("-inf") if self._query is None else now - self._query.deadline

    def start_query(self, job: Query) -> None:
        """Send the job's statement, unless its caller has left."""
        if job.answer.done():
            return
        self._query = job
        self._run_guarded(self._send_query)

    def close_with_error(self, error: Exception) -> None:
        """Close the connection; the running job fails with `error`."""
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
        """Write to the socket; what it does not take now is written when it becomes writable."""
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
        """Fail the job; on any error but a timeout close the connection."""
        if isinstance(error, errors.QueryCanceled):
            job.set_error(error)
        else:
            # The statement may have to be prepared anew (its table was replaced), which a new
            # connection does. After a timeout the statement is still valid.
            self.close_with_error(error)
