"""Redis clients for engines: each call ends by its deadline, without a retry."""

from collections.abc import Callable
from types import TracebackType
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import RedisError

from proxy.core.errors import ToolUnavailable

REDIS_ERRORS = (RedisError, OSError, TimeoutError)


def open_redis(
    url: str,
    *,
    name: str,
    connect_seconds: float,
    command_seconds: float | None,
    retries: int = 0,
    **options: Any,
) -> Redis:
    """Open a client that connects on demand; `options` are redis-py's.

    `command_seconds` bounds a reply; None for a subscriber, which has its own deadline. CLIENT LIST
    shows the connections as `tokenthrift-<name>`.
    """
    return Redis.from_url(
        url, **_build_options(name, connect_seconds, command_seconds, retries), **options
    )


def open_pooled_redis(
    url: str,
    *,
    name: str,
    connect_seconds: float,
    command_seconds: float,
    max_connections: int,
    database: int,
    retries: int = 0,
    **options: Any,
) -> Redis:
    """Open a client with at most `max_connections`, in `database` whatever the URL says.

    A call that finds no free connection waits `command_seconds` for one.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=command_seconds,
        **_build_options(name, connect_seconds, command_seconds, retries),
        **options,
    )
    pool.connection_kwargs["db"] = database
    return Redis.from_pool(pool)


def describe_fault(error: Exception) -> str:
    """Name the kind of fault."""
    # Alone: a message of Redis may contain keys.
    return type(error).__name__


class RedisFaults:
    """Context manager that turns faults of Redis and the network into ToolUnavailable."""

    __slots__ = ("_describe", "_tool")

    def __init__(self, tool: str, describe: Callable[[Exception], str] = describe_fault) -> None:
        self._tool, self._describe = tool, describe

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, REDIS_ERRORS):
            raise ToolUnavailable(self._tool, self._describe(error)) from error


def _build_options(
    name: str, connect_seconds: float, command_seconds: float | None, retries: int
) -> dict[str, Any]:
    # redis-py's defaults would delay a request for a minute if Redis hangs, and for seconds if it
    # is gone.
    return {
        "socket_connect_timeout": connect_seconds,
        "socket_timeout": command_seconds,
        "retry": Retry(NoBackoff(), retries),
        # Not `client_name`: if an ACL forbids CLIENT, Redis would refuse the connection.
        "driver_info": DriverInfo(name=f"redis-py(tokenthrift-{name})"),
    }
