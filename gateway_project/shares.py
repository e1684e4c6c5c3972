"""How many connections each worker of one `serve` holds, in memory that all of them see.

Only a hint: who reads an old number takes a connection that another worker should have had, or takes it a millisecond later. So nothing is
locked but the claim of a row, and a worker that was killed leaves its row to the next one.
"""

import mmap
import os
from pathlib import Path
from struct import Struct

from gateway_project import locks

ROW = Struct("=II")  # a process id, 0 for nobody, and how many connections it holds
SIZE = 64 * ROW.size  # more workers than that go uncounted
CLAIM_SECONDS = 5.0


class Shares:
    """This worker's row and a view of the others'. Made when the worker begins to listen. Raises OSError or TimeoutError."""

    def __init__(self, table: Path) -> None:
        claiming = locks.take(table.with_suffix(".lock"), locks.EXCLUSIVE, seconds=CLAIM_SECONDS)
        try:
            with table.open("a+b") as file:
                os.posix_fallocate(file.fileno(), 0, SIZE)  # a hole in a file on a full disk would kill who writes there
                self._rows = mmap.mmap(file.fileno(), SIZE)
            self._mine = self._free()
            self._open = self._coming = 0
            self._write()
        finally:
            os.close(claiming)

    def coming(self) -> None:
        """A connection was accepted; `came` or `failed` follows."""
        self._coming += 1
        self._write()

    def failed(self) -> None:
        """It was gone before it was open."""
        self._coming -= 1
        self._write()

    def came(self, held: int) -> None:
        """It is one of the `held` that are open."""
        self._coming -= 1
        self.left(held)

    def left(self, held: int) -> None:
        """One was closed, `held` are open."""
        self._open = held
        self._write()

    def leads(self) -> bool:
        """Whether this worker holds more than a living one: one more, or an eighth more of many."""
        mine = self._open + self._coming
        return any(mine > held + held // 8 and _alive(pid) for pid, held in ROW.iter_unpack(self._rows))

    def leave(self) -> None:
        """Take no further part: nobody waits for a worker that accepts nothing."""
        if self._mine is not None:
            ROW.pack_into(self._rows, self._mine, 0, 0)
            self._mine = None

    def _free(self) -> int | None:
        """Where the first row is that is nobody's."""
        owners = (pid for pid, _ in ROW.iter_unpack(self._rows))
        return next((row * ROW.size for row, pid in enumerate(owners) if not _alive(pid)), None)

    def _write(self) -> None:
        if self._mine is not None:
            ROW.pack_into(self._rows, self._mine, os.getpid(), self._open + self._coming)


def _alive(pid: int) -> bool:
    """Workers run under one account, so a process that may not be signalled is none of ours."""
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
