"""The ledger on disk: JSON lines of attempts, events, fingerprints and cache entries.

Each line is appended with one write; what `os.write` returned for is in the page cache, so it
survives SIGKILL of the worker (not a power cut, see `Spool.sync_to_disk`). Each worker owns its
files and holds an flock on each; a file without a lock belongs to a dead worker and may be adopted
(`SpoolFile.adopt_file`). The flusher (`stats.ledger.flusher`) moves the lines into PostgreSQL.
Lines that the disk refuses wait in memory (`stats.ledger.overflow`).
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

from stats.events import Attempt, CacheEntryRecord, Event, RequestFingerprint
from stats.ledger.overflow import OverflowBuffer
from stats.monitoring import metrics

log = logging.getLogger(__name__)

SPOOL_SUFFIX = ".jsonl"
MAX_LINE_BYTES = 16 * 1024
MAX_TEXT_LENGTH = 500
MAX_MEMORY_BYTES: Final = 64 * 1024 * 1024
LOG_INTERVAL_SECONDS = 60.0


class SpoolFile:
    """A file of lines, and the lock that shows that its owner lives."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    @classmethod
    def create_file(cls, path: Path) -> Self:
        """Create a new file, locked before it gets its name."""
        draft = path.with_suffix(".new")
        descriptor = os.open(draft, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # No other worker ever sees it without a lock.
        draft.rename(path)
        return cls(path, descriptor)

    @classmethod
    def adopt_file(cls, path: Path) -> Self | None:
        """Lock a dead worker's file; None if its owner lives or another worker was faster."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if os.fstat(descriptor).st_nlink == 0:  # drained and removed between our open and our lock
            os.close(descriptor)
            return None
        return cls(path, descriptor)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def worker_id(self) -> str:
        """The id of the worker that wrote the file."""
        return self.path.name.partition(".")[0]

    def read_size(self) -> int:
        return os.fstat(self.descriptor).st_size

    def read_bytes(self, offset: int, length: int) -> bytes:
        return os.pread(self.descriptor, length, offset)

    def truncate(self, size: int) -> None:
        """Cut the file to `size` bytes. Raises OSError."""
        os.ftruncate(self.descriptor, size)

    def delete_file(self) -> None:
        """Delete the file, still locked; call `close` when no one may look for it any more."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the lock."""
        os.close(self.descriptor)


class Spool:
    """Implements the `Ledger` port with one folder; called from the event loop.

    No call waits, locks or raises. `disk_bytes`: limit of this worker's files, 0 for none;
    `memory_bytes`: limit of lines waiting in memory. `is_disk_tight`: the disk has refused a line,
    so files are emptied as soon as they are stored.
    """

    def __init__(
        self, folder: Path | str, *, disk_bytes: int = 0, memory_bytes: int = MAX_MEMORY_BYTES
    ) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.worker_id = f"{os.getpid()}-{uuid.uuid4().hex}"
        self.retired_files: list[SpoolFile] = []
        self.error_count = 0
        self.overflow = OverflowBuffer(memory_bytes)
        self.is_disk_tight = False
        self._max_disk_bytes = disk_bytes
        self._used_disk_bytes = 0
        self._generation = 0
        self._has_torn_line = False
        self._last_logged_at = -LOG_INTERVAL_SECONDS
        self.current_file = self._create_next_file()
        _open_spools.add(self)

    def record_attempt(self, attempt: Attempt) -> None:
        """Write that an upstream call is about to start."""
        self._append_line("attempt", attempt)

    def record_event(self, event: Event) -> None:
        """Write that a request finished."""
        self._append_line("event", event)
        try:
            metrics.observe_event(event)
        except Exception:
            # The metrics lack a request, but the answer goes out.
            if self._may_log():
                log.exception("a finished request is missing from the metrics")

    def record_cache_entry(self, entry: CacheEntryRecord) -> None:
        """Write that an answer is about to be stored."""
        self._append_line("kept", entry)

    def record_fingerprint(self, imprint: RequestFingerprint) -> None:
        """Write the fingerprint of a request."""
        self._append_line("imprint", imprint)

    def rotate_file(self) -> None:
        """Continue in a new file. Raises OSError."""
        new = self._create_next_file()
        # Still locked until the flusher has drained it.
        self.retired_files.append(self.current_file)
        self.current_file = new
        self._has_torn_line = False

    def empty_current_file(self) -> None:
        """Truncate the current file, all of which is stored. Raises OSError."""
        size = self.current_file.read_size()
        # On a full volume nothing else makes room.
        self.current_file.truncate(0)
        self._used_disk_bytes -= size
        self._has_torn_line = False

    def remove_file(self, file: SpoolFile) -> None:
        """Delete a file of ours, all of which is stored. Raises OSError."""
        self._used_disk_bytes -= file.read_size()
        file.delete_file()

    def sync_to_disk(self) -> None:
        """Sync to disk what a power cut could take. Blocks: call it in a thread."""
        sync = getattr(os, "fdatasync", os.fsync)  # macOS has the second alone
        sync(self.current_file.descriptor)

    def retry_overflow(self) -> None:
        """Write the lines that a full disk refused, if it takes them now."""
        try:
            while self.overflow:
                self._write_line(self.overflow.peek_line())
                self.overflow.remove_first()
        except OSError as error:
            self._record_failure(error)

    def close(self) -> None:
        """Release all locks: what is left in the files is adopted by another worker."""
        _open_spools.discard(self)
        for file in (*self.retired_files, self.current_file):
            file.close()

    def _create_next_file(self) -> SpoolFile:
        self._generation += 1
        return SpoolFile.create_file(
            self.folder / f"{self.worker_id}.{self._generation:06d}{SPOOL_SUFFIX}"
        )

    def _append_line(
        self, kind: str, value: Attempt | Event | CacheEntryRecord | RequestFingerprint
    ) -> None:
        """Write the line, or hold it in memory if the disk is full or broken."""
        try:
            line = _format_line(kind, value)
            if self.overflow:
                self.overflow.add_line(line)
                self.retry_overflow()
                return
            try:
                self._write_line(line)
            except OSError:
                self.overflow.add_line(line)
                raise
        except Exception as error:
            # Whatever is wrong with the line or the disk must not fail the request.
            self._record_failure(error)

    def _write_line(self, line: bytes) -> None:
        if self._max_disk_bytes and self._used_disk_bytes + len(line) > self._max_disk_bytes:
            raise OSError(
                errno.ENOSPC,
                f"the worker's files have their {self._max_disk_bytes} bytes "
                "(TOKENTHRIFT_SPOOL_MB)",
            )
        data = b"\n" + line if self._has_torn_line else line
        written = os.write(self.current_file.descriptor, data)
        self._used_disk_bytes += written
        if written < len(data):
            self._has_torn_line = True
            self._cut_torn_line(written)
            raise OSError(errno.ENOSPC, f"{written} of {len(data)} bytes written")
        self._has_torn_line = False

    def _cut_torn_line(self, written: int) -> None:
        """Remove the partial line that went onto a full disk; it is written again as a whole."""
        # If that fails, a line feed ends it.
        with suppress(OSError):
            self.current_file.truncate(self.current_file.read_size() - written)
            self._used_disk_bytes -= written
            self._has_torn_line = False

    def _record_failure(self, error: Exception) -> None:
        self.is_disk_tight = self.is_disk_tight or isinstance(error, OSError)
        self.error_count += 1
        metrics.SPOOL_ERRORS.inc()
        if self._may_log():
            log.error(
                "spool %s cannot be written (%d so far): %s",
                self.current_file.path,
                self.error_count,
                error,
            )

    def _may_log(self) -> bool:
        """Return whether the last message is long enough ago, and count this as one."""
        due = time.monotonic() - self._last_logged_at >= LOG_INTERVAL_SECONDS
        if due:
            self._last_logged_at = time.monotonic()
        return due


def _format_line(
    kind: str, value: Attempt | Event | CacheEntryRecord | RequestFingerprint
) -> bytes:
    """Format the line `{"event": {...}}` with a line feed; decimals become strings."""
    try:
        line = b'{"%b":%b}\n' % (kind.encode(), orjson.dumps(value, default=str))
    except TypeError:  # a lone surrogate, or an integer beyond 64 bits
        line = b"\\u0000"
    # PostgreSQL accepts neither NUL nor half a surrogate pair.
    if b"\\u0000" in line or len(line) > MAX_LINE_BYTES:
        line = json.dumps({kind: _clean_value(asdict(value))}, default=str).encode() + b"\n"
    return line


def _clean_value(value: Any) -> Any:
    if isinstance(value, str):
        return value[:MAX_TEXT_LENGTH].replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _clean_value(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_clean_value(item) for item in value]
    return value


_open_spools: "weakref.WeakSet[Spool]" = weakref.WeakSet()


def _close_inherited_spools() -> None:
    """Close the spools in a forked child."""
    # An inherited descriptor would hold the lock of a killed worker.
    for spool in list(_open_spools):
        spool.close()


os.register_at_fork(after_in_child=_close_inherited_spools)
