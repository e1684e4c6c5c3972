"""List everything that a worker runs in the background.

A test compares the list with all loops and turns in the code.
"""

import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from django.conf import settings

from proxy.core.errors import ToolUnavailable
from proxy.engines.coalescing import redis as leases
from proxy.engines.exact.invalidations import KeyInvalidations
from proxy.feedback import service
from proxy.pipeline.toolbox import Toolbox
from proxy.runtime import (
    cache_sweeper,
    config_source,
    embedder_change,
    error_budget_sync,
    worker_metrics,
)
from proxy.runtime.periodic_task import PeriodicTask
from stats.ledger import flusher, retention
from stats.quality import recalibration

PURGE_INTERVAL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Listener:
    """A connection listened to until the worker stops; `run` reconnects after a failure."""

    name: str
    run: Callable[[], Awaitable[None]]


WorkerLoop = PeriodicTask | Listener


def build_loops(
    *,
    tools: Toolbox,
    configuration: config_source.DatabaseConfigSource,
    ledger: flusher.Flusher,
    budgets: error_budget_sync.ErrorBudgetSync,
    measures: worker_metrics.WorkerMetrics,
    entries: cache_sweeper.CacheSweeper,
    flights: leases.RedisLeases,
    changes: KeyInvalidations | None,
) -> list[WorkerLoop]:
    """Build the loops of a worker; `changes` is None if exact entries are not held in memory."""
    loops: list[WorkerLoop] = [
        build_config_poll_task(configuration),
        Listener("configuration notices", configuration.listen_for_changes),
        build_ledger_flush_task(ledger),
        build_ledger_upkeep_task(),
        PeriodicTask(
            name="error budgets",
            interval_seconds=error_budget_sync.SYNC_INTERVAL_SECONDS,
            work=budgets.turn,
            failure_message="error budgets are not read, what this worker knows stays in force",
        ),
        PeriodicTask(
            name="worker metrics",
            first_delay_seconds=worker_metrics.HEARTBEAT_SECONDS,
            interval_seconds=worker_metrics.HEARTBEAT_SECONDS,
            work=measures.turn,
            failure_message="the worker's own measurements are not taken",
        ),
        PeriodicTask(
            name="cache sweep",
            interval_seconds=cache_sweeper.SWEEP_INTERVAL_SECONDS,
            max_interval_seconds=cache_sweeper.RETRY_DELAY_SECONDS,
            work=entries.turn,
            failure_message="deleted and surplus cache entries wait, the database does not answer",
        ),
        PeriodicTask(
            name="expired semantic entries",
            first_delay_seconds=PURGE_INTERVAL_SECONDS,
            interval_seconds=PURGE_INTERVAL_SECONDS,
            jitter=0.1,
            work=partial(purge_semantic_entries, tools),
            failure_message="expired semantic entries wait",
        ),
        PeriodicTask(
            name="expired evictions",
            first_delay_seconds=PURGE_INTERVAL_SECONDS,
            interval_seconds=PURGE_INTERVAL_SECONDS,
            jitter=0.1,
            thread=delete_expired_evictions,
            failure_message="answers evicted as wrong are kept too long",
        ),
        build_reembedding_task(),
        build_recalibration_task(),
        Listener("flights of other workers", flights.listen),
        build_lease_renewal_task(flights),
    ]
    if changes is not None:
        loops.append(Listener("changes of exact entries", changes.listen))
    return loops


def build_config_poll_task(configuration: config_source.DatabaseConfigSource) -> PeriodicTask:
    return PeriodicTask(
        name="configuration",
        interval_seconds=config_source.POLL_SECONDS,
        wake_event=configuration.change_event,
        work=configuration.refresh_config,
        failure_message="the configuration cannot be read, the last one stays in force",
    )


def build_ledger_flush_task(ledger: flusher.Flusher) -> PeriodicTask:
    return PeriodicTask(
        name="ledger",
        interval_seconds=ledger.interval_seconds,
        max_interval_seconds=flusher.MAX_RETRY_DELAY_SECONDS,
        work=ledger.turn,
        failure_message=f"the ledger cannot be written, requests are kept in {ledger.spool_folder}",
    )


def build_ledger_upkeep_task() -> PeriodicTask:
    pause = min(retention.MAX_TURN_INTERVAL_SECONDS, settings.UPKEEP_SECONDS)
    return PeriodicTask(
        name="upkeep of the ledger",
        first_delay_seconds=min(retention.FIRST_TURN_DELAY_SECONDS, pause),
        interval_seconds=pause,
        jitter=0.1,
        leader_lock=retention.RETENTION_LOCK,
        thread=retention.turn,
        failure_message="the ledger's upkeep waits for its next turn",
    )


def build_reembedding_task() -> PeriodicTask:
    return PeriodicTask(
        name="entries of another embedder",
        first_delay_seconds=embedder_change.FIRST_TURN_DELAY_SECONDS,
        interval_seconds=embedder_change.TURN_INTERVAL_SECONDS,
        jitter=0.1,
        leader_lock=embedder_change.REEMBED_LOCK,
        thread=embedder_change.reembed_in_background,
        failure_message="entries of another embedder wait, and are not found by meaning",
    )


def build_recalibration_task() -> PeriodicTask:
    return PeriodicTask(
        name="recalibration",
        first_delay_seconds=recalibration.FIRST_TURN_DELAY_SECONDS,
        interval_seconds=recalibration.TURN_INTERVAL_SECONDS,
        jitter=0.1,
        leader_lock=recalibration.RECALIBRATION_LOCK,
        thread=recalibration.turn,
        failure_message="thresholds are not recalibrated, plans keep theirs",
    )


def build_lease_renewal_task(flights: leases.RedisLeases) -> PeriodicTask:
    return PeriodicTask(
        name="leases of calls",
        first_delay_seconds=leases.HEARTBEAT_SECONDS,
        interval_seconds=leases.HEARTBEAT_SECONDS,
        work=flights.turn,
        failure_message="calls are not shared with other workers, Redis does not answer",
    )


async def purge_semantic_entries(tools: Toolbox) -> None:
    """Remove expired semantic entries; an unavailable backend is retried next time."""
    for backend in tools.list_semantic_caches():
        with suppress(ToolUnavailable):
            await backend.purge_expired()


def delete_expired_evictions(stopping: threading.Event) -> None:
    """Delete evicted answers that can no longer be restored."""
    service.delete_expired_evictions()
