"""Tells open dashboards that there is something new: a number that grows, and no figure.

What it is, each asks for as who they are.

The number stands in Redis, so it is one for all workers. Redis' messages are not kept for whoever
did not listen; the number says that one was missed. Without Redis nothing is told, and dashboards
ask on their own.
"""

import asyncio
import logging
from dataclasses import dataclass

from channels.layers import get_channel_layer
from django.conf import settings
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

log = logging.getLogger(__name__)

GROUP = "dashboard"
EVERY = 1.0  # seconds between two messages of a worker
DEADLINE = 1.0


@dataclass(slots=True)
class _State:
    """`again`: something new came while the last message's pause lasted."""

    telling: "asyncio.Task[None] | None" = None
    again: bool = False


_state = _State()


def announce() -> None:
    """Say soon, and once a second at most, that there are new figures.

    Returns at once and never raises; called in an event loop.
    """
    task = _state.telling
    if task is None or task.done() or task.get_loop().is_closed():
        _state.telling = asyncio.get_running_loop().create_task(_tell())
    else:
        _state.again = True


async def number(*, more: int = 0) -> int:
    """How often something new was announced, after `more` times more.

    Raises redis.RedisError or OSError.
    """
    client = Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=DEADLINE,
        socket_connect_timeout=DEADLINE,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        return int(await client.incrby(f"{settings.INSTANCE}:live", more))
    finally:
        await client.aclose(close_connection_pool=True)


async def send(group: str, **message: object) -> None:
    """To every socket in the group, on every worker; lost without Redis."""
    try:
        async with asyncio.timeout(DEADLINE):
            await get_channel_layer().group_send(group, message)
    except Exception as error:
        # Whatever the layer's client raises: dashboards ask on their own meanwhile.
        log.debug("open dashboards are not told: %s", type(error).__name__)


async def _tell() -> None:
    _state.again = True
    while _state.again:
        _state.again = False
        try:
            found = await number(more=1)
        except Exception as error:  # likewise
            log.debug("open dashboards are not told: %s", type(error).__name__)
        else:
            await send(GROUP, type="moved", number=found)
        await asyncio.sleep(EVERY)
