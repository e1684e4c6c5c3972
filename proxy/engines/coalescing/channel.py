"""Workers tell each other what they hear from providers, over Redis Pub/Sub:
one channel a worker."""

import asyncio
import logging
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from proxy.core.errors import GatewayError
from proxy.core.flights import Flight, FlightRegistry
from proxy.core.sealing import Sealer
from proxy.engines.coalescing.messages import BadMessage, landing_words, pack, unpack
from proxy.engines.coalescing.remote_flight import Mirror

log = logging.getLogger("tokenthrift.proxy")
FAULTS = (RedisError, OSError, TimeoutError)
SILENCE = 1.0  # seconds until Redis is asked for a sign of life
RETRY = 0.5


class Talk:
    """What this worker says and hears.

    `patience`: seconds for which a follower that says no more is told what arrives.
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
        self.mirrors: dict[str, Mirror] = {}
        self._worker, self._flights, self._prefix, self._patience = (
            worker,
            flights,
            prefix,
            patience,
        )
        self._mouth, self._ear = mouth, ear
        self._telling: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def say(self, to: str, *words: Any) -> None:
        """Send a message to a worker. Raises redis-py's and the system's faults."""
        await self._mouth.publish(self._prefix + to, pack(self._sealer, to, *words))

    async def listen(self) -> None:
        """Hear the others for ever; start again after a fault."""
        while True:
            try:
                async with self._ear.pubsub() as channel:
                    await channel.subscribe(self._prefix + self._worker)
                    while True:
                        message = await channel.get_message(
                            ignore_subscribe_messages=True, timeout=SILENCE
                        )
                        if message is None:
                            await channel.ping()
                        elif message["type"] == "message":
                            self._hear(message["data"])
            except FAULTS:
                for mirror in list(self.mirrors.values()):
                    mirror.miss()
                await asyncio.sleep(RETRY)

    def close(self) -> None:
        for task in self._telling.values():
            task.cancel()

    def _hear(self, data: Any) -> None:
        try:
            kind, key, *rest = unpack(self._sealer, self._worker, data)
            if kind in ("join", "quit"):
                self._asked(kind, key, *rest)
            elif (mirror := self.mirrors.get(key)) is not None:
                _told(mirror, kind, *rest)
        except (BadMessage, TypeError) as error:
            log.debug("a message about a flight was not understood: %s", type(error).__name__)

    def _asked(self, kind: str, key: str, who: str, begin: int = 0, nonce: str = "") -> None:
        """A follower elsewhere joins, repeats that it has come as far as part `begin`, or quits.

        While it follows it is a member.
        """
        before = self._telling.pop((key, who), None)
        flight = self._flights.get(key)
        if kind == "join":
            if flight is not None:
                flight.followers += 1
            self._telling[key, who] = task = asyncio.create_task(
                self._tell(flight, key, who, begin, nonce)
            )
            task.add_done_callback(lambda done: self._told_all(flight, key, who, done))
        if before is not None:
            before.cancel()

    def _told_all(
        self, flight: Flight | None, key: str, who: str, task: "asyncio.Task[None]"
    ) -> None:
        if flight is not None:
            flight.remove_follower()
        if self._telling.get((key, who)) is task:
            del self._telling[key, who]

    async def _tell(
        self, flight: Flight | None, key: str, who: str, begin: int, nonce: str
    ) -> None:
        """Everything from part `begin` to the landing, for as long as the follower may be there."""
        try:
            if flight is None:
                await self.say(who, "gone", key, nonce)
                return
            async with asyncio.timeout(self._patience):
                try:
                    async for parts in flight.iter_batches(begin):
                        await self.say(
                            who, "parts", key, nonce, begin, flight.removed_tokens, parts
                        )
                        begin += len(parts)
                except GatewayError:
                    pass  # the landing tells it
                landing = await flight.wait(live=False)
                if landing is not None:
                    await self.say(
                        who, "landed", key, nonce, len(flight.parts), landing_words(landing)
                    )
        except FAULTS as error:
            log.debug("worker %s is told no more of a flight: %s", who, type(error).__name__)


def _told(mirror: Mirror, kind: str, nonce: str, *rest: Any) -> None:
    if nonce != mirror.nonce:
        return
    if kind == "parts":
        mirror.hear(*rest)
    elif kind == "landed":
        mirror.come_down(*rest)
    elif kind == "gone":
        mirror.abandon()
