"""What a worker says of itself: measured beside the requests, told twice a second."""

import asyncio
import time
import uuid
from typing import Any

import pytest
from prometheus_client import REGISTRY

from proxy.core.circuit_breaker import CircuitBreaker
from proxy.core.errors import ToolUnavailable
from proxy.core.request_ids import new_request_id
from proxy.runtime.periodic_task import PeriodicTask
from proxy.runtime.worker_metrics import HEARTBEAT_SECONDS, InFlight, WorkerMetrics
from stats.ledger.backlog import measure_backlog
from stats.models.requests import UpstreamAttempt
from stats.models.rollups import Unfolded
from stats.monitoring import gauges, upstream_metrics
from stats.monitoring.upstream_metrics import classify_result
from tests.support.events import make_event
from tests.support.fakes import World


class Configured:
    """A source of the configuration that was read some seconds ago."""

    def __init__(self, world: World, age_seconds: float) -> None:
        self.config, self.age_seconds = world.tools.config_source.config, age_seconds


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.django_db
async def test_a_worker_tells_of_its_loop_its_tools_and_its_traffic() -> None:
    world, traffic = World(), InFlight(request_count=3)
    source: Any = Configured(world, 7.0)
    before = (
        value("tokenthrift_compressor_restarts_total"),
        value("tokenthrift_event_loop_lag_seconds_count"),
    )
    pulse = WorkerMetrics(world.tools, traffic, source, restarts=lambda: 2)
    broken = world.tools.breakers["redis_semantic"]
    broken.record_failure("gone")
    broken.record_failure("gone")
    broken.late_calls = 5
    pulse.report_build("9.9")
    beats = PeriodicTask(
        name="beats",
        first_delay_seconds=HEARTBEAT_SECONDS,
        interval_seconds=HEARTBEAT_SECONDS,
        work=pulse.turn,
        failure_message="no beat",
    )
    task = asyncio.create_task(beats.run())
    await asyncio.sleep(0.35)
    time.sleep(0.3)  # noqa: ASYNC251 -- the loop is held up on purpose
    await asyncio.sleep(0.4)
    task.cancel()
    pulse.close()
    assert value("tokenthrift_requests_in_flight") == 3
    assert value("tokenthrift_configuration_age_seconds") == 7.0
    assert value("tokenthrift_breaker_open", tool="redis_semantic") == 1
    assert value("tokenthrift_tool_timeouts_total", tool="redis_semantic") == 5
    assert value("tokenthrift_compressor_restarts_total") - before[0] == 2
    assert value("tokenthrift_event_loop_lag_seconds_count") - before[1] >= 4
    late = value("tokenthrift_event_loop_lag_seconds_count") - value(
        "tokenthrift_event_loop_lag_seconds_bucket", le="0.1"
    )
    assert late >= 1
    assert gauges.BUILD is not None


async def test_a_breaker_counts_what_was_late_and_nothing_else() -> None:
    async def answer() -> int:
        return 1

    async def fail() -> int:
        raise ToolUnavailable("tool", "broken")

    async def busy() -> int:
        raise ToolUnavailable("tool", "busy", skipped=True)

    breaker = CircuitBreaker("tool")
    assert await breaker.run(answer(), seconds=1) == 1
    with pytest.raises(ToolUnavailable):
        await breaker.run(fail(), seconds=1)
    assert (breaker.late_calls, breaker.is_tripped) == (0, False)
    for call, seconds in ((answer(), 0.0), (busy(), 1.0)):
        with pytest.raises(ToolUnavailable):
            await breaker.run(call, seconds=seconds)
    with pytest.raises(ToolUnavailable):
        await breaker.run(asyncio.sleep(1), seconds=0.05)
    assert (breaker.late_calls, breaker.is_tripped) == (3, True)


@pytest.mark.django_db
def test_the_ledger_s_standing_is_the_oldest_note_and_the_calls_nobody_settled() -> None:
    assert measure_backlog().rollup_lag_seconds == 0
    old, new = (
        uuid.UUID(int=(int((time.time() - 90) * 1000) << 80) | 1),
        uuid.UUID(new_request_id()),
    )
    Unfolded.objects.create(events=[new, old])
    Unfolded.objects.create(events=[new])
    before = measure_backlog().unknown_calls
    UpstreamAttempt.objects.create(
        event_id=uuid.uuid4(), at="2026-01-01T00:00:00Z", worker="1-gone", upstream="u", model="m"
    )
    found = measure_backlog()
    assert 90 <= found.rollup_lag_seconds < 95
    assert found.unknown_calls == before + 1


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ({}, "ok"),
        ({"failures": ("upstream",), "tier": "exact"}, "failed"),
        (
            {"outcome": "upstream_error", "status": 502, "error_code": "upstream_unreachable"},
            "unreachable",
        ),
        ({"outcome": "upstream_error", "status": 504, "error_code": "upstream_timeout"}, "timeout"),
        (
            {"outcome": "upstream_error", "status": 502, "error_code": "upstream_invalid_response"},
            "invalid",
        ),
        ({"outcome": "upstream_error", "status": 429}, "rate_limited"),
        ({"outcome": "upstream_error", "status": 400}, "refused"),
        ({"outcome": "upstream_error", "status": 529}, "failed"),
        ({"outcome": "cut"}, "cut"),
        ({"outcome": "client_closed", "status": 499}, "abandoned"),
        ({"outcome": "failed", "status": 500}, "internal"),
    ],
)
def test_a_call_to_a_provider_has_one_result(said: dict[str, Any], result: str) -> None:
    assert classify_result(make_event(**said)) == result
    assert result in upstream_metrics.UPSTREAM_RESULTS


def test_a_compression_that_trim_stood_in_for_is_counted_by_its_reason() -> None:
    before = value("tokenthrift_compression_degraded_total", reason="deadline")
    upstream_metrics.count_degradation("deadline, unknown-model-counted-by-o200k")
    upstream_metrics.count_degradation("over-budget")
    assert value("tokenthrift_compression_degraded_total", reason="deadline") - before == 1
