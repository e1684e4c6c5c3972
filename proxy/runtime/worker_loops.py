"""Everything that a worker does beside its requests for as long as it runs, as a list.

A loop that is not in it never runs, so a test holds it against all loops and turns in the code.
"""

import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from django.conf import settings

from proxy.core.errors import ToolUnavailable
from proxy.engines.coalescing import redis as leases
from proxy.engines.exact.invalidations import Changes
from proxy.feedback import service
from proxy.pipeline.toolbox import Toolbox
from proxy.runtime import cache_sweeper, config_source, error_budget_sync, worker_metrics
from proxy.runtime.periodic_task import PeriodicTask
from stats.ledger import flusher, retention

PURGE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Listener:
    """A connection that is listened to until the worker stops;
    `run` connects again after a fault."""

    name: str
    run: Callable[[], Awaitable[None]]


Loop = PeriodicTask | Listener


def loops_of(
    *,
    tools: Toolbox,
    configuration: config_source.DatabaseSource,
    ledger: flusher.Flusher,
    budgets: error_budget_sync.Keeper,
    measures: worker_metrics.Pulse,
    entries: cache_sweeper.Sweeper,
    flights: leases.RedisLeases,
    changes: Changes | None,
) -> list[Loop]:
    """The loops of a worker with these parts; `changes` None
    where no exact entry is kept in memory."""
    loops: list[Loop] = [
        poll_configuration(configuration),
        Listener("configuration notices", configuration.listen),
        flush_ledger(ledger),
        keep_ledger_tables(),
        PeriodicTask(
            name="error budgets",
            every=error_budget_sync.EVERY,
            work=budgets.turn,
            failing="error budgets are not read, what this worker knows stays in force",
        ),
        PeriodicTask(
            name="worker metrics",
            first=worker_metrics.BEAT,
            every=worker_metrics.BEAT,
            work=measures.turn,
            failing="the worker's own measurements are not taken",
        ),
        PeriodicTask(
            name="cache sweep",
            every=cache_sweeper.EVERY,
            longest=cache_sweeper.AWAY,
            work=entries.turn,
            failing="deleted and surplus cache entries wait, the database does not answer",
        ),
        PeriodicTask(
            name="expired semantic entries",
            first=PURGE_SECONDS,
            every=PURGE_SECONDS,
            jitter=0.1,
            work=partial(purge_semantic, tools),
            failing="expired semantic entries wait",
        ),
        PeriodicTask(
            name="expired evictions",
            first=PURGE_SECONDS,
            every=PURGE_SECONDS,
            jitter=0.1,
            thread=forget_evictions,
            failing="answers evicted as wrong are kept too long",
        ),
        Listener("flights of other workers", flights.listen),
        renew_leases(flights),
    ]
    if changes is not None:
        loops.append(Listener("changes of exact entries", changes.run))
    return loops


def poll_configuration(configuration: config_source.DatabaseSource) -> PeriodicTask:
    return PeriodicTask(
        name="configuration",
        every=config_source.POLL_SECONDS,
        wake=configuration.changed,
        work=configuration.refresh,
        failing="the configuration cannot be read, the last one stays in force",
    )


def flush_ledger(ledger: flusher.Flusher) -> PeriodicTask:
    return PeriodicTask(
        name="ledger",
        every=ledger.interval,
        longest=flusher.LONGEST_WAIT,
        work=ledger.turn,
        failing=f"the ledger cannot be written, requests are kept in {ledger.folder}",
    )


def keep_ledger_tables() -> PeriodicTask:
    pause = min(retention.LONGEST_PAUSE, settings.UPKEEP_SECONDS)
    return PeriodicTask(
        name="upkeep of the ledger",
        first=min(retention.FIRST_LOOK, pause),
        every=pause,
        jitter=0.1,
        leader=retention.LOCK,
        thread=retention.turn,
        failing="the ledger's upkeep waits for its next turn",
    )


def renew_leases(flights: leases.RedisLeases) -> PeriodicTask:
    return PeriodicTask(
        name="leases of calls",
        first=leases.BEAT,
        every=leases.BEAT,
        work=flights.turn,
        failing="calls are not shared with other workers, Redis does not answer",
    )


async def purge_semantic(tools: Toolbox) -> None:
    """Remove expired semantic entries; a backend that is down is tried again next time."""
    for backend in tools.semantic_caches.values():
        with suppress(ToolUnavailable):
            await backend.purge_expired()


def forget_evictions(stopping: threading.Event) -> None:
    """Remove evicted answers that could not be put back any more."""
    service.forget_expired()
