"""Where Django meets the engines: the tools of the request path,
made from settings in the loop that uses them."""

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
from proxy.core.ports import Embedder, SemanticCache, Verifier
from proxy.core.quality.cohort import derive_cohort
from proxy.core.tokens import count_text, find_encoding
from proxy.core.verification.lexicon.word_ranks import load_lexicon
from proxy.engines import registry
from proxy.engines.coalescing.redis import RedisLeases
from proxy.engines.compressors.pool import PoolCompressor
from proxy.engines.conversations.redis import RedisChats
from proxy.engines.embedders.onnx import WORDS
from proxy.engines.exact.invalidations import Changes
from proxy.engines.exact.redis import RedisCache
from proxy.engines.providers.http import HttpUpstream
from proxy.pipeline.toolbox import Toolbox
from proxy.preview import service
from proxy.runtime.cache_sweeper import Sweeper
from proxy.runtime.config_source import DatabaseSource
from proxy.runtime.error_budget_sync import Keeper
from proxy.runtime.observers import watchers
from proxy.runtime.watchdog import Watchdog
from proxy.runtime.worker_loops import Loop, loops_of
from proxy.runtime.worker_metrics import Pulse, Traffic
from proxy.sealer import sealer
from stats.database import conninfo
from stats.ledger.flusher import Flusher
from stats.ledger.spool import Spool
from stats.monitoring import health
from stats.quality import error_budget

if TYPE_CHECKING:
    from proxy.runtime.otel import Tracing

log = logging.getLogger("tokenthrift.proxy")
END_ROUNDS = 5  # a second each
SETTLE_SECONDS = 5.0


@dataclass(slots=True)
class Running:
    """The tools and what works behind them until the server stops."""

    tools: Toolbox
    source: DatabaseSource
    flusher: Flusher
    keeper: Keeper
    traffic: Traffic = field(default_factory=Traffic)
    pulse: Pulse | None = None
    watchdog: Watchdog | None = None
    tracing: "Tracing | None" = None
    loops: list[Loop] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def close(self) -> None:
        """Stop the tasks, flush the ledger, close every connection."""
        await self._settle()
        await self.tools.background_tasks.close()
        await _end(self.tasks)
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
        closing += [self.tracing.close()] if self.tracing else []
        closing += [backend.close() for backend in tools.semantic_caches.values()]
        for outcome in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.warning("a tool did not close: %s", type(outcome).__name__)
        self.source.close()
        self.keeper.close()
        if self.pulse is not None:
            self.pulse.close()
        if self.watchdog is not None:
            self.watchdog.close()
        error_budget.attach(None)
        service.attach(None)
        bridge.attach(None)

    async def _settle(self) -> None:
        """Let the requests that the server cancelled write what they know:
        nothing is recorded once the ledger is closed."""
        ends = time.monotonic() + SETTLE_SECONDS
        while self.traffic.now and time.monotonic() < ends:  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0.02)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel them until they end, for some seconds.

    Once is not enough: a library may swallow a cancellation that comes together with what it waited
    for.
    """
    pending = {task for task in tasks if not task.done()}
    for _ in range(END_ROUNDS):
        for task in pending:
            task.cancel()
        if pending:
            _, pending = await asyncio.wait(pending, timeout=1.0)
    if pending:
        log.warning("left behind at the end: %s", ", ".join(task.get_name() for task in pending))


async def open_toolbox() -> Running:
    """Make the tools.

    Nothing here needs a service to be up: what is down is found out, and done without, request by
    request.
    """
    source, spool = (
        DatabaseSource(),
        Spool(conf.spool, disk_bytes=conf.spool_bytes, memory_bytes=conf.spool_memory),
    )
    flusher = Flusher(spool)
    embedder = open_embedder()
    verifier: Verifier = registry.load(registry.VERIFIERS["minilm"])(conf.models)
    recent, flights = LocalCache(conf.exact_memory), FlightRegistry()
    timeout = conf.limits.cache_seconds
    leases = RedisLeases(
        conf.exact_url, flights, sealer=sealer(), prefix=conf.exact_prefix, timeout=timeout
    )
    changes = Changes(conf.exact_url, recent, prefix=conf.exact_prefix, timeout=timeout)
    compressor = PoolCompressor(
        workers=conf.compressors, deadline=conf.compression_deadline, words=conf.models / WORDS
    )
    tracing = open_tracing()
    tools = Toolbox(
        config_source=source,
        exact_cache=RedisCache(conf.exact_url, prefix=conf.exact_prefix, timeout=timeout),
        semantic_caches=open_semantic(embedder),
        sealer=sealer(),
        embedder=embedder,
        compressor=compressor,
        conversations=RedisChats(
            conf.exact_url, sealer=sealer(), prefix=conf.exact_prefix, timeout=timeout
        ),
        upstream=HttpUpstream(body_limit=conf.limits.max_upstream_bytes),
        ledger=spool,
        limits=conf.limits,
        verifier=verifier,
        local_cache=recent,
        flights=flights,
        leases=leases,
        observers=watchers(tracing),
    )
    # Loading the tokenizer and the word lists takes 0.3 s, which no request should wait for, nor
    # those beside it.
    await asyncio.to_thread(count_text, "warm", find_encoding("")[0])
    await asyncio.to_thread(load_lexicon)
    with contextlib.suppress(Exception):  # its loop logs it and tries again
        async with asyncio.timeout(5):
            await source.refresh()
    keeper = Keeper(tools.error_budgets, source, tools.scorer_id)
    running = Running(tools, source, flusher, keeper, tracing=tracing)
    error_budget.attach(lambda cache: derive_cohort(cache, tools.scorer_id))
    service.attach(service.Bench(asyncio.get_running_loop(), compressor))
    bridge.attach(bridge.Bridge(asyncio.get_running_loop(), tools))
    health.attach(
        health.Gateway(
            loaded=lambda: source.config.revision > 0,
            lag=lambda: flusher.lag,
            off=lambda: keeper.off,
            age=lambda: source.age,
            failing=lambda: {name: breaker.is_tripped for name, breaker in tools.breakers.items()},
        )
    )
    running.pulse = Pulse(tools, running.traffic, source, restarts=lambda: compressor.restarts)
    running.pulse.announce(conf.version)
    running.loops = loops_of(
        tools=tools,
        configuration=source,
        ledger=flusher,
        budgets=keeper,
        measures=running.pulse,
        entries=Sweeper(tools, conninfo()),
        flights=leases,
        changes=changes if conf.exact_memory else None,
    )
    running.tasks = [asyncio.create_task(_run(loop), name=loop.name) for loop in running.loops]
    running.tasks += [
        asyncio.create_task(compressor.warm()),
        asyncio.create_task(_warm(embedder, verifier)),
    ]
    # What was loaded until here lives as long as the worker: the garbage collector need not look at
    # it again with every request.
    gc.collect()
    gc.freeze()
    running.watchdog = Watchdog()
    return running


def open_tracing() -> "Tracing | None":
    """None, and nothing loaded for it, where no collector is configured."""
    if not conf.tracing:
        return None
    from proxy.runtime.otel import Tracing

    return Tracing(conf.otlp_endpoint, conf.version)


def open_embedder() -> Embedder:
    """The embedder of the settings: our exported MiniLM,
    or any sentence-transformers model by name."""
    if conf.embedder == "minilm":
        made: Embedder = registry.load(registry.EMBEDDERS["minilm"])(conf.models)
    else:
        made = registry.load(registry.EMBEDDERS["sentence_transformers"])(conf.embedder)
    return made


def open_semantic(embedder: Embedder, **times: float) -> dict[str, SemanticCache]:
    """Every backend that is configured.

    `times`: other deadlines than a request's, see the backends.
    """
    times = {"timeout": conf.limits.cache_seconds} | times
    postgres, redis = (
        registry.load(registry.SEMANTIC[name]) for name in ("pgvector_semantic", "redis_semantic")
    )
    made = {
        "pgvector_semantic": postgres(conninfo(), embedder.id, embedder.dimension, **times),
        "redis_semantic": redis(
            conf.semantic_url, embedder.id, embedder.dimension, prefix=conf.instance, **times
        ),
    }
    return made | _qdrant(embedder, times)


def _qdrant(embedder: Embedder, times: dict[str, float]) -> dict[str, SemanticCache]:
    """Its client, 47 MB of memory, is loaded only where a server is configured."""
    url, api_key = conf.qdrant
    if not url:
        return {}
    try:
        made = registry.load(registry.SEMANTIC["qdrant_semantic"])
        return {
            "qdrant_semantic": made.on(
                url, api_key, embedder.id, embedder.dimension, prefix=conf.instance, **times
            )
        }
    except (ImportError, ValueError) as error:  # not installed; an address that is none
        log.warning("QDRANT_URL is set, and qdrant_semantic is off: %s", error)
        return {}


async def _warm(embedder: Embedder, verifier: Verifier) -> None:
    """The first request should not pay for loading the models."""
    try:
        await embedder.embed("warm")
    except ToolUnavailable as error:
        log.warning("the semantic tier is off: %s", error.reason)
    try:
        await verifier.score_questions("warm", ["cold"])
    except ToolUnavailable as error:
        log.warning("near questions are not served where plans verify: %s", error.reason)


async def _run(loop: Loop) -> None:
    await loop.run()
