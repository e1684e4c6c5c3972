"""Lines that the disk does not take, in memory until it does or the database has them.

So many bytes of them at most. What is beyond is dropped and counted by kind, what only helps before
what is accounted for; the flusher puts the count aside as a dead letter, so that nothing goes
without a trace.
"""

from collections import Counter, deque
from collections.abc import Iterable
from typing import Final

LEDGER: Final = (b'{"event":', b'{"attempt":')  # what the books are made of


class Overflow:
    """First in, first out within each of the two sorts. `limit`: bytes."""

    def __init__(self, limit: int) -> None:
        self.size = 0
        self.dropped: Counter[str] = Counter()
        self._limit = limit
        self._ledger: deque[bytes] = deque()
        self._rest: deque[bytes] = deque()

    def __len__(self) -> int:
        return len(self._ledger) + len(self._rest)

    def add(self, line: bytes) -> None:
        """Keep the line; the oldest are dropped where there is no room."""
        (self._ledger if line.startswith(LEDGER) else self._rest).append(line)
        self.size += len(line)
        while self.size > self._limit and len(self):
            dropped = (self._rest or self._ledger).popleft()
            self.size -= len(dropped)
            self.dropped[kind_of(dropped)] += 1

    def first(self) -> bytes:
        """The next line to be written; it stays until `done`.

        Raises IndexError when there is none.
        """
        return (self._ledger or self._rest)[0]

    def done(self) -> None:
        """Forget the first line: it is written."""
        self.size -= len((self._ledger or self._rest).popleft())

    def take(self, most: int) -> list[bytes]:
        """Lines of `most` bytes together, one at least if there is one.

        The caller stores them or puts them back.
        """
        taken: list[bytes] = []
        length = 0
        while len(self) and (not taken or length + len(self.first()) <= most):
            taken.append(self.first())
            length += len(taken[-1])
            self.done()
        return taken

    def put_back(self, lines: Iterable[bytes]) -> None:
        """Lines taken that could not be stored, in the order in which they were taken."""
        for line in reversed(list(lines)):
            (self._ledger if line.startswith(LEDGER) else self._rest).appendleft(line)
            self.size += len(line)


def kind_of(line: bytes) -> str:
    """The name of the line's one member."""
    return line[2:].partition(b'"')[0].decode(errors="replace")
