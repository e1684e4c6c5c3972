"""Broadcast flights between workers over Redis Pub/Sub, one channel per worker."""

import asyncio
import logging
from typing import Any

from redis.asyncio import Redis

from proxy.core.errors import GatewayError
from proxy.core.flights import Flight, FlightRegistry
from proxy.core.sealing import Sealer
from proxy.engines.coalescing.messages import (
    BadMessage,
    encode_result,
    pack_message,
    unpack_message,
)
from proxy.engines.coalescing.remote_flight import RemoteFlight
from proxy.engines.redis_client import REDIS_ERRORS

log = logging.getLogger("tokenthrift.proxy")
MAX_SILENCE_SECONDS = 1.0  # without a message, until Redis is pinged
RETRY_DELAY_SECONDS = 0.5


class FlightChannel:
    """Sends and receives the messages of one worker.

    `patience`: seconds after which sending to a follower stops unless it has renewed its join.
    """

    def __init__(
        self,
        worker: str,
        flights: FlightRegistry,
        sealer: Sealer,
        *,
        prefix: str,
        mouth: "Redis",
        ear: "Redis",
        patience: float,
    ) -> None:
        self._sealer = sealer
        self.remote_flights: dict[str, RemoteFlight] = {}
        self._worker_id, self._flights, self._channel_prefix, self._follower_timeout_seconds = (
            worker,
            flights,
            prefix,
            patience,
        )
        self._publisher, self._subscriber = mouth, ear
        self._send_tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def send_message(self, to: str, *words: Any) -> None:
        """Send a message to a worker. Raises redis-py's errors and OSError."""
        await self._publisher.publish(
            self._channel_prefix + to, pack_message(self._sealer, to, *words)
        )

    async def listen(self) -> None:
        """Receive messages for ever; reconnect after an error."""
        while True:
            try:
                async with self._subscriber.pubsub() as channel:
                    await channel.subscribe(self._channel_prefix + self._worker_id)
                    while True:
                        message = await channel.get_message(
                            ignore_subscribe_messages=True, timeout=MAX_SILENCE_SECONDS
                        )
                        if message is None:
                            await channel.ping()
                        elif message["type"] == "message":
                            self._handle_message(message["data"])
            except REDIS_ERRORS:
                for mirror in list(self.remote_flights.values()):
                    mirror.record_missed_heartbeat()
                await asyncio.sleep(RETRY_DELAY_SECONDS)

    def close(self) -> None:
        for task in self._send_tasks.values():
            task.cancel()

    def _handle_message(self, data: Any) -> None:
        try:
            kind, key, *rest = unpack_message(self._sealer, self._worker_id, data)
            if kind in ("join", "quit"):
                self._handle_follower(kind, key, *rest)
            elif (mirror := self.remote_flights.get(key)) is not None:
                _update_remote_flight(mirror, kind, *rest)
        except (BadMessage, TypeError) as error:
            log.debug("a message about a flight was not understood: %s", type(error).__name__)

    def _handle_follower(
        self, kind: str, key: str, who: str, begin: int = 0, nonce: str = ""
    ) -> None:
        """Add or remove a remote follower; one that joins again is resent all from part `begin`."""
        before = self._send_tasks.pop((key, who), None)
        flight = self._flights.get(key)
        if kind == "join":
            if flight is not None:
                # A remote follower counts as a member for as long as it follows.
                flight.followers += 1
            self._send_tasks[key, who] = task = asyncio.create_task(
                self._send_flight(flight, key, who, begin, nonce)
            )
            task.add_done_callback(lambda done: self._end_sending(flight, key, who, done))
        if before is not None:
            before.cancel()

    def _end_sending(
        self, flight: Flight | None, key: str, who: str, task: "asyncio.Task[None]"
    ) -> None:
        if flight is not None:
            flight.remove_follower()
        if self._send_tasks.get((key, who)) is task:
            del self._send_tasks[key, who]

    async def _send_flight(
        self, flight: Flight | None, key: str, who: str, begin: int, nonce: str
    ) -> None:
        """Send everything from part `begin` to the result, while the follower renews its join."""
        try:
            if flight is None:
                await self.send_message(who, "gone", key, nonce)
                return
            async with asyncio.timeout(self._follower_timeout_seconds):
                try:
                    async for parts in flight.iter_batches(begin):
                        await self.send_message(
                            who, "parts", key, nonce, begin, flight.removed_tokens, parts
                        )
                        begin += len(parts)
                except GatewayError:
                    pass  # the result carries the error
                landing = await flight.wait(live=False)
                if landing is not None:
                    await self.send_message(
                        who, "landed", key, nonce, len(flight.parts), encode_result(landing)
                    )
        except REDIS_ERRORS as error:
            log.debug("worker %s is told no more of a flight: %s", who, type(error).__name__)


def _update_remote_flight(mirror: RemoteFlight, kind: str, nonce: str, *rest: Any) -> None:
    if nonce != mirror.nonce:
        return
    if kind == "parts":
        mirror.receive_parts(*rest)
    elif kind == "landed":
        mirror.receive_result(*rest)
    elif kind == "gone":
        mirror.abandon()
