"""Texts waiting for a model: one thread, and whatever waits when it is free goes into it together.

A text that finds the thread idle starts at once, alone. Nothing is held back to fill a batch: those that come meanwhile are the next one.
Each says within which time its vector is worth having. One that would come later is refused at once, and takes nobody's place.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Vector

MOST = 4  # alone a text of 12 tokens takes 5.1 ms on one core, in a batch of 4 3.7, of 32 still 3.4, and then all 32 wait for it
SPREAD = 2  # a batch is padded to its longest text, which may be so many times as long as its shortest
SHORT = 64  # characters; a text costs as much as one of this length at least
SMOOTHING = 0.3  # weight of the newest batch in the expected pace

Outcome = Vector | ToolUnavailable
Run = Callable[[Sequence[str]], list[Outcome]]


@dataclass(slots=True, eq=False)
class Job:
    """One text on its way, until when its vector is of use (by the monotonic clock), and how many callers wait for it."""

    text: str
    vector: asyncio.Future[Vector]
    until: float
    callers: int = 0

    @property
    def cost(self) -> int:
        return max(SHORT, len(self.text))


class TextQueue:
    """`run` works in the thread and gives an outcome for each text. All else happens in the event loop."""

    def __init__(self, name: str, run: Run) -> None:
        self._name = name
        self._run = run
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embed")
        self._waiting: list[Job] = []
        self._running: list[Job] = []
        self._pace = 0.0  # seconds a character; unknown until a second batch is done, for the first one loads the model
        self._loaded = False

    def put(self, text: str, within: float) -> Job:
        """A new job. Raises ToolUnavailable when those before it and itself would take more than `within` seconds, or after `close`.

        Where nobody is before it, it is tried whatever it is thought to take: otherwise one slow batch would shut the door for good.
        """
        self._drop_abandoned()
        job = Job(text, asyncio.get_running_loop().create_future(), time.monotonic() + within)
        if before := (*self._running, *self._waiting):
            self._expect(job, before, within)
        self._waiting.append(job)
        if not self._running:
            self._start()
        return job

    def close(self) -> None:
        """Let the thread end; texts not begun are given up."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        waiting, self._waiting = self._waiting, []
        self._settle(waiting, [ToolUnavailable(self._name, "closed")] * len(waiting))

    def _drop_abandoned(self) -> None:
        """Whoever asked has left: to embed it would make the others late too."""
        for job in self._waiting:
            if not job.callers:
                job.vector.cancel()
        self._waiting = [job for job in self._waiting if job.callers]

    def _expect(self, job: Job, before: Sequence[Job], within: float) -> None:
        wait = self._pace * sum(each.cost for each in (*before, job))
        if wait > within:
            raise ToolUnavailable(self._name, f"busy for another {wait * 1000:.0f} ms", skipped=True)

    def _drop_late(self) -> None:
        """A vector that comes too late is work for nothing, and with every text a little late none would be in time."""
        now = time.monotonic()
        late = [job for job in self._waiting if self._pace and now + self._pace * job.cost > job.until]
        self._waiting = [job for job in self._waiting if job not in late]
        self._settle(late, [ToolUnavailable(self._name, "busier than it seemed", skipped=True)] * len(late))

    def _start(self) -> None:
        batch = together(self._waiting)
        try:
            texts, loop = [job.text for job in batch], asyncio.get_running_loop()
            done = loop.run_in_executor(self._thread, self._timed, texts)
        except RuntimeError as error:  # shut down
            self._waiting = []
            raise ToolUnavailable(self._name, "closed") from error
        self._waiting = [job for job in self._waiting if job not in batch]
        self._running = batch
        done.add_done_callback(self._finish)

    def _timed(self, texts: Sequence[str]) -> tuple[list[Outcome], float]:
        begin = time.perf_counter()
        return self._run(texts), time.perf_counter() - begin

    def _finish(self, done: "asyncio.Future[tuple[list[Outcome], float]]") -> None:
        """Hand out the vectors and go on with what came meanwhile."""
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

    def _settle(self, jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
        for job, outcome in zip(jobs, outcomes, strict=True):
            if job.vector.done():
                continue
            if isinstance(outcome, ToolUnavailable):
                job.vector.set_exception(outcome)
                job.vector.exception()  # heard, should its callers have left
            else:
                job.vector.set_result(outcome)


def together(waiting: Sequence[Job]) -> list[Job]:
    """The oldest job and those of about its length, oldest first, at most MOST."""
    chosen: list[Job] = []
    least = most = waiting[0].cost
    for job in waiting:
        if max(most, job.cost) <= SPREAD * min(least, job.cost):
            least, most = min(least, job.cost), max(most, job.cost)
            chosen.append(job)
            if len(chosen) == MOST:
                break
    return chosen
