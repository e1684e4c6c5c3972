"""Run work of Django's threads in the event loop of the request path."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from proxy.pipeline.toolbox import Toolbox

T = TypeVar("T")


class GatewayNotRunning(Exception):
    """The request path, with its tools, does not run in this process."""


@dataclass(frozen=True, slots=True)
class LoopBridge:
    loop: asyncio.AbstractEventLoop
    tools: Toolbox


@dataclass(slots=True)
class _State:
    bridge: LoopBridge | None = None


_state = _State()


def attach_bridge(bridge: LoopBridge | None) -> None:
    """Set the bridge when the request path starts in this process; None when it stops."""
    _state.bridge = bridge


def run_in_loop(work: Callable[[Toolbox], Coroutine[Any, Any, T]], *, seconds: float) -> T:
    """Run `work` in the loop and return its result.

    Blocks, so not for the loop's own thread. Raises GatewayNotRunning, TimeoutError after
    `seconds`, and what `work` raises.
    """
    if _state.bridge is None:
        raise GatewayNotRunning
    done = asyncio.run_coroutine_threadsafe(work(_state.bridge.tools), _state.bridge.loop)
    try:
        return done.result(seconds)
    except TimeoutError:
        done.cancel()
        raise
