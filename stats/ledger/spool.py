"""The ledger on disk: one JSON line per upstream attempt, finished request, imprint of one,
and stored answer, appended with one write.

What `os.write` returned for is in the page cache, so it survives SIGKILL of the worker (not a power
cut, see `Spool.sync`). Each worker owns its files and holds an flock on each; a file nobody locks
belongs to a dead worker and may be adopted (`SpoolFile.adopt`). The flusher
(`stats.ledger.flusher`) moves the lines into PostgreSQL. Lines that the disk refuses wait in memory
(`stats.ledger.overflow`).
"""

import errno
import fcntl
import json
import logging
import os
import time
import uuid
import weakref
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Self

import orjson

from stats.events import Attempt, Event, Imprint, Kept
from stats.ledger.overflow import Overflow
from stats.monitoring import metrics

log = logging.getLogger(__name__)

SUFFIX = ".jsonl"
LONGEST_LINE = 16 * 1024
LONGEST_TEXT = 500
MEMORY_BYTES: Final = 64 * 1024 * 1024
LOG_EVERY = 60.0


class SpoolFile:
    """One file of lines and the lock that says its owner lives."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    @classmethod
    def create(cls, path: Path) -> Self:
        """A new file, locked before it takes its name:
        no other worker ever sees it without a lock."""
        draft = path.with_suffix(".new")
        descriptor = os.open(draft, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        draft.rename(path)
        return cls(path, descriptor)

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """A dead worker's file, now locked by us.

        None when its owner lives, or when another worker adopted it first.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if os.fstat(descriptor).st_nlink == 0:  # finished and removed between our open and our lock
            os.close(descriptor)
            return None
        return cls(path, descriptor)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def worker(self) -> str:
        """The worker that wrote the file: its name up to the generation."""
        return self.path.name.partition(".")[0]

    def size(self) -> int:
        return os.fstat(self.descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self.descriptor, length, offset)

    def truncate(self, size: int) -> None:
        """Give back what lies behind `size`. Raises OSError."""
        os.ftruncate(self.descriptor, size)

    def remove(self) -> None:
        """Delete the file, still locked: call `close` once nobody may look for it any more."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give the lock up."""
        os.close(self.descriptor)


class Spool:
    """The `Ledger` port over one folder.

    Calls come from the event loop; none of them waits, locks or raises.

    `disk_bytes`: what this worker's files may take, 0 for as much as the volume holds;
    `memory_bytes`: what may wait in memory. `tight`: the disk refused a line once, so that from
    then on files are emptied as soon as they are stored.
    """

    def __init__(
        self, folder: Path | str, *, disk_bytes: int = 0, memory_bytes: int = MEMORY_BYTES
    ) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.worker = f"{os.getpid()}-{uuid.uuid4().hex}"
        self.retired: list[SpoolFile] = []
        self.errors = 0
        self.overflow = Overflow(memory_bytes)
        self.tight = False
        self._disk_bytes = disk_bytes
        self._on_disk = 0
        self._generation = 0
        self._torn = False
        self._logged = -LOG_EVERY
        self.current = self._next_file()
        _alive.add(self)

    def record_attempt(self, attempt: Attempt) -> None:
        """Write that an upstream call is about to start."""
        self._append("attempt", attempt)

    def record_event(self, event: Event) -> None:
        """Write that a request finished."""
        self._append("event", event)
        metrics.observe(event)

    def record_cache_entry(self, entry: Kept) -> None:
        """Write that an answer is about to be stored."""
        self._append("kept", entry)

    def record_fingerprint(self, imprint: Imprint) -> None:
        """Write what another plan can be tried on."""
        self._append("imprint", imprint)

    def rotate(self) -> None:
        """Go on in a new file.

        The old one stays locked in `retired` until the flusher has emptied it. Raises OSError.
        """
        new = self._next_file()
        self.retired.append(self.current)
        self.current = new
        self._torn = False

    def empty(self) -> None:
        """Give back the room of the current file, all of which is stored:
        on a full volume nothing else makes any. Raises OSError."""
        size = self.current.size()
        self.current.truncate(0)
        self._on_disk -= size
        self._torn = False

    def remove(self, file: SpoolFile) -> None:
        """Delete a file of ours, all of which is stored. Raises OSError."""
        self._on_disk -= file.size()
        file.remove()

    def sync(self) -> None:
        """Ask the disk for what a power cut could take. Blocks: call it in a thread."""
        os.fdatasync(self.current.descriptor)

    def retry(self) -> None:
        """Write what a full disk refused, if it takes it now."""
        try:
            while self.overflow:
                self._write(self.overflow.first())
                self.overflow.done()
        except OSError as error:
            self._complain(error)

    def close(self) -> None:
        """Give all locks up: what is left in the files is adopted by another worker."""
        _alive.discard(self)
        for file in (*self.retired, self.current):
            file.close()

    def _next_file(self) -> SpoolFile:
        self._generation += 1
        return SpoolFile.create(self.folder / f"{self.worker}.{self._generation:06d}{SUFFIX}")

    def _append(self, kind: str, value: Attempt | Event | Kept | Imprint) -> None:
        """A full or broken disk must not fail the request: the line then waits in memory."""
        try:
            line = _line(kind, value)
            if self.overflow:
                self.overflow.add(line)
                self.retry()
                return
            try:
                self._write(line)
            except OSError:
                self.overflow.add(line)
                raise
        except Exception as error:
            # Whatever is wrong with the line or the disk, the answer goes out.
            self._complain(error)

    def _write(self, line: bytes) -> None:
        if self._disk_bytes and self._on_disk + len(line) > self._disk_bytes:
            raise OSError(
                errno.ENOSPC,
                f"the worker's files have their {self._disk_bytes} bytes (TOKENTHRIFT_SPOOL_MB)",
            )
        data = b"\n" + line if self._torn else line
        written = os.write(self.current.descriptor, data)
        self._on_disk += written
        if written < len(data):
            self._torn = True
            self._cut_torn(written)
            raise OSError(errno.ENOSPC, f"{written} of {len(data)} bytes written")
        self._torn = False

    def _cut_torn(self, written: int) -> None:
        """Take back the part of a line that went onto a full disk: all of it is written again.

        Where that fails, a line feed ends it.
        """
        with suppress(OSError):
            self.current.truncate(self.current.size() - written)
            self._on_disk -= written
            self._torn = False

    def _complain(self, error: Exception) -> None:
        self.tight = self.tight or isinstance(error, OSError)
        self.errors += 1
        metrics.SPOOL_ERRORS.inc()
        if time.monotonic() - self._logged >= LOG_EVERY:
            self._logged = time.monotonic()
            log.error(
                "spool %s cannot be written (%d so far): %s", self.current.path, self.errors, error
            )


def _line(kind: str, value: Attempt | Event | Kept | Imprint) -> bytes:
    """`{"event": {...}}` and a line feed.

    Decimals become strings; PostgreSQL takes neither NUL nor half a surrogate pair.
    """
    try:
        line = b'{"%b":%b}\n' % (kind.encode(), orjson.dumps(value, default=str))
    except TypeError:  # a lone surrogate, or an integer beyond 64 bits
        line = b"\\u0000"
    if b"\\u0000" in line or len(line) > LONGEST_LINE:
        line = json.dumps({kind: _clean(asdict(value))}, default=str).encode() + b"\n"
    return line


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value[:LONGEST_TEXT].replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_clean(item) for item in value]
    return value


_alive: "weakref.WeakSet[Spool]" = weakref.WeakSet()


def _leave_to_parent() -> None:
    """In a forked child: an inherited descriptor would keep the lock of a killed worker alive."""
    for spool in list(_alive):
        spool.close()


os.register_at_fork(after_in_child=_leave_to_parent)
