"""A deadline that does not count the time in which nobody could look."""

import asyncio
import time

import pytest

from proxy.core.errors import ToolUnavailable
from proxy.core.event_loop import wait_loop_time


async def test_on_an_idle_loop_it_is_a_deadline() -> None:
    began = time.monotonic()
    with pytest.raises(ToolUnavailable):
        await wait_loop_time(lambda: asyncio.sleep(5), seconds=0.05, tool="slow")
    assert 0.04 < time.monotonic() - began < 1


async def test_a_busy_loop_is_not_the_tool_s_fault() -> None:
    async def reply() -> str:
        for _ in range(4):
            await asyncio.sleep(0)
        return "in time"

    async def busy() -> None:
        while True:
            time.sleep(0.02)  # noqa: ASYNC251 -- it blocks the loop on purpose
            await asyncio.sleep(0)

    crowd = asyncio.create_task(busy())
    try:
        assert await wait_loop_time(reply, seconds=0.02, tool="well") == "in time"
    finally:
        crowd.cancel()


async def test_what_the_work_raises_is_raised() -> None:
    async def fails() -> None:
        raise ToolUnavailable("tool", "gone")

    with pytest.raises(ToolUnavailable, match="gone"):
        await wait_loop_time(fails, seconds=1, tool="tool")
