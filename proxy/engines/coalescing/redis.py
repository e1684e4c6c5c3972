"""Coalescing across workers: a lease in Redis decides who calls the provider.

Messages between workers carry the answer while it arrives.

    <prefix>:flights:<key>        "<worker>:<number>:<seal>": SET NX PX, renewed while the call
                                  runs, deleted by its holder alone
    <prefix>:flights:to:<worker>  the channel on which a worker listens (`channel`)

A call without followers costs one round trip before and one after it. A follower sends `join`, and
twice a second again with the number of parts it has: so a lost message is sent again, a holder
forgets a follower that is gone, and a killed holder is noticed when its lease expires. Redis stores
no part of an answer. Leases and messages are sealed: a lease not made by a worker of ours is taken
over, such a message is ignored.
"""

import asyncio
import contextlib
import math
import secrets
from hmac import compare_digest

from proxy.core.errors import ToolUnavailable
from proxy.core.flights import Flight, FlightRegistry
from proxy.core.ports import LeaseClaim
from proxy.core.sealing import Sealer
from proxy.engines.coalescing.channel import FlightChannel
from proxy.engines.coalescing.messages import pack_message
from proxy.engines.coalescing.remote_flight import RemoteFlight
from proxy.engines.redis_client import REDIS_ERRORS, RedisFaults, open_redis

LEASE_SECONDS = 3.0  # after which another worker takes over a dead worker's call
HEARTBEAT_SECONDS = 0.5
_LEASE_MILLISECONDS = int(LEASE_SECONDS * 1000)
MAX_LEASE_BYTES = 200  # bytes
# Whether the lease was free, who holds it and for how long, and what the exact tier holds. Four
# commands instead would cost the client library twice as much.
CLAIM_SCRIPT = """
local won = redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
local held, left = redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])
return {won and 1 or 0, held, left, redis.call('GET', KEYS[2])}
"""
# A lease that Redis lost is acquired again, unless another worker was faster.
RENEW_SCRIPT = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
# A lease not made by a worker of ours is replaced, once, by the first that notices.
TAKE_OVER_SCRIPT = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'PX', "
    "ARGV[3]) return 1 end return 0"
)
RELEASE_SCRIPT = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
)


class RedisLeases:
    """The `Leases` port for the flights of one worker.

    `listen` must run, and `turn` every HEARTBEAT_SECONDS. `prefix` as in `RedisExactCache`,
    `timeout` in seconds.
    """

    def __init__(
        self,
        url: str,
        flights: FlightRegistry,
        *,
        sealer: Sealer,
        prefix: str,
        timeout: float = 0.1,
    ) -> None:
        # Callers have their own deadline; this one is for the heartbeats, and a busy event loop
        # should not mistake its own delay for Redis's.
        timeout = max(timeout, HEARTBEAT_SECONDS)
        self._entry_prefix, self._prefix = f"{prefix}:1:", f"{prefix}:flights:"
        self._worker_id, self._lease_count, self._sealer = secrets.token_hex(8), 0, sealer
        self._leases_by_flight: dict[Flight, str] = {}
        self._redis = open_redis(
            url, name="flights", connect_seconds=timeout, command_seconds=timeout
        )
        self._subscriber = open_redis(
            url, name="flights", connect_seconds=timeout, command_seconds=None
        )
        self._faults = RedisFaults("flights")
        self._channel = FlightChannel(
            self._worker_id,
            flights,
            sealer,
            prefix=f"{self._prefix}to:",
            mouth=self._redis,
            ear=self._subscriber,
            patience=LEASE_SECONDS,
        )

    async def claim_flight(self, flight: Flight) -> LeaseClaim:
        """Claim the lease in one round trip, or learn who holds it. Raises ToolUnavailable."""
        self._lease_count += 1
        mine, lock = (
            self._build_lease(flight.key, f"{self._worker_id}:{self._lease_count}"),
            self._prefix + flight.key,
        )
        self._leases_by_flight[flight] = (
            mine  # also if the reply is never read: the lease may be ours then
        )
        with self._faults:
            won, found, left, stored = await self._redis.eval(
                CLAIM_SCRIPT, 2, lock, self._entry_prefix + flight.key, mine, _LEASE_MILLISECONDS
            )
            holder = self._find_holder(flight.key, found, left)
            if not won and holder.startswith(f"{self._worker_id}:"):
                # A lease of an earlier flight of this worker that was not released yet is taken
                # over.
                won = await self._redis.set(lock, mine, px=_LEASE_MILLISECONDS)
            elif not won and not holder and found is not None:
                won = await self._redis.eval(
                    TAKE_OVER_SCRIPT, 1, lock, found, mine, _LEASE_MILLISECONDS
                )
        if not won:
            del self._leases_by_flight[flight]
            return LeaseClaim(is_ours=False, holder=holder)
        return LeaseClaim(is_ours=True, stored_value=stored)

    async def release_flight(self, flight: Flight) -> None:
        mine = self._leases_by_flight.pop(flight, None)
        if mine is None:
            return
        with self._faults:
            await self._redis.eval(RELEASE_SCRIPT, 1, self._prefix + flight.key, mine)

    async def follow_flight(self, key: str, holder: str) -> Flight:
        mirror, before = RemoteFlight(key, holder), self._channel.remote_flights.get(key)
        if before is not None:
            before.abandon()
        self._channel.remote_flights[key] = mirror
        try:
            with self._faults:
                await self._channel.send_message(
                    mirror.worker_id, "join", key, self._worker_id, 0, mirror.nonce
                )
        except ToolUnavailable:
            del self._channel.remote_flights[key]
            raise
        return mirror

    async def stop_following(self, mirror: Flight) -> None:
        if (
            not isinstance(mirror, RemoteFlight)
            or self._channel.remote_flights.get(mirror.key) is not mirror
        ):
            return
        del self._channel.remote_flights[mirror.key]
        if mirror.result is None:
            with contextlib.suppress(*REDIS_ERRORS):
                await self._channel.send_message(
                    mirror.worker_id, "quit", mirror.key, self._worker_id
                )

    async def listen(self) -> None:
        """Receive the other workers' messages, for ever."""
        with contextlib.suppress(*REDIS_ERRORS):
            await self._redis.ping()  # the first claim finds a connection
        await self._channel.listen()

    async def turn(self) -> None:
        """Renew the leases held and the flights followed. Raises redis-py's errors and OSError."""
        mirrors = list(self._channel.remote_flights.values())
        try:
            await self._renew_leases()
            for mirror in mirrors:
                await self._renew_following(mirror)
        except REDIS_ERRORS:
            for mirror in mirrors:
                mirror.record_missed_heartbeat()
            raise

    async def close(self) -> None:
        self._channel.close()
        await asyncio.gather(self._redis.aclose(), self._subscriber.aclose())

    async def _renew_leases(self) -> None:
        """Renew the leases of running flights; forget those of abandoned flights."""
        for flight, mine in list(self._leases_by_flight.items()):
            if flight.closed_at == -math.inf:
                del self._leases_by_flight[flight]
            else:
                await self._redis.eval(
                    RENEW_SCRIPT, 1, self._prefix + flight.key, mine, _LEASE_MILLISECONDS
                )

    def _build_lease(self, key: str, holder: str) -> str:
        return f"{holder}:{self._sealer.make_mark('lease', key, holder)}"

    def _find_holder(self, key: str, found: object, left: int) -> str:
        """Return the lease's holder; "" if the lease is not ours or would never expire.

        `left`: its remaining milliseconds.
        """
        if not isinstance(found, bytes):
            return ""
        text = found[:MAX_LEASE_BYTES].decode("ascii", "replace")
        sealed = compare_digest(self._build_lease(key, text.rpartition(":")[0]).encode(), found)
        if not sealed or not 0 <= left <= _LEASE_MILLISECONDS:
            self._sealer.refusals.count_refusal("flights")
            return ""
        return text

    async def _renew_following(self, mirror: RemoteFlight) -> None:
        """Renew the join with the number of parts received; if the lease is gone, count that."""
        join = pack_message(
            self._sealer,
            mirror.worker_id,
            "join",
            mirror.key,
            self._worker_id,
            len(mirror.parts),
            mirror.nonce,
        )
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.get(self._prefix + mirror.key)
            pipe.pttl(self._prefix + mirror.key)
            pipe.publish(f"{self._prefix}to:{mirror.worker_id}", join)
            holder, remaining_ms, _ = await pipe.execute()
        if holder == mirror.holder.encode() and 0 <= remaining_ms <= _LEASE_MILLISECONDS:
            mirror.record_heartbeat()
        else:
            mirror.record_missed_heartbeat()
