"""Texts, or pairs of them, waiting for a model:
one thread, and whatever waits when it is free goes into it together.

What finds the thread idle starts at once, alone. Nothing is held back to fill a batch: those that
come meanwhile are the next one. Each says within which time its result is worth having. One that
would come later is refused at once, and takes nobody's place.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from proxy.core.errors import ToolUnavailable

# Alone a text of 12 tokens takes 5.1 ms on one core, in a batch of 4 3.7, of 32 still 3.4, and then
# all 32 wait for it.
MOST = 4
# A batch is padded to its longest text, which may be so many times as long as its shortest.
SPREAD = 2
SHORT = 64  # characters; a text costs as much as one of this length at least
SMOOTHING = 0.3  # weight of the newest batch in the expected pace

Item = TypeVar("Item")  # what waits
Result = TypeVar("Result")  # what the model makes of it


@dataclass(slots=True, eq=False)
class Job(Generic[Item, Result]):
    """One item on its way, its size in characters, until
    when its result is of use (by the monotonic clock), and how many callers wait."""

    item: Item
    result: asyncio.Future[Result]
    size: int
    until: float
    callers: int = 0

    @property
    def cost(self) -> int:
        return max(SHORT, self.size)


class WorkQueue(Generic[Item, Result]):
    """`run` works in the thread and gives an outcome for each item.

    All else happens in the event loop.
    """

    def __init__(
        self, name: str, run: Callable[[Sequence[Item]], list[Result | ToolUnavailable]]
    ) -> None:
        self._name = name
        self._run = run
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._waiting: list[Job[Item, Result]] = []
        self._running: list[Job[Item, Result]] = []
        # Seconds a character; unknown until a second batch is done, for the first one loads the
        # model.
        self._pace = 0.0
        self._loaded = False

    def put(self, item: Item, size: int, within: float) -> Job[Item, Result]:
        """A new job.

        Raises ToolUnavailable when those before it and itself would take more than `within`
        seconds, or after `close`.

        Where nobody is before it, it is tried whatever it is thought to take: otherwise one slow
        batch would shut the door for good.
        """
        self._drop_abandoned()
        job: Job[Item, Result] = Job(
            item, asyncio.get_running_loop().create_future(), size, time.monotonic() + within
        )
        if before := (*self._running, *self._waiting):
            self._expect(job, before, within)
        self._waiting.append(job)
        if not self._running:
            self._start()
        return job

    def close(self) -> None:
        """Let the thread end; items not begun are given up."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        waiting, self._waiting = self._waiting, []
        self._settle(waiting, [ToolUnavailable(self._name, "closed")] * len(waiting))

    def _drop_abandoned(self) -> None:
        """Whoever asked has left: to work on it would make the others late too."""
        for job in self._waiting:
            if not job.callers:
                job.result.cancel()
        self._waiting = [job for job in self._waiting if job.callers]

    def _expect(
        self, job: Job[Item, Result], before: Sequence[Job[Item, Result]], within: float
    ) -> None:
        wait = self._pace * sum(each.cost for each in (*before, job))
        if wait > within:
            raise ToolUnavailable(
                self._name, f"busy for another {wait * 1000:.0f} ms", skipped=True
            )

    def _drop_late(self) -> None:
        """A result that comes too late is work for nothing,
        and with every item a little late none would be in time."""
        now = time.monotonic()
        late = [
            job for job in self._waiting if self._pace and now + self._pace * job.cost > job.until
        ]
        self._waiting = [job for job in self._waiting if job not in late]
        self._settle(
            late, [ToolUnavailable(self._name, "busier than it seemed", skipped=True)] * len(late)
        )

    def _start(self) -> None:
        batch = together(self._waiting)
        try:
            items, loop = [job.item for job in batch], asyncio.get_running_loop()
            done = loop.run_in_executor(self._thread, self._timed, items)
        except RuntimeError as error:  # shut down
            self._waiting = []
            raise ToolUnavailable(self._name, "closed") from error
        self._waiting = [job for job in self._waiting if job not in batch]
        self._running = batch
        done.add_done_callback(self._finish)

    def _timed(self, items: Sequence[Item]) -> tuple[list[Result | ToolUnavailable], float]:
        begin = time.perf_counter()
        return self._run(items), time.perf_counter() - begin

    def _finish(self, done: "asyncio.Future[tuple[list[Result | ToolUnavailable], float]]") -> None:
        """Hand out the results and go on with what came meanwhile."""
        batch, self._running = self._running, []
        if done.cancelled():
            self._settle(batch, [ToolUnavailable(self._name, "closed")] * len(batch))
            return
        outcomes, seconds = done.result()
        if self._loaded:
            pace = seconds / sum(job.cost for job in batch)
            self._pace += (pace - self._pace) * (SMOOTHING if self._pace else 1.0)
        self._loaded = True
        self._settle(batch, outcomes)
        self._drop_abandoned()
        self._drop_late()
        if self._waiting:
            self._start()

    def _settle(
        self, jobs: Sequence[Job[Item, Result]], outcomes: Sequence[Result | ToolUnavailable]
    ) -> None:
        for job, outcome in zip(jobs, outcomes, strict=True):
            if job.result.done():
                continue
            if isinstance(outcome, ToolUnavailable):
                job.result.set_exception(outcome)
                job.result.exception()  # heard, should its callers have left
            else:
                job.result.set_result(outcome)


def together(waiting: Sequence[Job[Item, Result]]) -> list[Job[Item, Result]]:
    """The oldest job and those of about its length, oldest first, at most MOST."""
    chosen: list[Job[Item, Result]] = []
    least = most = waiting[0].cost
    for job in waiting:
        if max(most, job.cost) <= SPREAD * min(least, job.cost):
            least, most = min(least, job.cost), max(most, job.cost)
            chosen.append(job)
            if len(chosen) == MOST:
                break
    return chosen
