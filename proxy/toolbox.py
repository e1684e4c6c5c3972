"""Where Django meets the engines: the tools of the request path, made from settings in the loop that uses them."""

import asyncio
import contextlib
import gc
import logging
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, InterfaceError

from proxy import bridge, previews
from proxy.conf import conf
from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Embedder, SemanticCache, Toolbox
from proxy.core.recent import Recent
from proxy.core.tokens import count_text, encoding_for
from proxy.engines import catalogue
from proxy.engines.chats.redis import RedisChats
from proxy.engines.compressors.pool import PoolCompressor
from proxy.engines.embedders.onnx import WORDS
from proxy.engines.exact.changes import Changes
from proxy.engines.exact.redis import RedisCache
from proxy.engines.upstreams.http import HttpUpstream
from proxy.source import DatabaseSource
from proxy.wrongs import forget_expired
from stats import health
from stats.database import conninfo
from stats.flusher import Flusher
from stats.spool import Spool

log = logging.getLogger("tokenthrift.proxy")
PURGE_SECONDS = 60.0
SWEEP_SECONDS = 5.0
SWEEPER = ThreadPoolExecutor(1, thread_name_prefix="sweeper")  # a database that hangs holds up this thread and nothing else


@dataclass(slots=True)
class Running:
    """The tools and what works behind them until the server stops."""

    tools: Toolbox
    source: DatabaseSource
    flusher: Flusher
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def close(self) -> None:
        """Stop the tasks, flush the ledger, close every connection."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.flusher.close()
        tools = self.tools
        closing = [tools.exact.close(), tools.embedder.close(), tools.compressor.close(), tools.chats.close(), tools.upstream.close()]
        closing += [backend.close() for backend in tools.semantic.values()]
        for outcome in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.warning("a tool did not close: %s", type(outcome).__name__)
        self.source.close()
        previews.attach(None)
        bridge.attach(None)


async def open_toolbox() -> Running:
    """Make the tools. Nothing here needs a service to be up: what is down is found out, and done without, request by request."""
    source, spool = DatabaseSource(), Spool(conf.spool)
    flusher = Flusher(spool)
    embedder = open_embedder()
    recent = Recent(conf.exact_memory)
    timeout = conf.limits.cache_budget
    changes = Changes(conf.exact_url, recent, prefix=conf.exact_prefix, timeout=timeout)
    compressor = PoolCompressor(workers=conf.compressors, deadline=conf.compression_deadline, words=conf.models / WORDS)
    tools = Toolbox(
        source=source,
        exact=RedisCache(conf.exact_url, prefix=conf.exact_prefix, timeout=timeout),
        semantic=_semantic(embedder),
        embedder=embedder,
        compressor=compressor,
        chats=RedisChats(conf.exact_url, prefix=conf.exact_prefix, timeout=timeout),
        upstream=HttpUpstream(body_limit=conf.limits.upstream_bytes),
        ledger=spool,
        limits=conf.limits,
        recent=recent,
    )
    # Loading the tokenizer takes 0.1 s, which no request should wait for, nor those beside it.
    await asyncio.to_thread(count_text, "warm", encoding_for("")[0])
    with contextlib.suppress(Exception):  # `run` logs it and tries again
        await asyncio.wait_for(source.refresh(), 5)
    running = Running(tools, source, flusher)
    previews.attach(previews.Bench(asyncio.get_running_loop(), compressor))
    bridge.attach(bridge.Bridge(asyncio.get_running_loop(), tools))
    health.attach(health.Gateway(loaded=lambda: source.directory.revision > 0, lag=lambda: flusher.lag))
    background: list[Coroutine[Any, Any, None]] = [source.run(), source.listen(), flusher.run()]
    background += [compressor.warm(), _warm(embedder), _purge(tools)]
    if conf.exact_memory:
        background.append(changes.run())
    running.tasks = [asyncio.create_task(work) for work in background]
    # What was loaded until here lives as long as the worker: the garbage collector need not look at it again with every request.
    gc.collect()
    gc.freeze()
    return running


def open_embedder() -> Embedder:
    """The embedder of the settings: our exported MiniLM, or any sentence-transformers model by name."""
    if conf.embedder == "minilm":
        made: Embedder = catalogue.load(catalogue.EMBEDDERS["minilm"])(conf.models)
    else:
        made = catalogue.load(catalogue.EMBEDDERS["sentence_transformers"])(conf.embedder)
    return made


def _semantic(embedder: Embedder) -> dict[str, SemanticCache]:
    timeout = conf.limits.cache_budget
    postgres, redis = (catalogue.load(catalogue.SEMANTIC[name]) for name in ("pgvector_semantic", "redis_semantic"))
    return {
        "pgvector_semantic": postgres(conninfo(), embedder.id, embedder.dimension, timeout=timeout),
        "redis_semantic": redis(conf.semantic_url, embedder.id, embedder.dimension, prefix=conf.instance, timeout=timeout),
    }


async def _warm(embedder: Embedder) -> None:
    """The first request should not pay for loading the model."""
    try:
        await embedder.embed("warm")
    except ToolUnavailable as error:
        log.warning("the semantic tier is off: %s", error.reason)


async def _purge(tools: Toolbox) -> None:
    """Remove expired semantic entries now and then, evicted ones too; a backend that is down is tried again next time."""
    while True:
        await asyncio.sleep(PURGE_SECONDS)
        for backend in tools.semantic.values():
            with contextlib.suppress(ToolUnavailable):
                await backend.purge()
        with contextlib.suppress(DatabaseError, InterfaceError, TimeoutError):
            await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(SWEEPER, forget_expired), SWEEP_SECONDS)
