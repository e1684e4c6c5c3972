"""A worker's own measurements, beside the requests:
how late the event loop is, what is in flight, which tools are left alone."""

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
from proxy.runtime.config_source import DatabaseSource
from stats.ledger.backlog import Standing, standing
from stats.monitoring import gauges

BEAT = 0.1
TELL_EVERY = 5  # beats
ASK_EVERY = 10.0  # seconds
RESTARTS = "restarts of the compressor"  # no tool of that name


@dataclass(slots=True)
class Traffic:
    """Requests that this worker is answering."""

    now: int = 0


class Pulse:
    """One per worker. `restarts`: how often a compression process was started again so far."""

    def __init__(
        self,
        tools: Toolbox,
        traffic: Traffic,
        source: DatabaseSource,
        *,
        restarts: Callable[[], int],
    ) -> None:
        self._tools, self._traffic, self._source, self._restarts = tools, traffic, source, restarts
        self._told: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._beats, self._due = 0, time.monotonic() + BEAT
        self._asked_at = -ASK_EVERY
        self._asking: asyncio.Future[Standing] | None = None
        # One thread of its own: a hung database holds it up, and nothing else.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="standing")

    def announce(self, version: str) -> None:
        """Say what this worker is. `version`: of the gateway."""
        gauges.BUILD.labels(version, platform.python_version(), self._tools.embedder.id).set(1)
        gauges.WORKERS.set(1)
        gauges.WORKER_STARTS.inc()

    async def turn(self) -> None:
        """Measure how much later than `BEAT` after the last turn this one comes,
        and tell the rest now and then."""
        gauges.LOOP_LAG.observe(max(0.0, time.monotonic() - self._due))
        self._beats += 1
        if self._beats % TELL_EVERY == 0:
            self._tell()
            self._ask()
        self._due = time.monotonic() + BEAT

    def close(self) -> None:
        self._thread.submit(connections.close_all)
        self._thread.shutdown(wait=False)

    def _tell(self) -> None:
        gauges.IN_FLIGHT.set(self._traffic.now)
        gauges.CONFIGURATION_AGE.set(self._source.age)
        gauges.COMPRESSOR_RESTARTS.inc(self._restarts() - self._told[RESTARTS])
        self._told[RESTARTS] = self._restarts()
        for name, breaker in self._tools.breakers.items():
            gauges.BREAKER_OPEN.labels(name).set(breaker.is_tripped)
            gauges.TOOL_TIMEOUTS.labels(name).inc(breaker.late_calls - self._told[name])
            self._told[name] = breaker.late_calls
        for store, count in self._tools.sealer.refusals.counts.items():
            gauges.REFUSED_VALUES.labels(store).inc(count - self._refused[store])
            self._refused[store] = count
        for plan in self._source.config.plans.values():
            if plan.cache is not None and plan.cache.max_error_rate is not None:
                gauges.ERROR_BUDGET.labels(plan.name).set(plan.cache.max_error_rate)

    def _ask(self) -> None:
        """Have the ledger's standing read, one question at a time:
        the last answer stays while there is none."""
        if self._asking is not None and self._asking.done():
            with suppress(DatabaseError, InterfaceError):
                found = self._asking.result()
                gauges.FOLD_LAG.set(found.fold_lag)
                gauges.OUTCOME_UNKNOWN.set(found.unknown)
            self._asking = None
        if self._asking is None and time.monotonic() - self._asked_at >= ASK_EVERY:
            self._asked_at = time.monotonic()
            self._asking = asyncio.get_running_loop().run_in_executor(self._thread, _standing)


def _standing() -> Standing:
    """On a connection of the thread's own, dropped when anything goes wrong."""
    try:
        return standing()
    except BaseException:
        connections.close_all()
        raise
