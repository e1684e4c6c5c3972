"""Moves the spool into PostgreSQL, whole lines only, each exactly once.

A batch and the new offset of its file are one transaction, so a crash repeats nothing and skips
nothing. While PostgreSQL is away the lines stay on disk. Files of killed workers are adopted. A row
that PostgreSQL refuses is found by halving the batch and put aside as a DeadLetter. Lines that the
disk refused come straight from memory, and a file on a full disk is emptied once all of it is
stored.
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
from stats.ledger.overflow import kind_of
from stats.ledger.rollup import BATCHES
from stats.ledger.spool import SUFFIX, Spool, SpoolFile
from stats.monitoring import metrics

log = logging.getLogger(__name__)

CHUNK = 192 * 1024  # some 250 lines
ROTATE_AT = 32 * 1024 * 1024
HEARTBEAT = 15.0
ADOPT_EVERY = 5.0
FOLD_EVERY = 1.0
LONGEST_WAIT = 2.0
# For lines that only this process has: within what the supervisor gives a worker to end.
LAST_WAIT = 8.0


class Flusher:
    """One per worker.

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
        self._info = info or database.conninfo()
        self.interval = interval
        self._deadline = deadline
        self._conn: Connection | None = None
        self._offsets: dict[str, int] = {}
        # Files whose offset was read or committed on the present connection.
        self._sure: set[str] = set()
        self._turn = asyncio.Lock()
        self._touched, self._adopted, self._folded = -HEARTBEAT, -ADOPT_EVERY, -FOLD_EVERY
        self._empty_at = time.monotonic()

    @property
    def folder(self) -> Path:
        """Where lines wait on disk."""
        return self._spool.folder

    @property
    def pending_bytes(self) -> int:
        """Spooled by this worker, or waiting in its memory, and not yet committed."""
        files = (*self._spool.retired, self._spool.current)
        return self._spool.overflow.size + sum(
            file.size() - self._offsets.get(file.name, 0) for file in files
        )

    @property
    def lag(self) -> float:
        """Seconds since everything spooled was seen committed; 0 while nothing waits."""
        return time.monotonic() - self._empty_at if self.pending_bytes else 0.0

    async def turn(self) -> None:
        """Flush, and adopt and fold when it is time.

        Raises whatever it is: the lines are safe on disk, and the next turn tries again.
        """
        try:
            await _whole(self.flush())
            if time.monotonic() - self._adopted >= ADOPT_EVERY:
                await _whole(self.adopt())
                self._adopted = time.monotonic()
            if (
                time.monotonic() - self._folded >= FOLD_EVERY
                and await _whole(self.fold()) < BATCHES
            ):
                self._folded = time.monotonic()
        except Exception:
            await self._survive()
            raise
        finally:
            metrics.publish()
            metrics.SPOOL_BYTES.set(self.pending_bytes)
            metrics.SPOOL_LAG.set(self.lag)

    async def flush(self) -> int:
        """Move all that was spooled before the call; the number of lines moved.

        Raises psycopg.Error, OSError or TimeoutError when the database does not take them: they
        stay in the spool.
        """
        async with self._turn:
            self._spool.retry()
            if self._spool.current.size() >= ROTATE_AT:
                with suppress(OSError):  # a full disk takes no new file: the present one goes on
                    self._spool.rotate()
                    self._touched = -HEARTBEAT
            moved = await self._store_overflow()
            moved += await self._drain(self._spool.current, whole=False)
            if self._spool.tight:
                await self._empty_current()
            if time.monotonic() - self._touched >= HEARTBEAT:
                # Before an older file's cursor goes: a living worker always has one.
                await self._touch()
            for file in list(self._spool.retired):
                moved += await self._drain(file, whole=True)
                await self._finish(file)
                self._spool.retired.remove(file)
                file.close()
            self._spool.retry()
            if not self.pending_bytes:
                self._empty_at = time.monotonic()
            return moved

    async def adopt(self) -> int:
        """Move the lines of killed workers; the number of lines moved. Raises as `flush`."""
        async with self._turn:
            moved = 0
            for path in sorted(self._spool.folder.glob(f"*{SUFFIX}")):
                file = SpoolFile.adopt(path)
                if file is None:
                    continue
                try:
                    moved += await self._drain(file, whole=True)
                    await self._finish(file)
                finally:
                    file.close()
                metrics.forget_worker(int(file.worker.partition("-")[0]))
                log.warning("adopted the spool of a worker that is gone: %s", file.name)
            return moved

    async def fold(self) -> int:
        """Add what is recorded to its roll-ups, a turn of it; the number of batches.

        Raises as `flush`.
        """
        async with self._turn:
            conn = await self._connected()
            with database.deadline(conn, self._deadline):
                folded = await inserts.fold(conn)
            if folded:
                live.announce()
            return folded

    async def close(self) -> None:
        """Flush once more and give the files up, after the last turn:
        what could not be flushed is adopted by the next worker."""
        self._deadline = min(self._deadline, LONGEST_WAIT)
        ends = time.monotonic() + LAST_WAIT
        while not await self._flush_last() and self._spool.overflow and time.monotonic() < ends:  # noqa: ASYNC110 - nothing would tell
            await asyncio.sleep(self.interval)
        if self._spool.overflow:
            lost = Counter(
                kind_of(line) for line in self._spool.overflow.take(self._spool.overflow.size)
            )
            log.error(
                "neither the disk nor the database took what waited in memory, it is lost: %s",
                _counts(lost),
            )
        await self._drop_connection()
        self._spool.close()

    async def _flush_last(self) -> bool:
        """Whether everything could be moved."""
        try:
            await self.flush()
            await self.fold()
            async with self._turn:
                if not self.pending_bytes:
                    await self._finish(self._spool.current)
        except Exception as error:  # likewise
            log.warning(
                "the last flush failed, %d bytes are left for the next worker: %s",
                self.pending_bytes,
                _reason(error),
            )
            await self._survive()
            return False
        return True

    async def _store_overflow(self) -> int:
        """Move what waits in memory straight into the database,
        and put aside how much had to be dropped."""
        moved = 0
        while lines := self._spool.overflow.take(CHUNK):
            try:
                conn = await self._connected()
                with database.deadline(conn, self._deadline):
                    moved += await self._store(
                        conn, self._spool.current.worker, [line.rstrip(b"\n") for line in lines]
                    )
            except BaseException:
                self._spool.overflow.put_back(lines)
                raise
        if dropped := Counter(self._spool.overflow.dropped):
            conn = await self._connected()
            with database.deadline(conn, self._deadline):
                reason = (
                    "lines that were dropped, as neither the disk nor the memory had room: "
                    f"{_counts(dropped)}"
                )
                await _bury(
                    conn, orjson.dumps({"dropped": dropped, "worker": self._spool.worker}), reason
                )
            self._spool.overflow.dropped.subtract(dropped)
            self._spool.overflow.dropped = +self._spool.overflow.dropped
        return moved

    async def _empty_current(self) -> None:
        """Empty the current file if all of it is stored.

        Its cursor goes first: a crash in between has the lines read once more, which changes
        nothing, where the other way round lines written meanwhile would be skipped.
        """
        conn, file = await self._connected(), self._spool.current
        end = self._offsets[file.name]
        if not end or file.size() != end:
            return
        with database.deadline(conn, self._deadline):
            await inserts.move_cursor(conn, file=file.name, worker=file.worker, offset=0)
        if file.size() == end:  # nothing was written meanwhile
            self._spool.empty()
            self._offsets[file.name] = 0

    async def _drain(self, file: SpoolFile, *, whole: bool) -> int:
        """Read the file up to its present end.

        `whole`: nobody writes it any more, so a last line without an end is torn.
        """
        conn = await self._connected()
        if file.name not in self._sure:  # a commit whose answer was lost may have moved it
            with database.deadline(conn, self._deadline):
                self._offsets[file.name] = await inserts.offset_of(conn, file.name)
            self._sure.add(file.name)
        moved, end = 0, file.size()
        while (offset := self._offsets[file.name]) < end:
            data = _lines(file.read(offset, min(CHUNK, end - offset)), torn_too=whole)
            if not data:
                break
            with database.deadline(conn, self._deadline):
                moved += await self._store(
                    conn, file.worker, data.split(b"\n"), (file, offset + len(data))
                )
            self._offsets[file.name] = offset + len(data)
        return moved

    async def _store(
        self,
        conn: Connection,
        worker: str,
        lines: list[bytes],
        behind: tuple[SpoolFile, int] | None = None,
    ) -> int:
        """One transaction: the lines, and the offset behind them where they come from a file."""
        good: list[inserts.Row] = []
        async with conn.transaction():
            await conn.execute(
                "SELECT set_config('statement_timeout', %s, true)",
                (str(int(self._deadline * 1000)),),
            )
            for line in filter(None, lines):
                try:
                    good.append(inserts.row_of(line))
                except ValueError as error:
                    await _bury(conn, line, f"not a line of the spool: {error}")
            await _insert(conn, worker, good)
            if behind is not None:
                file, offset = behind
                await inserts.move_cursor(conn, file=file.name, worker=worker, offset=offset)
        return len(good)

    async def _finish(self, file: SpoolFile) -> None:
        """Remove an emptied file, then its cursor: a crash between the two leaves a cursor
        that goes stale, never a file read twice."""
        conn = await self._connected()
        if file in (*self._spool.retired, self._spool.current):
            self._spool.remove(file)
        else:
            file.remove()
        with database.deadline(conn, self._deadline):
            await inserts.drop_cursor(conn, file.name)
        self._offsets.pop(file.name, None)
        self._sure.discard(file.name)

    async def _touch(self) -> None:
        """Say that this worker lives: its open attempts are in flight."""
        conn, file = await self._connected(), self._spool.current
        with database.deadline(conn, self._deadline):
            await inserts.move_cursor(
                conn, file=file.name, worker=file.worker, offset=self._offsets[file.name]
            )
        self._touched = time.monotonic()

    async def _connected(self) -> Connection:
        if self._conn is None or self._conn.closed:
            self._sure.clear()
            self._conn = await database.connect(self._info)
        return self._conn

    async def _survive(self) -> None:
        """After a failure: start from a new connection,
        and have the disk keep what PostgreSQL did not take."""
        await self._drop_connection()
        with suppress(OSError):
            await asyncio.to_thread(self._spool.sync)

    async def _drop_connection(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.pgconn.finish()  # at once: a farewell to a frozen server could block
        self._sure.clear()


async def _whole(turn: Coroutine[None, None, int]) -> int:
    """Let its work end when the turn is cancelled meanwhile:
    psycopg answers a cancelled wait by waiting for the server, for seconds."""
    return await asyncio.shield(asyncio.create_task(turn))


def _lines(chunk: bytes, *, torn_too: bool) -> bytes:
    """The part of the chunk that is whole lines;
    all of it when it cannot become a line any more."""
    end = chunk.rfind(b"\n") + 1
    return chunk[:end] if end or not (torn_too or len(chunk) == CHUNK) else chunk


async def _insert(conn: Connection, worker: str, batch: list[inserts.Row]) -> None:
    """Insert the batch; when PostgreSQL refuses it, halve it until the row at fault is alone,
    and bury that."""
    try:
        async with conn.transaction():
            await inserts.insert(conn, worker, batch)
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        if len(batch) == 1:
            await _bury(conn, inserts.line_of(batch[0]), _reason(error))
            return
        half = len(batch) // 2
        await _insert(conn, worker, batch[:half])
        await _insert(conn, worker, batch[half:])


async def _bury(conn: Connection, line: bytes, reason: str) -> None:
    log.error("a line of the spool was put aside: %s", reason)
    metrics.DEAD_LETTERS.inc()
    await inserts.bury(conn, line, reason)


def _counts(kinds: Counter[str]) -> str:
    return ", ".join(f"{number:,} {kind}" for kind, number in sorted(kinds.items()))


def _reason(error: Exception) -> str:
    """The error's class and first line: PostgreSQL's further lines quote the row."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"
