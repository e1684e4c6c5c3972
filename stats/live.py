"""Tell open dashboards that there is something new, by a growing number and without figures.

Each dashboard then requests the figures with its own permissions. Without Redis nothing is sent,
and dashboards poll.
"""

import asyncio
import logging
from dataclasses import dataclass

from channels.layers import get_channel_layer
from django.conf import settings

from stats.redis_connection import open_async_redis

log = logging.getLogger(__name__)

DASHBOARD_GROUP = "dashboard"
ANNOUNCE_INTERVAL_SECONDS = 1.0  # between two messages of a worker
REDIS_TIMEOUT_SECONDS = 1.0


@dataclass(slots=True)
class _AnnounceState:
    """`needs_repeat`: something new came during the pause after the last message."""

    announce_task: "asyncio.Task[None] | None" = None
    needs_repeat: bool = False


_state = _AnnounceState()


def announce_change() -> None:
    """Announce new figures soon, at most once a second.

    Returns at once and never raises; call it in an event loop.
    """
    task = _state.announce_task
    if task is None or task.done() or task.get_loop().is_closed():
        _state.announce_task = asyncio.get_running_loop().create_task(_broadcast_changes())
    else:
        _state.needs_repeat = True


async def count_announcements(*, more: int = 0) -> int:
    """Add `more` to the number of announcements and return it.

    Raises redis.RedisError or OSError.
    """
    async with open_async_redis(settings.REDIS_URL, seconds=REDIS_TIMEOUT_SECONDS) as client:
        # In Redis, so that all workers share the number. Redis does not keep messages for clients
        # that did not listen; the number shows that one was missed.
        return int(await client.incrby(f"{settings.INSTANCE}:live", more))


async def send_to_group(group: str, **message: object) -> None:
    """Send to every socket of the group, on every worker; lost without Redis."""
    try:
        async with asyncio.timeout(REDIS_TIMEOUT_SECONDS):
            await get_channel_layer().group_send(group, message)
    except Exception as error:
        # Whatever the layer's client raises: dashboards poll meanwhile.
        log.debug("open dashboards are not told: %s", type(error).__name__)


async def _broadcast_changes() -> None:
    _state.needs_repeat = True
    while _state.needs_repeat:
        _state.needs_repeat = False
        try:
            found = await count_announcements(more=1)
        except Exception as error:  # likewise
            log.debug("open dashboards are not told: %s", type(error).__name__)
        else:
            await send_to_group(DASHBOARD_GROUP, type="moved", number=found)
        await asyncio.sleep(ANNOUNCE_INTERVAL_SECONDS)
