"""Start and stop a worker: its tools, made from Django's settings, and its background tasks."""

import asyncio
import contextlib
import gc
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy import bridge
from proxy.conf import conf
from proxy.core.caching.local_cache import LocalCache
from proxy.core.errors import ToolUnavailable
from proxy.core.flights import FlightRegistry
from proxy.core.ports import ChatVerifier, Embedder, Verifier
from proxy.core.quality.cohort import derive_cohort
from proxy.core.tokens import count_text, find_encoding
from proxy.core.verification.lexicon.word_ranks import load_lexicon
from proxy.engines import registry
from proxy.engines.coalescing.redis import RedisLeases
from proxy.engines.compressors.pool import PoolCompressor
from proxy.engines.conversations.redis import RedisConversationStore
from proxy.engines.exact.invalidations import KeyInvalidations
from proxy.engines.exact.redis import RedisExactCache
from proxy.engines.inference.exported_models import WORD_VECTORS_FILE
from proxy.engines.providers.http import HttpUpstream
from proxy.pipeline.toolbox import Toolbox
from proxy.runtime.cache_sweeper import CacheSweeper
from proxy.runtime.config_source import DatabaseConfigSource
from proxy.runtime.error_budget_sync import ErrorBudgetSync
from proxy.runtime.observers import select_observers
from proxy.runtime.semantic_indexes import (
    open_embedder,
    open_semantic_caches,
    open_verifier,
    open_word_index,
)
from proxy.runtime.watchdog import Watchdog
from proxy.runtime.worker_loops import WorkerLoop, build_loops
from proxy.runtime.worker_metrics import InFlight, WorkerMetrics
from proxy.sealer import get_sealer
from stats.database import build_conninfo
from stats.ledger.flusher import Flusher
from stats.ledger.spool import Spool
from stats.monitoring import health
from stats.quality import cohorts

if TYPE_CHECKING:
    from proxy.runtime.otel import Tracing

log = logging.getLogger("tokenthrift.proxy")
MAX_CANCEL_ROUNDS = 5  # a second each
MAX_SETTLE_SECONDS = 5.0


@dataclass(slots=True)
class Worker:
    """A worker's tools and what runs behind them until the server stops."""

    tools: Toolbox
    config_source: DatabaseConfigSource
    flusher: Flusher
    error_budget_sync: ErrorBudgetSync
    in_flight: InFlight = field(default_factory=InFlight)
    metrics: WorkerMetrics | None = None
    watchdog: Watchdog | None = None
    tracing: "Tracing | None" = None
    loops: list[WorkerLoop] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def close(self) -> None:
        """Stop the tasks, flush the ledger, close every connection."""
        await self._wait_for_requests()
        await self.tools.background_tasks.close()
        await _cancel_tasks(self.tasks)
        await self.flusher.close()
        tools = self.tools
        closing = [
            tools.exact_cache.close(),
            tools.embedder.close(),
            tools.compressor.close(),
            tools.conversations.close(),
            tools.upstream.close(),
        ]
        closing += [tools.leases.close()] if tools.leases else []
        closing += [tools.verifier.close()] if tools.verifier else []
        closing += [tools.chat_verifier.close()] if tools.chat_verifier else []
        closing += [self.tracing.close()] if self.tracing else []
        closing += [backend.close() for backend in tools.list_semantic_caches()]
        closing += [tools.word_index.embedder.close()] if tools.word_index else []
        for outcome in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.warning("a tool did not close: %s", type(outcome).__name__)
        self.config_source.close()
        self.error_budget_sync.close()
        if self.metrics is not None:
            self.metrics.close()
        if self.watchdog is not None:
            self.watchdog.close()
        cohorts.set_cohort_function(None)
        bridge.attach_bridge(None)

    async def _wait_for_requests(self) -> None:
        """Wait for cancelled requests to write their records, before the ledger is closed."""
        ends = time.monotonic() + MAX_SETTLE_SECONDS
        while self.in_flight.request_count and time.monotonic() < ends:  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0.02)


async def _cancel_tasks(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks repeatedly until they end, for some seconds."""
    pending = {task for task in tasks if not task.done()}
    # Once is not enough: a library may swallow a cancellation that arrives together with what it
    # waited for.
    for _ in range(MAX_CANCEL_ROUNDS):
        for task in pending:
            task.cancel()
        if pending:
            _, pending = await asyncio.wait(pending, timeout=1.0)
    if pending:
        log.warning("left behind at the end: %s", ", ".join(task.get_name() for task in pending))


async def start_worker() -> Worker:
    """Create a worker; unavailable services are detected per request, not here."""
    source, spool = (
        DatabaseConfigSource(),
        Spool(
            conf.spool_folder, disk_bytes=conf.max_spool_bytes, memory_bytes=conf.spool_memory_bytes
        ),
    )
    flusher = Flusher(spool)
    embedder = open_embedder()
    verifier = open_verifier(embedder)
    chat_verifier: ChatVerifier = registry.load_engine(registry.CHAT_VERIFIERS["alignment"])(
        conf.models_folder
    )
    recent, flights = LocalCache(conf.exact_memory_bytes), FlightRegistry()
    timeout = conf.limits.cache_seconds
    leases = RedisLeases(
        conf.exact_redis_url,
        flights,
        sealer=get_sealer(),
        prefix=conf.exact_key_prefix,
        timeout=timeout,
    )
    changes = KeyInvalidations(
        conf.exact_redis_url, recent, prefix=conf.exact_key_prefix, timeout=timeout
    )
    compressor = PoolCompressor(
        workers=conf.compressor_processes,
        deadline=conf.compression_timeout_seconds,
        words=conf.models_folder / WORD_VECTORS_FILE,
    )
    tracing = open_tracing()
    tools = Toolbox(
        config_source=source,
        exact_cache=RedisExactCache(
            conf.exact_redis_url, prefix=conf.exact_key_prefix, timeout=timeout
        ),
        semantic_caches=open_semantic_caches(embedder),
        sealer=get_sealer(),
        embedder=embedder,
        word_index=open_word_index(embedder),
        foreign_languages=conf.foreign_languages,
        compressor=compressor,
        conversations=RedisConversationStore(
            conf.exact_redis_url, sealer=get_sealer(), prefix=conf.exact_key_prefix, timeout=timeout
        ),
        upstream=HttpUpstream(
            body_limit=conf.limits.max_upstream_bytes,
            environment_proxies=conf.environment_proxies,
        ),
        ledger=spool,
        limits=conf.limits,
        verifier=verifier,
        chat_verifier=chat_verifier,
        local_cache=recent,
        flights=flights,
        leases=leases,
        observers=select_observers(tracing),
    )
    # Loading the tokenizer and the word lists takes 0.3 s, which should delay no request.
    await asyncio.to_thread(count_text, "warm", find_encoding("")[0])
    await asyncio.to_thread(load_lexicon)
    with contextlib.suppress(Exception):  # the polling task logs it and tries again
        async with asyncio.timeout(5):
            await source.refresh_config()
    keeper = ErrorBudgetSync(tools.error_budgets, source, tools.scorer_id)
    running = Worker(tools, source, flusher, keeper, tracing=tracing)
    cohorts.set_cohort_function(lambda cache: derive_cohort(cache, tools.scorer_id))
    bridge.attach_bridge(bridge.LoopBridge(asyncio.get_running_loop(), tools))
    health.attach_gateway(
        health.GatewayProbes(
            loaded=lambda: source.config.revision > 0,
            lag=lambda: flusher.lag_seconds,
            off=lambda: keeper.off_plan_count,
            age=lambda: source.age_seconds,
            failing=lambda: {name: breaker.is_tripped for name, breaker in tools.breakers.items()},
        )
    )
    running.metrics = WorkerMetrics(
        tools, running.in_flight, source, restarts=lambda: compressor.restart_count
    )
    running.metrics.report_build(conf.gateway_version)
    running.loops = build_loops(
        tools=tools,
        configuration=source,
        ledger=flusher,
        budgets=keeper,
        measures=running.metrics,
        entries=CacheSweeper(tools, build_conninfo()),
        flights=leases,
        changes=changes if conf.exact_memory_bytes else None,
    )
    running.tasks = [asyncio.create_task(_run_loop(loop), name=loop.name) for loop in running.loops]
    running.tasks += [
        asyncio.create_task(compressor.warm_workers()),
        asyncio.create_task(_warm_models(embedder, verifier, chat_verifier)),
    ]
    # What was loaded so far lives as long as the worker: exclude it from garbage collection.
    gc.collect()
    gc.freeze()
    running.watchdog = Watchdog()
    return running


def open_tracing() -> "Tracing | None":
    """Return the tracing; None, with nothing loaded, if no collector is configured."""
    if not conf.is_tracing_enabled:
        return None
    from proxy.runtime.otel import Tracing

    return Tracing(conf.otlp_endpoint, conf.gateway_version)


async def _warm_models(embedder: Embedder, verifier: Verifier, chat_verifier: ChatVerifier) -> None:
    """Load the models before the first request needs them."""
    try:
        await embedder.embed("warm")
    except ToolUnavailable as error:
        log.warning("the semantic tier is off: %s", error.reason)
    try:
        await verifier.score_questions("warm", ["cold"])
    except ToolUnavailable as error:
        log.warning("near questions are not served where plans verify: %s", error.reason)
    try:
        await chat_verifier.read_chat([{"role": "user", "content": "warm"}])
    except ToolUnavailable as error:
        log.warning("reworded chats are not served where plans verify: %s", error.reason)


async def _run_loop(loop: WorkerLoop) -> None:
    await loop.run()
