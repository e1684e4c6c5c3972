"""/dashboard/live: a socket that says when there is something new,
to those who may look at the dashboard.

It carries a number and no figure, see `stats.live`. Whoever logs out, or may not look any more,
loses it.
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
from stats.dashboard.permissions import may_look
from stats.dashboard.socket_origin import guarded

# Seconds: how soon a missed message is noticed, and a permission that was taken away.
BEAT: Final = 10.0
LATER, ENDED = 1013, 4401
Message = MutableMapping[str, Any]


class Live(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
    """`{"number": n}` at the beginning, with every announcement and with every beat."""

    beating: "asyncio.Task[None] | None" = None

    async def connect(self) -> None:
        if not await self._may_look():
            await self.close()  # before it was accepted: 403
            return
        await self.channel_layer.group_add(live.GROUP, self.channel_name)
        await self.channel_layer.group_add(_session_group(self.scope["session"]), self.channel_name)
        first = await live.number()
        await self.accept()
        await self._say(first)
        self.beating = asyncio.create_task(self._beat())

    async def disconnect(self, code: int) -> None:
        if self.beating is not None:
            self.beating.cancel()
        for group in (live.GROUP, _session_group(self.scope["session"])):
            with suppress(RedisError, OSError):
                await self.channel_layer.group_discard(group, self.channel_name)

    async def moved(self, message: Message) -> None:
        await self._say(message["number"])

    async def ended(self, message: Message) -> None:
        await self.close(ENDED)

    async def _beat(self) -> None:
        """Until it is cancelled, or the socket closed for a reason."""
        while True:
            await asyncio.sleep(BEAT)
            try:
                allowed, number = await self._may_look(), await live.number()
            except (DatabaseError, RedisError, OSError):
                await self.close(LATER)
                return
            if not allowed:
                await self.close(ENDED)
                return
            await self._say(number)

    async def _may_look(self) -> bool:
        """Asked anew: the session may have ended, the account or its rights may be gone."""
        session = self.scope["session"]
        user = await get_user({"session": type(session._wrapped)(session.session_key)})
        return bool(await database_sync_to_async(may_look)(user))

    async def _say(self, number: int) -> None:
        await self.send(text_data=orjson.dumps({"number": number}).decode())


def _session_group(session: SessionBase) -> str:
    """A name that tells nobody the session's key."""
    return f"session.{hashlib.sha256((session.session_key or '').encode()).hexdigest()[:32]}"


@receiver(user_logged_out)
def close_sockets(request: Any, **_: Any) -> None:
    """Those of the session that ends."""
    async_to_sync(live.send)(_session_group(request.session), type="ended")


_guarded = guarded(AuthMiddlewareStack(Live.as_asgi()))


async def socket(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """The ASGI application. Without database or Redis it says: try again later."""
    try:
        await _guarded(scope, receive, send)
    except (DatabaseError, RedisError, OSError):
        await send({"type": "websocket.close", "code": LATER})
