"""Single flight across workers: a lease in Redis says who calls,
and messages between workers carry the answer while it arrives.

    <prefix>:flights:<key>        "<worker>:<number>:<seal>": SET NX PX, renewed while the call
                                  runs, deleted by its holder alone
    <prefix>:flights:to:<worker>  the channel on which a worker hears the others (`talk`)

A call that nobody else wants costs one round trip before and one after it. A follower says `join`,
and again twice a second how far it has come: so a lost message is sent anew, a holder forgets a
follower that is gone, and a holder that was killed is found out when its lease lapses. Redis keeps
no part of an answer. Leases and messages are sealed: one that no worker of ours made is taken over,
or not heard.
"""

import asyncio
import contextlib
import math
import secrets
from hmac import compare_digest

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from proxy.core.errors import ToolUnavailable
from proxy.core.flights import Flight, FlightRegistry
from proxy.core.ports import LeaseClaim
from proxy.core.sealing import Sealer
from proxy.engines.coalescing.channel import FAULTS, Talk
from proxy.engines.coalescing.messages import pack
from proxy.engines.coalescing.remote_flight import Mirror

LEASE = 3.0  # seconds after which a dead worker's call is another's
BEAT = 0.5
_PX = int(LEASE * 1000)
MAX_LEASE = 200  # bytes
# A lease that Redis forgot is taken again, unless another worker was quicker.
RENEW = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
# A lease that is none of ours makes way, once, for the first who says so.
TAKE = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'PX', "
    "ARGV[3]) return 1 end return 0"
)
RELEASE = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
)


class RedisLeases:
    """Implements the `Leases` port for the flights of one worker,
    which listens and takes a turn every `BEAT`. `prefix` as in `RedisCache`, `timeout` in seconds.
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
        # Who asks has a deadline of its own; this is for the beats, and a busy loop should not take
        # its own delay for Redis's.
        timeout = max(timeout, BEAT)
        self._entries, self._prefix = f"{prefix}:1:", f"{prefix}:flights:"
        self._worker, self._number, self._sealer = secrets.token_hex(8), 0, sealer
        self._held: dict[Flight, str] = {}
        retry = Retry(NoBackoff(), 0)
        self._redis = Redis.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=retry
        )
        self._ear = Redis.from_url(url, socket_connect_timeout=timeout, retry=retry)
        self._talk = Talk(
            self._worker,
            flights,
            sealer,
            prefix=f"{self._prefix}to:",
            mouth=self._redis,
            ear=self._ear,
            patience=LEASE,
        )

    async def claim_flight(self, flight: Flight) -> LeaseClaim:
        """One round trip.

        A lease of an earlier flight of this worker, not yet given back, is taken over.
        """
        self._number += 1
        mine, lock = (
            self._lease(flight.key, f"{self._worker}:{self._number}"),
            self._prefix + flight.key,
        )
        self._held[flight] = mine  # also when the reply is never read: the lease may be ours then
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.set(lock, mine, nx=True, px=_PX)
                pipe.get(lock)
                pipe.pttl(lock)
                pipe.get(self._entries + flight.key)
                won, found, left, stored = await pipe.execute()
            holder = self._holder(flight.key, found, left)
            if not won and holder.startswith(f"{self._worker}:"):
                won = await self._redis.set(lock, mine, px=_PX)
            elif not won and not holder and found is not None:
                won = await self._redis.eval(TAKE, 1, lock, found, mine, _PX)
        except FAULTS as error:
            raise ToolUnavailable("flights", type(error).__name__) from error
        if not won:
            del self._held[flight]
            return LeaseClaim(is_ours=False, holder=holder)
        return LeaseClaim(is_ours=True, stored_value=stored)

    async def release_flight(self, flight: Flight) -> None:
        mine = self._held.pop(flight, None)
        if mine is None:
            return
        try:
            await self._redis.eval(RELEASE, 1, self._prefix + flight.key, mine)
        except FAULTS as error:
            raise ToolUnavailable("flights", type(error).__name__) from error

    async def follow_flight(self, key: str, holder: str) -> Flight:
        mirror, before = Mirror(key, holder), self._talk.mirrors.get(key)
        if before is not None:
            before.abandon()
        self._talk.mirrors[key] = mirror
        try:
            await self._talk.say(mirror.worker, "join", key, self._worker, 0, mirror.nonce)
        except FAULTS as error:
            del self._talk.mirrors[key]
            raise ToolUnavailable("flights", type(error).__name__) from error
        return mirror

    async def stop_following(self, mirror: Flight) -> None:
        if not isinstance(mirror, Mirror) or self._talk.mirrors.get(mirror.key) is not mirror:
            return
        del self._talk.mirrors[mirror.key]
        if mirror.result is None:
            with contextlib.suppress(*FAULTS):
                await self._talk.say(mirror.worker, "quit", mirror.key, self._worker)

    async def listen(self) -> None:
        """Hear the others, for ever."""
        with contextlib.suppress(*FAULTS):
            await self._redis.ping()  # the first claim finds a connection
        await self._talk.listen()

    async def turn(self) -> None:
        """Renew what is held and ask for what is followed.

        Raises redis-py's and the system's faults.
        """
        mirrors = list(self._talk.mirrors.values())
        try:
            await self._renew()
            for mirror in mirrors:
                await self._look_after(mirror)
        except FAULTS:
            for mirror in mirrors:
                mirror.miss()
            raise

    async def close(self) -> None:
        self._talk.close()
        await asyncio.gather(self._redis.aclose(), self._ear.aclose())

    async def _renew(self) -> None:
        """Flights that were given up with their task, so that nobody closed them,
        are renewed no more."""
        for flight, mine in list(self._held.items()):
            if flight.closed_at == -math.inf:
                del self._held[flight]
            else:
                await self._redis.eval(RENEW, 1, self._prefix + flight.key, mine, _PX)

    def _lease(self, key: str, holder: str) -> str:
        return f"{holder}:{self._sealer.make_mark('lease', key, holder)}"

    def _holder(self, key: str, found: object, left: int) -> str:
        """Who has the lease; empty for one that none of our workers took,
        or that would never lapse. `left`: its milliseconds."""
        if not isinstance(found, bytes):
            return ""
        text = found[:MAX_LEASE].decode("ascii", "replace")
        sealed = compare_digest(self._lease(key, text.rpartition(":")[0]).encode(), found)
        if not sealed or not 0 <= left <= _PX:
            self._sealer.refusals.count_refusal("flights")
            return ""
        return text

    async def _look_after(self, mirror: Mirror) -> None:
        """Say again how far it was heard; without its lease it is over."""
        join = pack(
            self._sealer,
            mirror.worker,
            "join",
            mirror.key,
            self._worker,
            len(mirror.parts),
            mirror.nonce,
        )
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.get(self._prefix + mirror.key)
            pipe.pttl(self._prefix + mirror.key)
            pipe.publish(f"{self._prefix}to:{mirror.worker}", join)
            held, left, _ = await pipe.execute()
        mirror.seen() if held == mirror.holder.encode() and 0 <= left <= _PX else mirror.miss()
