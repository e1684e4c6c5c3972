"""Measure a worker itself: event loop lag, requests in flight, circuit breakers."""

import asyncio
import platform
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from django.db import DatabaseError, InterfaceError, connections

from proxy.pipeline.toolbox import Toolbox
from proxy.runtime.config_source import DatabaseConfigSource
from stats.ledger.backlog import LedgerBacklog, measure_backlog
from stats.monitoring import gauges

HEARTBEAT_SECONDS = 0.1
REPORT_INTERVAL_BEATS = 5  # beats
BACKLOG_INTERVAL_SECONDS = 10.0  # seconds
RESTARTS_KEY = "restarts of the compressor"  # not the name of a tool


@dataclass(slots=True)
class InFlight:
    """Requests that this worker is answering."""

    request_count: int = 0


class WorkerMetrics:
    """One per worker; `restarts` returns how often a compression process was restarted."""

    def __init__(
        self,
        tools: Toolbox,
        traffic: InFlight,
        source: DatabaseConfigSource,
        *,
        restarts: Callable[[], int],
    ) -> None:
        self._tools, self._in_flight, self._source, self._restarts = (
            tools,
            traffic,
            source,
            restarts,
        )
        self._reported_counts: Counter[str] = Counter()
        self._reported_refusals: Counter[str] = Counter()
        self._beat_count, self._next_beat_at = 0, time.monotonic() + HEARTBEAT_SECONDS
        self._backlog_requested_at = -BACKLOG_INTERVAL_SECONDS
        self._backlog_future: asyncio.Future[LedgerBacklog] | None = None
        # A thread of its own, so that a hung database blocks nothing else.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="standing")

    def report_build(self, version: str) -> None:
        """Report the gateway's version, Python and the embedder."""
        gauges.BUILD.labels(version, platform.python_version(), self._tools.embedder.id).set(1)
        gauges.WORKERS.set(1)
        gauges.WORKER_STARTS.inc()

    async def turn(self) -> None:
        """Measure the event loop's lag; every REPORT_INTERVAL_BEATS turns report the rest."""
        gauges.LOOP_LAG.observe(max(0.0, time.monotonic() - self._next_beat_at))
        self._beat_count += 1
        if self._beat_count % REPORT_INTERVAL_BEATS == 0:
            self._report_gauges()
            self._request_backlog()
        self._next_beat_at = time.monotonic() + HEARTBEAT_SECONDS

    def close(self) -> None:
        self._executor.submit(connections.close_all)
        self._executor.shutdown(wait=False)

    def _report_gauges(self) -> None:
        gauges.IN_FLIGHT.set(self._in_flight.request_count)
        gauges.CONFIGURATION_AGE.set(self._source.age_seconds)
        gauges.COMPRESSOR_RESTARTS.inc(self._restarts() - self._reported_counts[RESTARTS_KEY])
        self._reported_counts[RESTARTS_KEY] = self._restarts()
        for name, breaker in self._tools.breakers.items():
            gauges.BREAKER_OPEN.labels(name).set(breaker.is_tripped)
            gauges.TOOL_TIMEOUTS.labels(name).inc(breaker.late_calls - self._reported_counts[name])
            self._reported_counts[name] = breaker.late_calls
        for store, count in self._tools.sealer.refusals.counts.items():
            gauges.REFUSED_VALUES.labels(store).inc(count - self._reported_refusals[store])
            self._reported_refusals[store] = count
        for plan in self._source.config.plans.values():
            if plan.cache is not None and plan.cache.max_error_rate is not None:
                gauges.ERROR_BUDGET.labels(plan.name).set(plan.cache.max_error_rate)

    def _request_backlog(self) -> None:
        """Request the ledger's backlog, one query at a time, and report the last one."""
        if self._backlog_future is not None and self._backlog_future.done():
            with suppress(DatabaseError, InterfaceError):
                found = self._backlog_future.result()
                gauges.FOLD_LAG.set(found.rollup_lag_seconds)
                gauges.OUTCOME_UNKNOWN.set(found.unknown_calls)
            self._backlog_future = None
        if (
            self._backlog_future is None
            and time.monotonic() - self._backlog_requested_at >= BACKLOG_INTERVAL_SECONDS
        ):
            self._backlog_requested_at = time.monotonic()
            self._backlog_future = asyncio.get_running_loop().run_in_executor(
                self._executor, _read_backlog_in_thread
            )


def _read_backlog_in_thread() -> LedgerBacklog:
    """Measure the backlog on the thread's own connection, dropped after any failure."""
    try:
        return measure_backlog()
    except BaseException:
        connections.close_all()
        raise
