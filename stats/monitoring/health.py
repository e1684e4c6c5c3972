"""The health of the gateway and its services, and the impact of a part that fails."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import psycopg
from django.conf import settings
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeout

from stats import database
from stats.redis_connection import open_async_redis

# For each part: its state, since when, and what it means for requests. For operators, not for the
# public.

MAX_SPOOL_LAG_SECONDS = 30.0  # seconds
MAX_CONFIG_AGE_SECONDS = 10.0
NO_IMPACT: Final = "Nothing: it works."
# The impact on requests if a part is not well. Tools go by the names of their breakers.
IMPACT: Final = {
    "configuration": (
        "Requests are served by the last plans, keys and routes known; before any was read, they "
        "are refused with 503."
    ),
    "database": (
        "Requests are served. Their records wait on disk, changes of plans and keys do not "
        "arrive, pgvector finds nothing."
    ),
    "redis": (
        "Requests are served. Answers are not found or kept in the exact cache, and workers "
        "do not share calls."
    ),
    "spool": (
        "Requests are served and counted; their records have not reached the database, so "
        "dashboard and stats are behind."
    ),
    "semantic_tier": (
        "Requests of these plans are answered by the exact cache or the provider, until a person "
        "turns the tier on again."
    ),
    "embedder": "Requests are served. Nothing is found by meaning.",
    "verifier": (
        "Requests are served. Plans that verify give only questions that read the same an answer "
        "of the semantic cache."
    ),
    "exact": "Requests are served. The exact cache is left alone but for one try a second.",
    "chats": (
        "Requests are served. Plans that cut when it saves do not know how a chat was sent last."
    ),
    "flights": "Requests are served. Each worker calls the provider for itself.",
}
BACKEND_IMPACT: Final = "Requests are served. Plans with this backend find nothing by meaning."


@dataclass(slots=True)
class StateHistory:
    """Since when each part is in its state, in epoch seconds, as seen by this worker."""

    last_changes: dict[str, tuple[str, float]] = field(default_factory=dict)

    def find_state_start(self, part: str, state: str) -> float:
        known = self.last_changes.get(part)
        if known is None or known[0] != state:
            known = self.last_changes[part] = (state, time.time())
        return known[1]


def describe_parts(states: Mapping[str, str], memory: StateHistory) -> dict[str, dict[str, str]]:
    """Describe each part's `state`, `since` (RFC 3339) and impact (`means`)."""
    found = {}
    for part, state in states.items():
        since = datetime.fromtimestamp(memory.find_state_start(part, state), UTC).isoformat(
            timespec="seconds"
        )
        found[part] = {
            "state": state,
            "since": since,
            "means": NO_IMPACT if state in {"ok", "on"} else IMPACT.get(part, BACKEND_IMPACT),
        }
    return found


def classify_config_age(age: float, *, loaded: bool) -> str:
    """Classify the configuration by `age`, the seconds since it was known to be current."""
    if not loaded:
        return "not loaded"
    return "old" if age > MAX_CONFIG_AGE_SECONDS else "ok"


def classify_spool_lag(lag: float) -> str:
    """Classify the spool's lag in seconds."""
    return "behind" if lag > MAX_SPOOL_LAG_SECONDS else "ok"


# Whether this process is alive, can serve, and what it must do without. Nothing here reveals more
# than a word about a failure.

PROBE_TIMEOUT_SECONDS = 0.7
# The probes are public: they must not be a way to open connections without limit.
PROBE_CACHE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class GatewayProbes:
    """What the request path reports about itself.

    `loaded`: whether it has its configuration; `lag`: of the spool, in seconds; `off`: plans whose
    semantic tier is off for their error budgets; `age`: seconds since its configuration was known
    to be current; `failing`: whether each tool used so far keeps failing.
    """

    loaded: Callable[[], bool]
    lag: Callable[[], float]
    off: Callable[[], int] = lambda: 0
    age: Callable[[], float] = lambda: 0.0
    failing: Callable[[], dict[str, bool]] = dict


@dataclass(slots=True)
class _HealthState:
    gateway: GatewayProbes | None = None
    cached_services: tuple[float, dict[str, str]] = (-PROBE_CACHE_SECONDS, {})
    history: StateHistory = field(default_factory=StateHistory)


_state = _HealthState()


def attach_gateway(gateway: GatewayProbes | None) -> None:
    """Set the probes; called once by the code that starts the request path in this process."""
    _state.gateway = gateway


def is_ready() -> bool:
    """Whether requests can be served, without asking any service."""
    return _state.gateway is not None and _state.gateway.loaded()


async def build_detailed_report() -> dict[str, object]:
    """Report every part's state, since when this worker sees it, and its impact on requests."""
    gateway = _state.gateway or GatewayProbes(loaded=lambda: False, lag=lambda: 0.0)
    off = gateway.off()
    states = {
        "configuration": classify_config_age(gateway.age(), loaded=gateway.loaded()),
        **await _check_services(),
        "spool": classify_spool_lag(gateway.lag()),
        "semantic_tier": f"off for {off}" if off else "on",
        **{tool: "failing" if fails else "ok" for tool, fails in sorted(gateway.failing().items())},
    }
    ages = {
        "spool_lag_seconds": round(gateway.lag(), 1),
        "configuration_age_seconds": round(gateway.age(), 1),
    }
    return {
        "status": "ready" if is_ready() else "not ready",
        "parts": describe_parts(states, _state.history),
        **ages,
    }


async def build_report() -> tuple[bool, dict[str, object]]:
    """Return whether requests can be served, and the state of every part.

    A service that is down does not make the gateway unready.
    """
    gateway = _state.gateway
    loaded = is_ready()
    lag = None if gateway is None else round(gateway.lag(), 1)
    off = gateway.off() if gateway else 0
    return loaded, {
        "status": "ready" if loaded else "not ready",
        "configuration": "loaded" if loaded else "not loaded",
        **await _check_services(),
        "spool_lag_seconds": lag,
        "semantic_tier": f"off for {off} plan{'s' * (off > 1)}" if off else "on",
    }


async def _check_services() -> dict[str, str]:
    at, known = _state.cached_services
    if time.monotonic() - at >= PROBE_CACHE_SECONDS:
        states = await asyncio.gather(_run_probe(_ping_database()), _run_probe(_ping_redis()))
        known = dict(zip(("database", "redis"), states, strict=True))
        _state.cached_services = (time.monotonic(), known)
    return known


async def _run_probe(work: Awaitable[object]) -> str:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
            await work
    except (TimeoutError, RedisTimeout):
        return "slow"
    except (OSError, psycopg.Error, RedisError):
        return "unreachable"
    return "ok"


async def _ping_database() -> None:
    conn = await database.open_connection(database.build_conninfo(), seconds=PROBE_TIMEOUT_SECONDS)
    try:
        with database.enforce_deadline(conn, PROBE_TIMEOUT_SECONDS / 2):
            await conn.execute("SELECT 1")
    finally:
        conn.pgconn.finish()


async def _ping_redis() -> None:
    async with open_async_redis(settings.REDIS_URL, seconds=PROBE_TIMEOUT_SECONDS) as client:
        await client.ping()
