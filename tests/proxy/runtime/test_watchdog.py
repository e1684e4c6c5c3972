"""A turn of the event loop that takes too long is told of, with the stage that held it up."""

import asyncio
import logging
import os
import signal
import time

import pytest
from prometheus_client import REGISTRY

from proxy.pipeline.stages import cache_scope
from proxy.runtime.watchdog import OUTSIDE_STAGE, StallLocation, Watchdog, find_location
from tests.support.fakes import World, ask, body
from tests.support.gateways import Gateway


def stalls(stage: str) -> float:
    return REGISTRY.get_sample_value("tokenthrift_event_loop_stalls_total", {"stage": stage}) or 0.0


async def test_a_stall_is_told_with_the_stage_it_was_in(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object, **__: object) -> str:
        time.sleep(0.6)
        return "scope"

    monkeypatch.setattr(cache_scope, "scope_digest", slow)
    before, world, watchdog = stalls("scope"), World(), Watchdog()
    try:
        await asyncio.sleep(0.3)
        with caplog.at_level(logging.WARNING, "tokenthrift.proxy"):
            assert (await ask(world, body())).status == 200
            await asyncio.sleep(0.5)
    finally:
        watchdog.close()
    assert stalls("scope") - before == 1
    (told,) = [
        record.getMessage() for record in caplog.records if "in scope" in record.getMessage()
    ]
    assert "(proxy.pipeline.stages.cache_scope.cache_scope:" in told
    assert float(told.split(" for ")[1].split(" s ")[0]) >= 0.4


async def test_short_turns_are_not_told(caplog: pytest.LogCaptureFixture) -> None:
    watchdog = Watchdog()
    try:
        with caplog.at_level(logging.WARNING, "tokenthrift.proxy"):
            for _ in range(10):
                time.sleep(0.02)  # noqa: ASYNC251 -- on purpose
                await asyncio.sleep(0.03)
    finally:
        watchdog.close()
    assert [
        record
        for record in caplog.records
        if "held up" in record.getMessage() and OUTSIDE_STAGE not in record.getMessage()
    ] == []


def test_no_stack_of_ours_is_outside() -> None:
    assert find_location(None) == StallLocation(OUTSIDE_STAGE, OUTSIDE_STAGE)


def test_every_worker_watches_itself(gateway: Gateway) -> None:
    """A process that was stopped for a moment says so when it goes on."""
    (worker,) = gateway.worker_pids() or [gateway.process.pid]
    os.kill(worker, signal.SIGSTOP)
    time.sleep(1.0)
    os.kill(worker, signal.SIGCONT)
    deadline = time.monotonic() + 20
    while (
        "the event loop was held up for" not in gateway.log.read_text()
        and time.monotonic() < deadline
    ):
        time.sleep(0.1)
    assert "the event loop was held up for" in gateway.log.read_text()
    assert "tokenthrift_event_loop_stalls_total{" in gateway.api("GET", "/metrics").text
