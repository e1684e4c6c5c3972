"""The one way from Django's threads into the loop of the request path."""

import ast
import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy import bridge
from proxy.core.errors import ToolUnavailable
from proxy.pipeline.toolbox import Toolbox
from tests.support.fakes import World

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gateway_project", "accounts", "plans", "proxy", "stats")
CROSSINGS = {"run_coroutine_threadsafe", "call_soon_threadsafe"}


@pytest.fixture
def world() -> Iterator[World]:
    """A request path made of fakes in a loop of its own."""
    made, loop = World(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    bridge.attach_bridge(bridge.LoopBridge(loop, made.tools))
    yield made
    bridge.attach_bridge(None)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def names_in(source: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(source)))
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    used |= {node.id for node in nodes if isinstance(node, ast.Name)}
    return used | {
        name.name for node in nodes if isinstance(node, ast.ImportFrom) for name in node.names
    }


def test_nothing_else_reaches_from_a_thread_into_a_loop() -> None:
    crossing = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if CROSSINGS & names_in(path.read_text())
    }
    assert crossing == {"proxy/bridge.py"}


def test_the_work_runs_in_the_loop_with_its_tools(world: World) -> None:
    async def work(tools: Toolbox) -> tuple[Toolbox, int]:
        return tools, threading.get_ident()

    tools, thread = bridge.run_in_loop(work, seconds=10)
    assert tools is world.tools
    assert thread != threading.get_ident()


def test_what_the_work_raises_is_raised(world: World) -> None:
    async def work(tools: Toolbox) -> None:
        raise ToolUnavailable("exact", "down")

    with pytest.raises(ToolUnavailable, match="exact: down"):
        bridge.run_in_loop(work, seconds=10)


def test_work_that_is_late_is_cancelled(world: World) -> None:
    cancelled = threading.Event()

    async def work(tools: Toolbox) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    with pytest.raises(TimeoutError):
        bridge.run_in_loop(work, seconds=0.05)
    assert cancelled.wait(10)


def test_without_a_request_path_it_says_so_and_makes_no_coroutine() -> None:
    made: list[Toolbox] = []

    async def work(tools: Toolbox) -> None:
        made.append(tools)

    with pytest.raises(bridge.GatewayNotRunning):
        bridge.run_in_loop(work, seconds=1)
    assert made == []
