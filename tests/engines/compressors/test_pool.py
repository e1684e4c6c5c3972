"""The compressor in worker processes, with real processes killed, stopped and flooded."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fow_cache
import pytest
import pytest_asyncio
import uvloop

from plans.snapshot import CompressionSettings
from proxy.core.compression.compress import compress
from proxy.core.errors import ToolUnavailable
from proxy.engines.compressors.pool import PoolCompressor
from proxy.engines.compressors.process import ROOT
from proxy.engines.inference.exported_models import WORD_VECTORS_FILE

Message = dict[str, Any]
PLAN = CompressionSettings(engine="text_rank", max_input_tokens=1000)
CHAT: list[Message] = [
    *(
        message
        for conversation in fow_cache.load_conversations()[:80]
        for message in conversation["a"]
    ),
    {"role": "user", "content": "What did we agree on?"},
]


pytestmark = pytest.mark.filterwarnings("ignore:open_binary is deprecated")
on_one_loop = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_pool() -> AsyncIterator[PoolCompressor]:
    compressor = PoolCompressor(deadline=30)
    yield compressor
    await compressor.close()


@pytest_asyncio.fixture(loop_scope="module")
async def pool(shared_pool: PoolCompressor) -> PoolCompressor:
    """One pool for all tests, whole again after each."""
    await shared_pool.warm_workers()
    return shared_pool


def worker_id(pool: PoolCompressor) -> int:
    process = pool._workers[0].process
    assert process is not None
    return process.pid


def is_alive(pid: int) -> bool:
    """Running, and not a zombie waiting to be reaped."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@on_one_loop
async def test_the_worker_cuts_as_the_function_does_and_hands_back_our_own_messages(
    pool: PoolCompressor,
) -> None:
    cut = await pool.compress(CHAT, PLAN, model="gpt-4o")
    assert cut == compress(CHAT, PLAN, model="gpt-4o")
    assert cut.messages is not None
    assert cut.messages[-1] is CHAT[-1]


@on_one_loop
async def test_what_json_would_change_comes_back_as_it_went(pool: PoolCompressor) -> None:
    odd = {
        "role": "system",
        "content": "lone \ud800",
        "number": 10**30,
        "float": float("inf"),
        "tuple": (1, 2),
    }
    cut = await pool.compress([odd, *CHAT], PLAN, model="gpt-4o")
    assert cut.messages is not None
    assert cut.messages[0] is odd


async def test_a_short_chat_never_reaches_a_worker() -> None:
    pool = PoolCompressor()
    cut = await pool.compress(CHAT[-1:], PLAN, model="gpt-4o")
    assert (cut.messages, cut.before, cut.after) == (None, 13, 13)
    assert pool._workers[0].process is None


@on_one_loop
async def test_a_killed_worker_is_replaced(pool: PoolCompressor) -> None:
    first = worker_id(pool)
    os.kill(first, signal.SIGKILL)
    cut = await pool.compress(CHAT, PLAN, model="gpt-4o")
    assert (cut.engine, cut.note) == ("trim", "pool-broken")
    meanwhile = await pool.compress(CHAT, PLAN, model="gpt-4o")
    assert (meanwhile.engine, meanwhile.note) == ("trim", "pool-broken")
    await pool.warm_workers()
    assert (await pool.compress(CHAT, PLAN, model="gpt-4o")).engine == "text_rank"
    assert worker_id(pool) != first


@on_one_loop
async def test_a_worker_that_dies_at_work_leaves_a_trimmed_chat(pool: PoolCompressor) -> None:
    first = worker_id(pool)
    os.kill(first, signal.SIGSTOP)
    running = asyncio.create_task(pool.compress(CHAT, PLAN, model="gpt-4o"))
    await asyncio.sleep(0.1)
    os.kill(first, signal.SIGKILL)
    cut = await running
    assert (cut.engine, cut.note) == ("trim", "pool-broken")
    assert 0 < cut.after <= 1000


async def test_a_hung_worker_is_killed_at_the_deadline() -> None:
    pool = PoolCompressor(deadline=0.3)
    await pool.warm_workers()
    hung = worker_id(pool)
    os.kill(hung, signal.SIGSTOP)
    started = time.monotonic()
    cut = await pool.compress(CHAT, PLAN, model="gpt-4o")
    assert time.monotonic() - started < 2
    assert (cut.engine, cut.note) == ("trim", "deadline")
    assert cut.after <= 1000
    await pool.warm_workers()
    assert not is_alive(hung)
    await pool.close()


@on_one_loop
async def test_past_the_deadline_of_the_plan_the_newest_go_and_the_worker_reads_on(
    pool: PoolCompressor,
) -> None:
    chat = [{"role": "user", "content": "Parcel 77 left in March."}, *CHAT * 12]
    worker = worker_id(pool)
    started = time.monotonic()
    late = await pool.compress(chat, replace(PLAN, deadline_ms=10), model="gpt-4o")
    assert time.monotonic() - started < 2
    assert (late.engine, late.note) == ("trim", "deadline")
    assert 0 < late.after <= 1000
    cut = await pool.compress(chat, PLAN, model="gpt-4o")
    assert (cut.engine, cut.note) == ("text_rank", "")
    assert worker_id(pool) == worker


async def test_a_full_queue_trims_at_once() -> None:
    pool = PoolCompressor(deadline=30, queue=1)
    await pool.warm_workers()
    cuts = await asyncio.gather(*(pool.compress(CHAT, PLAN, model="gpt-4o") for _ in range(6)))
    assert sorted(cut.note for cut in cuts) == ["", "", "busy", "busy", "busy", "busy"]
    assert all(cut.after <= 1000 for cut in cuts)
    await pool.close()


@on_one_loop
async def test_the_event_loop_runs_on_while_a_large_chat_is_cut(pool: PoolCompressor) -> None:
    running = asyncio.create_task(pool.compress(CHAT * 12, PLAN, model="gpt-4o"))
    longest = 0.0
    while not running.done():
        before = time.monotonic()
        await asyncio.sleep(0.001)
        longest = max(longest, time.monotonic() - before)
    assert running.result().engine == "text_rank"
    assert longest < 0.5


@on_one_loop
async def test_a_caller_who_leaves_does_not_break_the_worker(pool: PoolCompressor) -> None:
    first = worker_id(pool)
    running = asyncio.create_task(pool.compress(CHAT, PLAN, model="gpt-4o"))
    await asyncio.sleep(0.005)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    other = [
        {"role": "user", "content": "Another chat. " * 3000},
        {"role": "user", "content": "So?"},
    ]
    assert (await pool.compress(other, PLAN, model="gpt-4o")).messages == compress(
        other, PLAN, model="gpt-4o"
    ).messages
    assert worker_id(pool) == first


@on_one_loop
async def test_what_nothing_can_cut_is_refused_as_unavailable(pool: PoolCompressor) -> None:
    with pytest.raises(ToolUnavailable):
        await pool.compress([*CHAT, "no message"], PLAN, model="gpt-4o")  # type: ignore[list-item]
    assert (await pool.compress(CHAT, PLAN, model="gpt-4o")).engine == "text_rank"


async def test_closing_ends_the_workers() -> None:
    pool = PoolCompressor()
    await pool.warm_workers()
    pid = worker_id(pool)
    await pool.close()
    assert not is_alive(pid)


def test_a_worker_ends_with_its_parent_and_ignores_ctrl_c() -> None:
    script = (
        "import asyncio, sys, time\n"
        "from proxy.engines.compressors.pool import PoolCompressor\n"
        "async def main():\n"
        "    pool = PoolCompressor(); await pool.warm_workers()\n"
        "    print(pool._workers[0].process.pid, flush=True); time.sleep(60)\n"
        "asyncio.run(main())"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    os.kill(worker, signal.SIGINT)
    time.sleep(0.2)
    assert is_alive(worker)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 2
    while is_alive(worker) and time.monotonic() < until:
        time.sleep(0.02)
    assert not is_alive(worker)


async def test_a_worker_that_cannot_start_costs_nobody_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    pool = PoolCompressor()
    await pool.warm_workers(patience=0.1)
    started = time.monotonic()
    assert (await pool.compress(CHAT, PLAN, model="gpt-4o")).note == "pool-broken"
    assert time.monotonic() - started < 2
    await pool.close()


def test_the_pool_serves_under_uvloop() -> None:
    async def serve() -> str:
        pool = PoolCompressor(deadline=30)
        await pool.warm_workers()
        try:
            return (await pool.compress(CHAT, PLAN, model="gpt-4o")).engine
        finally:
            await pool.close()

    assert uvloop.run(serve()) == "text_rank"


def test_a_worker_loads_neither_django_nor_what_it_does_not_need_yet() -> None:
    script = (
        "import sys, proxy.engines.compressors.worker as w; print([n for n in ('django', 'sumy', "
        "'scipy', 'nupunkt') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


FACT = "Just so you know, I am allergic to peanuts and shellfish."
FOODS: list[Message] = [
    CHAT[0],
    {"role": "user", "content": FACT},
    *CHAT[1:-1],
    {"role": "user", "content": "Which foods must I avoid?"},
]


@pytest.mark.parametrize("there", [True, False])
async def test_a_worker_finds_by_meaning_where_it_has_a_table(
    models: Path, tmp_path: Path, *, there: bool
) -> None:
    folder = models if there else tmp_path
    pool = PoolCompressor(deadline=30, words=folder / WORD_VECTORS_FILE)
    await pool.warm_workers()
    cut = await pool.compress(FOODS, PLAN, model="gpt-4o-mini")
    await pool.close()
    assert (cut.engine, cut.note) == ("text_rank", "")
    assert (FACT in str(cut.messages)) == there
