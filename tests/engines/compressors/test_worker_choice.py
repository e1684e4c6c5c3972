"""A chat goes to the worker that knows it, if that one is free."""

import asyncio

from proxy.engines.compressors.pool import WorkerSelector, hash_opening
from proxy.engines.compressors.process import WorkerProcess


async def test_a_chat_comes_back_to_its_worker() -> None:
    workers = [WorkerProcess() for _ in range(3)]
    idle = WorkerSelector(workers)
    for worker in workers:
        idle.release_worker(worker)
    for chat in (0, 4, 2, 3, -1, 10**9):
        taken = await idle.acquire_worker(chat)
        assert taken is workers[chat % 3]
        idle.release_worker(taken)


async def test_a_chat_whose_worker_is_busy_takes_another() -> None:
    workers = [WorkerProcess() for _ in range(2)]
    idle = WorkerSelector(workers)
    idle.release_worker(workers[1])
    assert await idle.acquire_worker(0) is workers[1]


async def test_whoever_waits_is_served_when_a_worker_is_free_and_who_left_costs_none() -> None:
    workers = [WorkerProcess()]
    idle = WorkerSelector(workers)
    left, stayed = (
        asyncio.create_task(idle.acquire_worker(0)),
        asyncio.create_task(idle.acquire_worker(0)),
    )
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.sleep(0)
    idle.release_worker(workers[0])
    assert await asyncio.wait_for(stayed, 1) is workers[0]


def test_a_chat_is_known_by_how_it_begins() -> None:
    system = {"role": "system", "content": "You help."}
    chat = [
        system,
        {"role": "user", "content": "Where is it?"},
        {"role": "assistant", "content": "On its way."},
    ]
    assert hash_opening(chat) == hash_opening([*chat, {"role": "user", "content": "And now?"}])
    assert hash_opening(chat) != hash_opening([system, {"role": "user", "content": "Hello."}])
    assert (
        hash_opening([{"role": "user", "content": [{"type": "text", "text": "x"}]}, "no message"])  # type: ignore[list-item]
        is not None
    )
