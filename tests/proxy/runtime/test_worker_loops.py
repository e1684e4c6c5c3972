"""Whatever is to happen again and again is among the loops that a worker starts."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import databases

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("gateway_project", "accounts", "plans", "proxy", "stats")
# Loops of a worker that are no periodic task, as each turn lasts as long as its connection; and by
# which function in the worker's list they run.
LISTENERS = {
    "proxy.engines.exact.invalidations:KeyInvalidations.listen": "proxy.engines.exact.invalidations:KeyInvalidations.listen",
    "proxy.engines.exact.invalidations:KeyInvalidations._track_keys": "proxy.engines.exact.invalidations:KeyInvalidations.listen",
    "proxy.engines.coalescing.channel:FlightChannel.listen": "proxy.engines.coalescing.redis:RedisLeases.listen",
    "proxy.runtime.config_source:DatabaseConfigSource.listen_for_changes": "proxy.runtime.config_source:DatabaseConfigSource.listen_for_changes",
}
# Loops that end by themselves or belong to something that does, and the two that cannot be in the
# list.
NOT_PERIODIC = {
    "gateway_project.embedded.processes:end_orphan": "ends with a process",
    "gateway_project.embedded.processes:wait_until_ready": "ends when a service answers",
    "gateway_project.embedded.supervisor:run_until_unused": (
        "the supervisor of the embedded services, a process of its own"
    ),
    "gateway_project.embedded.lease:_wait_for_ready_file": "ends when a service answers",
    "gateway_project.embedded.lease:release_lease": "ends with a process",
    "gateway_project.embedded.file_locks:acquire_lock": "ends when a lock is free",
    "proxy.core.event_loop:wait_loop_time": "ends with the work that it gives turns to",
    "proxy.core.flights:Flight.iter_batches": "ends with an answer",
    "proxy.core.flights:Flight.wait_until_empty": "ends with its readers",
    "proxy.core.flights:Flight.wait": "ends with an answer",
    "proxy.engines.compressors.pool:PoolCompressor._prepare_worker": "supervises a process until it answers",
    "proxy.endpoints.feedback:_wait_for_event": "ends with a call",
    "proxy.management.slow_steps:report_slow_step.report": "ends with the step of a command",
    "proxy.pipeline.stages.coalesce:join_flight": "ends with a call",
    "proxy.runtime.periodic_task:PeriodicTask._repeat_turns": "the loop that all periodic tasks share",
    "proxy.runtime.worker:Worker._wait_for_requests": "ends with the last requests of a worker that stops",
    "proxy.live_test.service:_retry_until_known": "ends with a call",
    "proxy.runtime.watchdog:Watchdog._watch_loop": "a thread beside the event loop, which it watches",
    "stats.dashboard.consumers:DashboardConsumer._send_heartbeats": "ends with a browser's socket",
    "stats.ledger.deletions:wait_until_removed": "ends with a call",
    "stats.ledger.flusher:Flusher.close": "ends with a worker",
    "stats.live:_broadcast_changes": "ends when there is nothing to tell",
}
PROGRAM = """
import asyncio, json, django
django.setup()
from proxy.runtime.worker import start_worker

def place(loop):
    function = getattr(loop, "work", None) or getattr(loop, "thread", None) or loop.run
    function = getattr(function, "func", function)
    return f"{function.__module__}:{function.__qualname__}"

async def main():
    running = await start_worker()
    await asyncio.sleep(1)
    alive = {task.get_name() for task in running.tasks if not task.done()}
    print("ALIVE", json.dumps([place(loop) for loop in running.loops if loop.name in alive]))
    await running.close()
    print("LEFT", json.dumps([task.get_name() for task in running.tasks if not task.done()]))

asyncio.run(main())
"""
PAUSES = {"sleep", "wait", "wait_for", "wait_for_flight"}


def loops_in(source: str, module: str) -> Iterator[str]:
    """The functions of the module that pause in a loop, or that never leave one."""
    for name, function in _functions(ast.parse(source)):
        whiles = [node for node in _own_nodes(function) if isinstance(node, ast.While)]
        if any(_pauses(loop) or _is_endless(loop) for loop in whiles):
            yield f"{module}:{name}"


def turns_in(source: str, module: str) -> Iterator[str]:
    """The functions named `turn`, as the work of a periodic task is."""
    for name, _ in _functions(ast.parse(source)):
        if name.rpartition(".")[2] == "turn":
            yield f"{module}:{name}"


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if not isinstance(node, ast.ClassDef):
                yield prefix + node.name, node
            yield from _functions(node, f"{prefix}{node.name}.")
        else:
            yield from _functions(node, prefix)


def _own_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes below, those of functions within left out."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            yield from _own_nodes(node)


def _pauses(loop: ast.While) -> bool:
    called = [node.func for node in _own_nodes(loop) if isinstance(node, ast.Call)]
    names = {
        node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "") for node in called
    }
    return bool(names & PAUSES)


def _is_endless(loop: ast.While) -> bool:
    leaves = (ast.Return, ast.Break, ast.Raise)
    return isinstance(loop.test, ast.Constant) and not any(
        isinstance(node, leaves) for node in _own_nodes(loop)
    )


def modules() -> Iterator[tuple[str, str]]:
    """Source and dotted name of every module of the product."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
                ".__init__"
            )
            yield path.read_text(), dotted


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The functions of the loops that a worker of the real services has running a second
    after its start."""
    spool = tmp_path_factory.mktemp("spool")
    ready = databases.ready_database()
    with databases.own_database(os.environ["DATABASE_URL"], copy_of=ready.name) as url:
        environment = os.environ | {"DATABASE_URL": url, "TOKENTHRIFT_SPOOL_DIR": str(spool)}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=120,
            check=True,
        )
    said = dict(
        line.split(" ", 1)
        for line in done.stdout.splitlines()
        if line.startswith(("ALIVE", "LEFT"))
    )
    assert json.loads(said["LEFT"]) == []
    return list(json.loads(said["ALIVE"]))


def test_no_loop_is_written_out_but_those_named_here_with_a_reason() -> None:
    found = {each for source, module in modules() for each in loops_in(source, module)}
    assert sorted(found) == sorted({*LISTENERS, *NOT_PERIODIC})


def test_a_worker_runs_every_turn_that_the_code_has(started: list[str]) -> None:
    turns = {each for source, module in modules() for each in turns_in(source, module)}
    assert turns - set(started) == set()
    assert {"stats.ledger.retention:turn", "stats.ledger.flusher:Flusher.turn"} <= turns
    assert "stats.quality.recalibration:turn" in turns


def test_a_worker_runs_every_listener(started: list[str]) -> None:
    assert set(LISTENERS.values()) - set(started) == set()


def test_a_worker_runs_each_loop_once(started: list[str]) -> None:
    assert len(started) == len(set(started)) == 14


@pytest.mark.parametrize(
    "loop",
    [
        "while True:\n        work()\n        await asyncio.sleep(EVERY)",
        "while not stopping.wait(5):\n        work()",
        "while True:\n        await queue.get()",
        (
            "while alive:\n        try:\n            work()\n        finally:\n"
            "            time.sleep(1)"
        ),
    ],
)
def test_a_loop_written_out_is_found(loop: str) -> None:
    assert list(loops_in(f"async def run():\n    {loop}", "m")) == ["m:run"]
    assert list(loops_in(f"class A:\n  async def run(self):\n    {loop}", "m")) == ["m:A.run"]


def test_a_loop_over_data_is_none() -> None:
    source = "def find(rows):\n    while True:\n        if rows.pop():\n            return\n"
    assert list(loops_in(source, "m")) == []
