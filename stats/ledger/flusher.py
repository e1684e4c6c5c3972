"""Moves the spool into PostgreSQL: whole lines only, each exactly once.

A batch and the new offset of its file are one transaction, so a crash repeats nothing and skips
nothing. While PostgreSQL is down the lines stay on disk. Files of killed workers are adopted. A row
that PostgreSQL rejects is found by halving the batch and stored as a DeadLetter.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path

import orjson
import psycopg

from stats import database, live
from stats.database import Connection
from stats.ledger import inserts
from stats.ledger.overflow import get_line_kind
from stats.ledger.rollup import MAX_BATCHES
from stats.ledger.spool import SPOOL_SUFFIX, Spool, SpoolFile
from stats.monitoring import metrics

log = logging.getLogger(__name__)

CHUNK_BYTES = 192 * 1024  # some 250 lines
ROTATE_BYTES = 32 * 1024 * 1024
HEARTBEAT_SECONDS = 15.0
ADOPT_INTERVAL_SECONDS = 5.0
ROLL_UP_INTERVAL_SECONDS = 1.0
MAX_RETRY_DELAY_SECONDS = 2.0
# For lines that only this process has; less than the supervisor gives a worker to end.
LAST_FLUSH_TIMEOUT_SECONDS = 8.0


class Flusher:
    """Flushes the spool of one worker.

    `interval` between flushes and `deadline` of each transaction in seconds; `info` defaults to
    Django's database.
    """

    def __init__(
        self,
        spool: Spool,
        *,
        info: str | None = None,
        interval: float = 0.25,
        deadline: float = 5.0,
    ) -> None:
        self._spool = spool
        self._conninfo = info or database.build_conninfo()
        self.interval_seconds = interval
        self._timeout_seconds = deadline
        self._conn: Connection | None = None
        self._offsets: dict[str, int] = {}
        # Files whose offset was read or committed on the present connection.
        self._confirmed_files: set[str] = set()
        self._flush_lock = asyncio.Lock()
        self._touched_at, self._adopted_at, self._rolled_up_at = (
            -HEARTBEAT_SECONDS,
            -ADOPT_INTERVAL_SECONDS,
            -ROLL_UP_INTERVAL_SECONDS,
        )
        self._last_empty_at = time.monotonic()

    @property
    def spool_folder(self) -> Path:
        """The folder in which lines wait on disk."""
        return self._spool.folder

    @property
    def pending_bytes(self) -> int:
        """Bytes spooled by this worker, or waiting in its memory, that are not committed yet."""
        files = (*self._spool.retired_files, self._spool.current_file)
        return self._spool.overflow.size_bytes + sum(
            file.read_size() - self._offsets.get(file.name, 0) for file in files
        )

    @property
    def lag_seconds(self) -> float:
        """Seconds since everything spooled was committed; 0 while nothing waits."""
        return time.monotonic() - self._last_empty_at if self.pending_bytes else 0.0

    async def turn(self) -> None:
        """Flush; adopt files and roll up when it is time.

        Raises any error: the lines are safe on disk, and the next turn tries again.
        """
        try:
            await _shield_work(self.flush())
            if time.monotonic() - self._adopted_at >= ADOPT_INTERVAL_SECONDS:
                await _shield_work(self.adopt_files())
                self._adopted_at = time.monotonic()
            if (
                time.monotonic() - self._rolled_up_at >= ROLL_UP_INTERVAL_SECONDS
                and await _shield_work(self.roll_up()) < MAX_BATCHES
            ):
                self._rolled_up_at = time.monotonic()
        except Exception:
            await self._reset_after_failure()
            raise
        finally:
            metrics.publish_metrics()
            metrics.SPOOL_BYTES.set(self.pending_bytes)
            metrics.SPOOL_LAG.set(self.lag_seconds)

    async def flush(self) -> int:
        """Move all that was spooled before the call; return the number of lines.

        Raises psycopg.Error, OSError or TimeoutError if the database does not accept them: they
        stay in the spool.
        """
        async with self._flush_lock:
            self._spool.retry_overflow()
            if self._spool.current_file.read_size() >= ROTATE_BYTES:
                with suppress(OSError):  # a full disk takes no new file: go on in this one
                    self._spool.rotate_file()
                    self._touched_at = -HEARTBEAT_SECONDS
            # Lines that the disk refused come straight from memory.
            moved = await self._store_overflow()
            moved += await self._drain_file(self._spool.current_file, whole=False)
            if self._spool.is_disk_tight:
                # A file on a full disk is emptied once all of it is stored.
                await self._empty_current()
            if time.monotonic() - self._touched_at >= HEARTBEAT_SECONDS:
                # Before an older file's cursor is deleted: a live worker always has one.
                await self._touch_cursor()
            for file in list(self._spool.retired_files):
                moved += await self._drain_file(file, whole=True)
                await self._remove_drained(file)
                self._spool.retired_files.remove(file)
                file.close()
            self._spool.retry_overflow()
            if not self.pending_bytes:
                self._last_empty_at = time.monotonic()
            return moved

    async def adopt_files(self) -> int:
        """Move the lines of killed workers; return their number. Raises as `flush`."""
        async with self._flush_lock:
            moved = 0
            for path in sorted(self._spool.folder.glob(f"*{SPOOL_SUFFIX}")):
                file = SpoolFile.adopt_file(path)
                if file is None:
                    continue
                try:
                    moved += await self._drain_file(file, whole=True)
                    await self._remove_drained(file)
                finally:
                    file.close()
                metrics.forget_worker(int(file.worker_id.partition("-")[0]))
                log.warning("adopted the spool of a worker that is gone: %s", file.name)
            return moved

    async def roll_up(self) -> int:
        """Add recorded requests to the rollups; return the number of batches. Raises as `flush`."""
        async with self._flush_lock:
            conn = await self._get_connection()
            with database.enforce_deadline(conn, self._timeout_seconds):
                folded = await inserts.roll_up(conn)
            if folded:
                live.announce_change()
            return folded

    async def close(self) -> None:
        """Flush once more and release the files, after the last turn."""
        self._timeout_seconds = min(self._timeout_seconds, MAX_RETRY_DELAY_SECONDS)
        # What cannot be flushed is adopted by the next worker.
        ends = time.monotonic() + LAST_FLUSH_TIMEOUT_SECONDS
        while not await self._flush_last() and self._spool.overflow and time.monotonic() < ends:  # noqa: ASYNC110 - nothing would tell
            await asyncio.sleep(self.interval_seconds)
        if self._spool.overflow:
            lost = Counter(
                get_line_kind(line)
                for line in self._spool.overflow.take_lines(self._spool.overflow.size_bytes)
            )
            log.error(
                "neither the disk nor the database took what waited in memory, it is lost: %s",
                _format_counts(lost),
            )
        await self._drop_connection()
        self._spool.close()

    async def _flush_last(self) -> bool:
        """Flush and roll up; return whether everything was moved."""
        try:
            await self.flush()
            await self.roll_up()
            async with self._flush_lock:
                if not self.pending_bytes:
                    await self._remove_drained(self._spool.current_file)
        except Exception as error:  # likewise
            log.warning(
                "the last flush failed, %d bytes are left for the next worker: %s",
                self.pending_bytes,
                _format_error(error),
            )
            await self._reset_after_failure()
            return False
        return True

    async def _store_overflow(self) -> int:
        """Move the lines in memory into the database, and store the count of dropped ones."""
        moved = 0
        while lines := self._spool.overflow.take_lines(CHUNK_BYTES):
            try:
                conn = await self._get_connection()
                with database.enforce_deadline(conn, self._timeout_seconds):
                    moved += await self._store_lines(
                        conn,
                        self._spool.current_file.worker_id,
                        [line.rstrip(b"\n") for line in lines],
                    )
            except BaseException:
                self._spool.overflow.put_back_lines(lines)
                raise
        if dropped := Counter(self._spool.overflow.dropped_counts):
            conn = await self._get_connection()
            with database.enforce_deadline(conn, self._timeout_seconds):
                reason = (
                    "lines that were dropped, as neither the disk nor the memory had room: "
                    f"{_format_counts(dropped)}"
                )
                await _store_dead_letter(
                    conn,
                    orjson.dumps({"dropped": dropped, "worker": self._spool.worker_id}),
                    reason,
                )
            self._spool.overflow.dropped_counts.subtract(dropped)
            self._spool.overflow.dropped_counts = +self._spool.overflow.dropped_counts
        return moved

    async def _empty_current(self) -> None:
        """Empty the current file if all of it is stored."""
        conn, file = await self._get_connection(), self._spool.current_file
        end = self._offsets[file.name]
        if not end or file.read_size() != end:
            return
        with database.enforce_deadline(conn, self._timeout_seconds):
            # The cursor is reset first: after a crash in between the lines are read once more,
            # which changes nothing; the other way round, lines written meanwhile would be skipped.
            await inserts.move_cursor(conn, file=file.name, worker=file.worker_id, offset=0)
        if file.read_size() == end:  # nothing was written meanwhile
            self._spool.empty_current_file()
            self._offsets[file.name] = 0

    async def _drain_file(self, file: SpoolFile, *, whole: bool) -> int:
        """Store the file up to its present end; return the number of lines.

        `whole`: no one writes it any more, so a last line without an end is torn.
        """
        conn = await self._get_connection()
        if (
            file.name not in self._confirmed_files
        ):  # a commit whose reply was lost may have moved it
            with database.enforce_deadline(conn, self._timeout_seconds):
                self._offsets[file.name] = await inserts.read_offset(conn, file.name)
            self._confirmed_files.add(file.name)
        moved, end = 0, file.read_size()
        while (offset := self._offsets[file.name]) < end:
            data = _take_whole_lines(
                file.read_bytes(offset, min(CHUNK_BYTES, end - offset)), torn_too=whole
            )
            if not data:
                break
            with database.enforce_deadline(conn, self._timeout_seconds):
                moved += await self._store_lines(
                    conn, file.worker_id, data.split(b"\n"), (file, offset + len(data))
                )
            self._offsets[file.name] = offset + len(data)
        return moved

    async def _store_lines(
        self,
        conn: Connection,
        worker: str,
        lines: list[bytes],
        behind: tuple[SpoolFile, int] | None = None,
    ) -> int:
        """Store the lines and, if they come from a file, its new offset, in one transaction."""
        good: list[inserts.SpoolRow] = []
        async with conn.transaction():
            await conn.execute(
                "SELECT set_config('statement_timeout', %s, true)",
                (str(int(self._timeout_seconds * 1000)),),
            )
            for line in filter(None, lines):
                try:
                    good.append(inserts.parse_line(line))
                except ValueError as error:
                    await _store_dead_letter(conn, line, f"not a line of the spool: {error}")
            await _insert_or_halve(conn, worker, good)
            if behind is not None:
                file, offset = behind
                await inserts.move_cursor(conn, file=file.name, worker=worker, offset=offset)
        return len(good)

    async def _remove_drained(self, file: SpoolFile) -> None:
        """Remove a drained file, then its cursor."""
        conn = await self._get_connection()
        if file in (*self._spool.retired_files, self._spool.current_file):
            # A crash between the two leaves a cursor that goes stale, never a file read twice.
            self._spool.remove_file(file)
        else:
            file.delete_file()
        with database.enforce_deadline(conn, self._timeout_seconds):
            await inserts.drop_cursor(conn, file.name)
        self._offsets.pop(file.name, None)
        self._confirmed_files.discard(file.name)

    async def _touch_cursor(self) -> None:
        """Mark this worker as live: its open attempts are in flight."""
        conn, file = await self._get_connection(), self._spool.current_file
        with database.enforce_deadline(conn, self._timeout_seconds):
            await inserts.move_cursor(
                conn, file=file.name, worker=file.worker_id, offset=self._offsets[file.name]
            )
        self._touched_at = time.monotonic()

    async def _get_connection(self) -> Connection:
        if self._conn is None or self._conn.closed:
            self._confirmed_files.clear()
            self._conn = await database.open_connection(self._conninfo)
        return self._conn

    async def _reset_after_failure(self) -> None:
        """Drop the connection, and sync to disk what PostgreSQL did not take."""
        await self._drop_connection()
        with suppress(OSError):
            await asyncio.to_thread(self._spool.sync_to_disk)

    async def _drop_connection(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.pgconn.finish()  # at once: an orderly end could block on a frozen server
        self._confirmed_files.clear()


async def _shield_work(turn: Coroutine[None, None, int]) -> int:
    """Let the work finish if the turn is cancelled."""
    # psycopg answers a cancelled wait by waiting for the server, for seconds.
    return await asyncio.shield(asyncio.create_task(turn))


def _take_whole_lines(chunk: bytes, *, torn_too: bool) -> bytes:
    """Return the part of the chunk that is whole lines, or all of it if it cannot become a line."""
    end = chunk.rfind(b"\n") + 1
    return chunk[:end] if end or not (torn_too or len(chunk) == CHUNK_BYTES) else chunk


async def _insert_or_halve(conn: Connection, worker: str, batch: list[inserts.SpoolRow]) -> None:
    """Insert the batch; if PostgreSQL rejects it, halve it until the bad row is a dead letter."""
    try:
        async with conn.transaction():
            await inserts.insert_rows(conn, worker, batch)
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        if len(batch) == 1:
            await _store_dead_letter(conn, inserts.format_line(batch[0]), _format_error(error))
            return
        half = len(batch) // 2
        await _insert_or_halve(conn, worker, batch[:half])
        await _insert_or_halve(conn, worker, batch[half:])


async def _store_dead_letter(conn: Connection, line: bytes, reason: str) -> None:
    log.error("a line of the spool was put aside: %s", reason)
    metrics.DEAD_LETTERS.inc()
    await inserts.store_dead_letter(conn, line, reason)


def _format_counts(kinds: Counter[str]) -> str:
    return ", ".join(f"{number:,} {kind}" for kind, number in sorted(kinds.items()))


def _format_error(error: Exception) -> str:
    """Format the error's class and first line."""
    # PostgreSQL's further lines quote the row.
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"
