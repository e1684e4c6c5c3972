"""A queue that batches texts, or pairs of them, for a model running in one thread.

A job that finds the thread idle starts at once, alone. No job waits for a batch to fill: those that
arrive meanwhile are the next batch. Each has a deadline; one that would be late is refused at once
and delays no other.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from proxy.core.errors import ToolUnavailable

# A text of 12 tokens takes 5.1 ms on one core alone, in a batch of 4 3.7 each, of 32 still 3.4, and
# then all 32 wait for it.
MAX_BATCH_ITEMS = 4
# A batch is padded to its longest text, which may be this many times as long as its shortest.
MAX_LENGTH_RATIO = 2
MIN_COST_CHARACTERS = 64  # a shorter text costs as much as one of this length
PACE_SMOOTHING = 0.3  # weight of the newest batch in the expected pace

Item = TypeVar("Item")  # the input
Result = TypeVar("Result")  # the model's output


@dataclass(slots=True, eq=False)
class BatchJob(Generic[Item, Result]):
    """One waiting or running item.

    `deadline`: until when its result is useful, by the monotonic clock; `callers`: how many wait.
    """

    item: Item
    result: asyncio.Future[Result]
    size_characters: int
    deadline: float
    callers: int = 0

    @property
    def cost_characters(self) -> int:
        return max(MIN_COST_CHARACTERS, self.size_characters)


class BatchQueue(Generic[Item, Result]):
    """A queue before one thread; `run` works there and returns an outcome per item.

    Everything else runs in the event loop.
    """

    def __init__(
        self, name: str, run: Callable[[Sequence[Item]], list[Result | ToolUnavailable]]
    ) -> None:
        self._name = name
        self._run_batch = run
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._waiting_jobs: list[BatchJob[Item, Result]] = []
        self._running_jobs: list[BatchJob[Item, Result]] = []
        # Seconds per character; unknown until a second batch is done, for the first one loads the
        # model.
        self._seconds_per_character = 0.0
        self._is_model_loaded = False

    def add_item(self, item: Item, size: int, within: float) -> BatchJob[Item, Result]:
        """Add a job.

        Raises ToolUnavailable if the job and those before it would take more than `within` seconds,
        or after `close`.
        """
        self._drop_abandoned()
        job: BatchJob[Item, Result] = BatchJob(
            item, asyncio.get_running_loop().create_future(), size, time.monotonic() + within
        )
        # With an empty queue the job runs whatever it is expected to take: otherwise one slow batch
        # would block the queue for good.
        if before := (*self._running_jobs, *self._waiting_jobs):
            self._check_expected_wait(job, before, within)
        self._waiting_jobs.append(job)
        if not self._running_jobs:
            self._start_batch()
        return job

    async def wait_for_result(self, job: BatchJob[Item, Result]) -> Result:
        """Wait for a job, whose deadline is the caller's.

        Running work goes on when the caller leaves; waiting work that nobody waits for is dropped.
        Raises ToolUnavailable.
        """
        job.callers += 1
        try:
            return await asyncio.shield(job.result)
        finally:
            job.callers -= 1

    def close(self) -> None:
        """Let the thread end; items that were not begun are dropped."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        waiting, self._waiting_jobs = self._waiting_jobs, []
        self._resolve_jobs(waiting, [ToolUnavailable(self._name, "closed")] * len(waiting))

    def _drop_abandoned(self) -> None:
        """Drop the jobs whose callers have all left, which would only delay the others."""
        for job in self._waiting_jobs:
            if not job.callers:
                job.result.cancel()
        self._waiting_jobs = [job for job in self._waiting_jobs if job.callers]

    def _check_expected_wait(
        self, job: BatchJob[Item, Result], before: Sequence[BatchJob[Item, Result]], within: float
    ) -> None:
        wait = self._seconds_per_character * sum(each.cost_characters for each in (*before, job))
        if wait > within:
            raise ToolUnavailable(
                self._name, f"busy for another {wait * 1000:.0f} ms", skipped=True
            )

    def _drop_late(self) -> None:
        """Drop the jobs that would miss their deadline."""
        now = time.monotonic()
        # With every job a little late none would be in time.
        late = [
            job
            for job in self._waiting_jobs
            if self._seconds_per_character
            and now + self._seconds_per_character * job.cost_characters > job.deadline
        ]
        self._waiting_jobs = [job for job in self._waiting_jobs if job not in late]
        self._resolve_jobs(
            late, [ToolUnavailable(self._name, "busier than it seemed", skipped=True)] * len(late)
        )

    def _start_batch(self) -> None:
        batch = select_batch(self._waiting_jobs)
        try:
            items, loop = [job.item for job in batch], asyncio.get_running_loop()
            done = loop.run_in_executor(self._thread, self._time_batch, items)
        except RuntimeError as error:  # shut down
            self._waiting_jobs = []
            raise ToolUnavailable(self._name, "closed") from error
        self._waiting_jobs = [job for job in self._waiting_jobs if job not in batch]
        self._running_jobs = batch
        done.add_done_callback(self._finish_batch)

    def _time_batch(self, items: Sequence[Item]) -> tuple[list[Result | ToolUnavailable], float]:
        begin = time.perf_counter()
        return self._run_batch(items), time.perf_counter() - begin

    def _finish_batch(
        self, done: "asyncio.Future[tuple[list[Result | ToolUnavailable], float]]"
    ) -> None:
        """Resolve the batch's jobs and start the next batch."""
        batch, self._running_jobs = self._running_jobs, []
        if done.cancelled():
            self._resolve_jobs(batch, [ToolUnavailable(self._name, "closed")] * len(batch))
            return
        outcomes, seconds = done.result()
        if self._is_model_loaded:
            pace = seconds / sum(job.cost_characters for job in batch)
            self._seconds_per_character += (pace - self._seconds_per_character) * (
                PACE_SMOOTHING if self._seconds_per_character else 1.0
            )
        self._is_model_loaded = True
        self._resolve_jobs(batch, outcomes)
        self._drop_abandoned()
        self._drop_late()
        if self._waiting_jobs:
            self._start_batch()

    def _resolve_jobs(
        self, jobs: Sequence[BatchJob[Item, Result]], outcomes: Sequence[Result | ToolUnavailable]
    ) -> None:
        for job, outcome in zip(jobs, outcomes, strict=True):
            if job.result.done():
                continue
            if isinstance(outcome, ToolUnavailable):
                job.result.set_exception(outcome)
                job.result.exception()  # retrieved, should its callers have left
            else:
                job.result.set_result(outcome)


def select_batch(waiting: Sequence[BatchJob[Item, Result]]) -> list[BatchJob[Item, Result]]:
    """Select the oldest job and others of similar length, oldest first, at most MAX_BATCH_ITEMS."""
    chosen: list[BatchJob[Item, Result]] = []
    least = most = waiting[0].cost_characters
    for job in waiting:
        if max(most, job.cost_characters) <= MAX_LENGTH_RATIO * min(least, job.cost_characters):
            least, most = min(least, job.cost_characters), max(most, job.cost_characters)
            chosen.append(job)
            if len(chosen) == MAX_BATCH_ITEMS:
                break
    return chosen
