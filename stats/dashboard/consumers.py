"""/dashboard/live: a WebSocket that announces new figures to users who may see the dashboard.

It sends a number and no figures, see `stats.live`. It is closed on logout, or when the permission
ends.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final

import orjson
from asgiref.sync import async_to_sync
from channels.auth import AuthMiddlewareStack, get_user
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth.signals import user_logged_out
from django.contrib.sessions.backends.base import SessionBase
from django.db import DatabaseError
from django.dispatch import receiver
from redis import RedisError

from stats import live
from stats.dashboard.permissions import can_view_dashboard
from stats.dashboard.socket_origin import require_own_origin

# Seconds until a missed message or a revoked permission is noticed.
HEARTBEAT_SECONDS: Final = 10.0
CLOSE_TRY_LATER, CLOSE_ACCESS_ENDED = 1013, 4401
Message = MutableMapping[str, Any]


class DashboardConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
    """Sends `{"number": n}` on connecting, with every announcement and with every heartbeat."""

    heartbeat_task: "asyncio.Task[None] | None" = None

    async def connect(self) -> None:
        if not await self._can_view_dashboard():
            await self.close()  # before it was accepted: 403
            return
        await self.channel_layer.group_add(live.DASHBOARD_GROUP, self.channel_name)
        await self.channel_layer.group_add(
            _build_session_group(self.scope["session"]), self.channel_name
        )
        first = await live.count_announcements()
        await self.accept()
        await self._send_number(first)
        self.heartbeat_task = asyncio.create_task(self._send_heartbeats())

    async def disconnect(self, code: int) -> None:
        if self.heartbeat_task is not None:
            self.heartbeat_task.cancel()
        for group in (live.DASHBOARD_GROUP, _build_session_group(self.scope["session"])):
            with suppress(RedisError, OSError):
                await self.channel_layer.group_discard(group, self.channel_name)

    async def moved(self, message: Message) -> None:
        await self._send_number(message["number"])

    async def ended(self, message: Message) -> None:
        await self.close(CLOSE_ACCESS_ENDED)

    async def _send_heartbeats(self) -> None:
        """Send heartbeats until cancelled or until the socket is closed."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            try:
                allowed, number = await self._can_view_dashboard(), await live.count_announcements()
            except (DatabaseError, RedisError, OSError):
                await self.close(CLOSE_TRY_LATER)
                return
            if not allowed:
                await self.close(CLOSE_ACCESS_ENDED)
                return
            await self._send_number(number)

    async def _can_view_dashboard(self) -> bool:
        """Whether the user may still see the dashboard."""
        # Checked anew: the session may have ended, the account or its permissions may be gone.
        session = self.scope["session"]
        user = await get_user({"session": type(session._wrapped)(session.session_key)})
        return bool(await database_sync_to_async(can_view_dashboard)(user))

    async def _send_number(self, number: int) -> None:
        await self.send(text_data=orjson.dumps({"number": number}).decode())


def _build_session_group(session: SessionBase) -> str:
    """Build a group name that does not reveal the session's key."""
    return f"session.{hashlib.sha256((session.session_key or '').encode()).hexdigest()[:32]}"


@receiver(user_logged_out)
def close_sockets(request: Any, **_: Any) -> None:
    """Close the sockets of the session that ends."""
    async_to_sync(live.send_to_group)(_build_session_group(request.session), type="ended")


_own_origin_application = require_own_origin(AuthMiddlewareStack(DashboardConsumer.as_asgi()))


async def dashboard_socket(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """The ASGI application; without database or Redis it closes with 1013 (try again later)."""
    try:
        await _own_origin_application(scope, receive, send)
    except (DatabaseError, RedisError, OSError):
        await send({"type": "websocket.close", "code": CLOSE_TRY_LATER})
