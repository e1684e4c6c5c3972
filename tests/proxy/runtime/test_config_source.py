"""The configuration's poll stops when it is told to, whatever comes at the same moment."""

import asyncio
from typing import Any

import pytest

from proxy.runtime.config_source import DatabaseConfigSource
from proxy.runtime.worker_loops import build_config_poll_task


async def test_a_change_that_comes_with_the_cancellation_does_not_swallow_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fresh(self: Any) -> None:
        pass

    monkeypatch.setattr(DatabaseConfigSource, "refresh_config", fresh)
    source = DatabaseConfigSource()
    task = asyncio.create_task(build_config_poll_task(source).run())
    await asyncio.sleep(0.05)  # it waits for a change
    source.change_event.set()
    await asyncio.sleep(0)  # the wait is over, and nobody was told yet
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=2)
    source.close()
    assert done, "it goes on, and the worker never ends"
    assert task.cancelled()
