"""From Django's threads to the tools of the request path,
which belong to the loop of this process."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from proxy.pipeline.toolbox import Toolbox

T = TypeVar("T")


class GatewayNotRunning(Exception):
    """The request path does not run in this process, so neither do its tools."""


@dataclass(frozen=True, slots=True)
class LoopBridge:
    loop: asyncio.AbstractEventLoop
    tools: Toolbox


@dataclass(slots=True)
class _State:
    bridge: LoopBridge | None = None


_state = _State()


def attach_bridge(bridge: LoopBridge | None) -> None:
    """Called once by whoever starts the request path in this process, and at its end with None."""
    _state.bridge = bridge


def run_in_loop(work: Callable[[Toolbox], Coroutine[Any, Any, T]], *, seconds: float) -> T:
    """The result of `work`, run in the loop.

    Waits, so not for the loop's own thread. Raises Elsewhere, TimeoutError after `seconds`, and
    what `work` raises.
    """
    if _state.bridge is None:
        raise GatewayNotRunning
    done = asyncio.run_coroutine_threadsafe(work(_state.bridge.tools), _state.bridge.loop)
    try:
        return done.result(seconds)
    except TimeoutError:
        done.cancel()
        raise
