"""Lines that the disk does not take, in memory until the disk or the database has them.

Limited in bytes. Beyond that lines are dropped and counted by kind; the flusher stores the counts
as a dead letter, so that nothing is lost without a trace.
"""

from collections import Counter, deque
from collections.abc import Iterable
from typing import Final

LEDGER_LINE_PREFIXES: Final = (b'{"event":', b'{"attempt":')  # the lines of the ledger proper


class OverflowBuffer:
    """A FIFO buffer of at most `limit` bytes, with ledger lines and others in separate queues."""

    def __init__(self, limit: int) -> None:
        self.size_bytes = 0
        self.dropped_counts: Counter[str] = Counter()
        self._max_bytes = limit
        self._ledger_lines: deque[bytes] = deque()
        self._other_lines: deque[bytes] = deque()

    def __len__(self) -> int:
        return len(self._ledger_lines) + len(self._other_lines)

    def add_line(self, line: bytes) -> None:
        """Add the line; drop the oldest lines if there is no room."""
        (self._ledger_lines if line.startswith(LEDGER_LINE_PREFIXES) else self._other_lines).append(
            line
        )
        self.size_bytes += len(line)
        while self.size_bytes > self._max_bytes and len(self):
            # Lines that are not part of the ledger are dropped first.
            dropped = (self._other_lines or self._ledger_lines).popleft()
            self.size_bytes -= len(dropped)
            self.dropped_counts[get_line_kind(dropped)] += 1

    def peek_line(self) -> bytes:
        """Return the next line to be written; it stays until `remove_first`.

        Raises IndexError if there is none.
        """
        return (self._ledger_lines or self._other_lines)[0]

    def remove_first(self) -> None:
        """Remove the first line, which has been written."""
        self.size_bytes -= len((self._ledger_lines or self._other_lines).popleft())

    def take_lines(self, most: int) -> list[bytes]:
        """Take lines of at most `most` bytes together, at least one if there is one.

        The caller stores them or puts them back.
        """
        taken: list[bytes] = []
        length = 0
        while len(self) and (not taken or length + len(self.peek_line()) <= most):
            taken.append(self.peek_line())
            length += len(taken[-1])
            self.remove_first()
        return taken

    def put_back_lines(self, lines: Iterable[bytes]) -> None:
        """Put back lines that could not be stored, in the order in which they were taken."""
        for line in reversed(list(lines)):
            (
                self._ledger_lines if line.startswith(LEDGER_LINE_PREFIXES) else self._other_lines
            ).appendleft(line)
            self.size_bytes += len(line)


def get_line_kind(line: bytes) -> str:
    """Return the name of the line's one member."""
    return line[2:].partition(b'"')[0].decode(errors="replace")
