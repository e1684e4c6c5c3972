"""Whether this process lives, can serve, and what it has to do without. Nothing here says more than a word about a failure."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import psycopg
import redis.asyncio as redis
from django.conf import settings

from stats import database, detail

PROBE_DEADLINE = 0.7
KEEP_SECONDS = 1.0  # the probes are open to anyone: they must not be a way to open connections without end


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the request path says of itself: whether its configuration is loaded, the spool's lag in seconds, and how many plans have their
    semantic tier off for their error budgets; how long ago its configuration was known to be the present one, in seconds, and of each tool
    that was asked so far whether it keeps failing."""

    loaded: Callable[[], bool]
    lag: Callable[[], float]
    off: Callable[[], int] = lambda: 0
    age: Callable[[], float] = lambda: 0.0
    failing: Callable[[], dict[str, bool]] = dict


@dataclass(slots=True)
class _State:
    gateway: Gateway | None = None
    services: tuple[float, dict[str, str]] = (-KEEP_SECONDS, {})
    memory: detail.Memory = field(default_factory=detail.Memory)


_state = _State()


def attach(gateway: Gateway | None) -> None:
    """Called once by whoever starts the request path in this process."""
    _state.gateway = gateway


def ready() -> bool:
    """Whether requests can be served. Asks nobody."""
    return _state.gateway is not None and _state.gateway.loaded()


async def details() -> dict[str, object]:
    """Every part with its state, since when this worker sees it in that state, and what it means for requests."""
    gateway = _state.gateway or Gateway(loaded=lambda: False, lag=lambda: 0.0)
    off = gateway.off()
    states = {
        "configuration": detail.configuration(gateway.age(), loaded=gateway.loaded()),
        **await _services(),
        "spool": detail.spool(gateway.lag()),
        "semantic_tier": f"off for {off}" if off else "on",
        **{tool: "failing" if fails else "ok" for tool, fails in sorted(gateway.failing().items())},
    }
    ages = {"spool_lag_seconds": round(gateway.lag(), 1), "configuration_age_seconds": round(gateway.age(), 1)}
    return {"status": "ready" if ready() else "not ready", "parts": detail.parts(states, _state.memory), **ages}


async def report() -> tuple[bool, dict[str, object]]:
    """Whether requests can be served, and the state of every part. A service that is away does not make the gateway unready."""
    gateway = _state.gateway
    loaded = ready()
    lag = None if gateway is None else round(gateway.lag(), 1)
    off = gateway.off() if gateway else 0
    return loaded, {
        "status": "ready" if loaded else "not ready",
        "configuration": "loaded" if loaded else "not loaded",
        **await _services(),
        "spool_lag_seconds": lag,
        "semantic_tier": f"off for {off} plan{'s' * (off > 1)}" if off else "on",
    }


async def _services() -> dict[str, str]:
    at, known = _state.services
    if time.monotonic() - at >= KEEP_SECONDS:
        states = await asyncio.gather(_probe(_database()), _probe(_redis()))
        known = dict(zip(("database", "redis"), states, strict=True))
        _state.services = (time.monotonic(), known)
    return known


async def _probe(work: Awaitable[object]) -> str:
    try:
        async with asyncio.timeout(PROBE_DEADLINE):
            await work
    except TimeoutError:
        return "slow"
    except (OSError, psycopg.Error, redis.RedisError):
        return "unreachable"
    return "ok"


async def _database() -> None:
    conn = await database.connect(database.conninfo(), seconds=PROBE_DEADLINE)
    try:
        with database.deadline(conn, PROBE_DEADLINE / 2):
            await conn.execute("SELECT 1")
    finally:
        conn.pgconn.finish()


async def _redis() -> None:
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=PROBE_DEADLINE, socket_connect_timeout=PROBE_DEADLINE)
    try:
        await client.ping()
    finally:
        await client.aclose(close_connection_pool=True)
