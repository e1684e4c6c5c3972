"""A turn, a pause, and again: what an error, a wake,
a stop and another worker that leads do to it."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import psycopg
import pytest

from proxy.runtime.periodic_task import PeriodicTask

LOGGER = "tokenthrift.proxy"
LOCK = 4711


@asynccontextmanager
async def running(task: PeriodicTask) -> AsyncIterator["asyncio.Task[None]"]:
    started = asyncio.create_task(task.run())
    try:
        yield started
    finally:
        started.cancel()
        with suppress(asyncio.CancelledError):
            await started


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0.005)


class Work:
    """Turns that raise what they are told to."""

    def __init__(self, *errors: Exception | None) -> None:
        self.errors, self.times = list(errors), list[float]()

    async def turn(self) -> None:
        self.times.append(time.monotonic())
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error

    def task(self, **fields: float | asyncio.Event) -> PeriodicTask:
        return PeriodicTask(
            name="work",
            interval_seconds=0.01,
            failure_message="work waits",
            work=self.turn,
            **fields,  # type: ignore[arg-type]
        )


async def test_an_error_is_logged_once_tried_again_and_its_end_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    work = Work(None, *[OSError("refused\nand more")] * 3, None, OSError("again"))
    with caplog.at_level(logging.WARNING, LOGGER):
        async with running(work.task()):
            await until(lambda: len(work.times) >= 8)
    assert caplog.messages == [
        "work waits: OSError: refused",
        "work: works again after 3 failures",
        "work waits: OSError: again",
        "work: works again after 1 failures",
    ]
    assert all(record.exc_info is None for record in caplog.records)


async def test_a_mistake_of_ours_is_logged_with_its_traceback_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    work = Work(KeyError("x"))
    with caplog.at_level(logging.WARNING, LOGGER):
        async with running(work.task()):
            await until(lambda: len(work.times) >= 2)
    assert caplog.records[0].exc_info is not None


async def test_the_pause_doubles_while_turns_fail() -> None:
    work = Work(*[OSError()] * 5)
    async with running(work.task(max_interval_seconds=0.08)):
        await until(lambda: len(work.times) >= 7)
    pauses = [after - before for before, after in zip(work.times, work.times[1:], strict=False)]
    assert all(
        pause >= least for pause, least in zip(pauses, (0.02, 0.04, 0.08, 0.08, 0.08), strict=False)
    )
    assert pauses[5] < 0.08  # back to its own pace


async def test_the_first_turn_waits_and_a_wake_ends_a_pause() -> None:
    work, wake = Work(), asyncio.Event()
    begun = time.monotonic()
    task = PeriodicTask(
        name="work",
        first_delay_seconds=0.1,
        interval_seconds=60,
        work=work.turn,
        wake_event=wake,
        failure_message="x",
    )
    async with running(task):
        await until(lambda: len(work.times) == 1)
        assert work.times[0] - begun >= 0.1
        wake.set()
        await until(lambda: len(work.times) == 2)


async def test_jitter_adds_up_to_its_share() -> None:
    work = Work()
    async with running(work.task(jitter=2.0)):
        await until(lambda: len(work.times) >= 20)
    assert work.times[-1] - work.times[0] > 19 * 0.01 * 1.2  # 2.0 on average


async def test_a_thread_is_told_that_the_worker_stops_and_holds_nobody_up() -> None:
    begun, ended = threading.Event(), threading.Event()

    def wait(stopping: threading.Event) -> None:
        begun.set()
        assert stopping.wait(20)
        ended.set()

    async with running(
        PeriodicTask(name="wait", interval_seconds=0.01, thread=wait, failure_message="x")
    ):
        await until(begun.is_set)
        stopped = time.monotonic()
    assert time.monotonic() - stopped < 1
    await until(ended.is_set)


@pytest.mark.django_db(transaction=True)
async def test_two_workers_never_work_at_once_and_the_next_leads_when_one_is_killed(
    database_url: str,
) -> None:
    """Each on a database connection of its own, as two machines have them."""
    at_work, most, turns = set[str](), [0], {"one": 0, "two": 0}

    def worker(name: str) -> PeriodicTask:
        def turn(stopping: threading.Event) -> None:
            at_work.add(name)
            most[0] = max(most[0], len(at_work))
            turns[name] += 1
            stopping.wait(0.02)
            at_work.discard(name)

        return PeriodicTask(
            name=name, interval_seconds=0.01, thread=turn, leader_lock=LOCK, failure_message="x"
        )

    with psycopg.connect(database_url) as killed:
        killed.execute("SELECT pg_try_advisory_xact_lock(%s)", (LOCK,))
        async with running(worker("one")), running(worker("two")):
            await asyncio.sleep(0.3)
            assert turns == {"one": 0, "two": 0}
            killed.pgconn.finish()  # as the kernel does for a killed process
            await until(lambda: min(turns.values()) > 2, 20)
            await until(lambda: not at_work)
    assert most == [1]


def test_a_task_is_either_a_coroutine_or_a_thread_and_only_a_thread_may_lead() -> None:
    with pytest.raises(ValueError, match="either"):
        PeriodicTask(name="x", interval_seconds=1, failure_message="x")
    with pytest.raises(ValueError, match="thread"):
        PeriodicTask(
            name="x", interval_seconds=1, failure_message="x", work=Work().turn, leader_lock=LOCK
        )
