"""What is known of conversations, in Redis: a few bytes each, expiring after an hour.

Also two hashes of some thirty counters per tenant. All of it may be lost at any time: then the
price list and the conversation itself decide (`proxy.core.compression.break_even`).
"""

import math
import time
from dataclasses import astuple

import msgpack

from proxy.core.compression.turn_forecast import INTERVAL_STARTS, find_interval
from proxy.core.prompt_caching.conversations import ConversationHistory, LastPrompt
from proxy.core.sealing import InvalidSeal, Sealer
from proxy.engines.redis_client import RedisFaults, open_redis

# No provider promises to cache a prefix for longer without charging for it.
CONVERSATION_TTL_SECONDS = 3600
# The lengths of conversations are counted by week and remembered for two.
WEEK_SECONDS = 7 * 24 * 3600
CACHED_FIELD, REPEATED_FIELD = "cached", "repeated"
COUNTER_FIELDS = (CACHED_FIELD, REPEATED_FIELD, *map(str, INTERVAL_STARTS))
MAX_COUNTER_DIGITS = 15  # of a counter
SEAL_PURPOSE = "chats"


class RedisConversationStore:
    """Conversations by id, sealed, and their tenant's counters, under `<prefix>:chats:`.

    Redis increments the counters, so they are not sealed: they hold lengths of conversations only,
    and are believed within bounds.
    """

    def __init__(self, url: str, *, sealer: Sealer, prefix: str, timeout: float = 0.1) -> None:
        self._sealer = sealer
        self._prefix = f"{prefix}:chats:"
        self._redis = open_redis(
            url, name="chats", connect_seconds=timeout, command_seconds=timeout
        )
        self._faults = RedisFaults("chats")

    async def load(self, chat: str | None, *, tenant: int, route: int) -> ConversationHistory:
        """Load what is known of a conversation and its tenant, in one round trip.

        Raises ToolUnavailable.
        """
        week = int(time.time() // WEEK_SECONDS)
        with self._faults:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.get(f"{self._prefix}{chat}")
                for number in (week, week - 1):
                    pipe.hmget(self._build_counters_key(tenant, route, number), COUNTER_FIELDS)
                noted, *weeks = await pipe.execute()
        return _build_history(self._unpack_prompt(chat, noted) if chat and noted else None, weeks)

    async def save(
        self,
        chat: str,
        sent: LastPrompt,
        *,
        turn: int,
        tenant: int,
        route: int,
        cached: int = 0,
        repeated: int = 0,
    ) -> None:
        """Save how a turn was sent; `cached` of `repeated` prompt tokens were billed as cached.

        Raises ToolUnavailable.
        """
        figures = self._build_counters_key(tenant, route, int(sent.sent_at // WEEK_SECONDS))
        with self._faults:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.set(
                    f"{self._prefix}{chat}",
                    self._sealer.seal_value(SEAL_PURPOSE, msgpack.packb(astuple(sent)), chat),
                    ex=CONVERSATION_TTL_SECONDS,
                )
                pipe.hincrby(figures, str(find_interval(turn)), 1)
                if repeated:
                    pipe.hincrby(figures, CACHED_FIELD, cached)
                    pipe.hincrby(figures, REPEATED_FIELD, repeated)
                pipe.expire(figures, 2 * WEEK_SECONDS)
                await pipe.execute()

    async def close(self) -> None:
        await self._redis.aclose()

    def _unpack_prompt(self, chat: str, noted: bytes) -> LastPrompt | None:
        """Unseal a stored prompt; None if it was not sealed for this conversation."""
        try:
            how, at, *counts = msgpack.unpackb(
                self._sealer.unseal_value(SEAL_PURPOSE, noted, chat),
                max_array_len=8,
                max_map_len=0,
                max_ext_len=0,
            )
            sent = LastPrompt(how, at, *counts)
        except (InvalidSeal, ValueError, TypeError, msgpack.UnpackException):
            self._sealer.refusals.count_refusal(SEAL_PURPOSE)
            return None
        sound = how in ("whole", "cut") and isinstance(at, float) and math.isfinite(at)
        return (
            sent if sound and all(type(count) is int and count >= 0 for count in counts) else None
        )

    def _build_counters_key(self, tenant: int, route: int, week: int) -> str:
        return f"{self._prefix}{tenant}:{route}:{week}"


def _build_history(last: LastPrompt | None, weeks: list[list[bytes | None]]) -> ConversationHistory:
    """Build the history from what Redis holds, ignoring malformed values."""
    sums = dict.fromkeys(COUNTER_FIELDS, 0)
    for figures in weeks:
        for name, value in zip(COUNTER_FIELDS, figures, strict=True):
            # Others may have written here.
            if value is not None and len(value) <= MAX_COUNTER_DIGITS and value.isdigit():
                sums[name] += int(value)
    cached, repeated = sums.pop(CACHED_FIELD), sums.pop(REPEATED_FIELD)
    return ConversationHistory(
        last_prompt=last,
        requests_by_turn={int(name): count for name, count in sums.items() if count},
        cached_tokens=cached,
        repeated_tokens=repeated,
    )
