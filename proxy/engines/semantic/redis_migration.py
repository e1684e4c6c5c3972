"""Redis entries of other embedders: find them by their keys and move them, keeping their TTL."""

import re
from collections.abc import AsyncIterator, Iterable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import WatchError

from proxy.core.ports import OutdatedEntry

OUTDATED_FIELDS = ("plan_id", "question", "envelope")
MAX_MOVE_ATTEMPTS = 10  # of one entry that others write meanwhile
KEYS_PER_SCAN = 1000  # keys per SCAN


class KeyFamily:
    """The keys of one installation, `<prefix>:semantic:<embedder>:<dimension>:<entry>`."""

    def __init__(self, prefix: str) -> None:
        start = f"{prefix}:semantic:"
        self.key_glob = re.sub(r"([*?\[\]\\^-])", r"\\\1", start) + "*"
        # An embedder's part contains no colon: the keys of an installation called
        # `<prefix>:semantic` are not mistaken for ours.
        self._key_pattern = re.compile(
            rf"({re.escape(start)}[A-Za-z0-9._-]+-[0-9a-f]{{8}}:\d+):(.+)", re.DOTALL
        )

    def split_key(self, key: bytes) -> tuple[str, str] | None:
        """Split a key into index and entry id; None for a key of another installation."""
        found = self._key_pattern.fullmatch(key.decode("utf-8", "replace"))
        return (found[1], found[2]) if found else None

    def select_indexes(self, known: Iterable[bytes]) -> set[str]:
        """Select the indexes of this installation, of every embedder."""
        return {parts[0] for name in known if (parts := self.split_key(name + b":any"))}


async def iter_outdated_pages(
    redis: Redis, family: KeyFamily, own: str
) -> AsyncIterator[list[OutdatedEntry]]:
    """Iterate over the entries outside the index `own` in SCAN order; one may come twice."""
    cursor = 0
    while True:
        turn: Any = await redis.scan(cursor, match=family.key_glob, count=KEYS_PER_SCAN)
        cursor, keys = turn
        named = {key: parts for key in keys if (parts := family.split_key(key)) and parts[0] != own}
        async with redis.pipeline(transaction=False) as pipe:
            for key in named:
                pipe.hmget(key, *OUTDATED_FIELDS)
            found = await pipe.execute()
        rows = (
            _build_outdated_entry(*parts, *fields)
            for parts, fields in zip(named.values(), found, strict=True)
            if None not in fields
        )
        yield [row for row in rows if row is not None]
        if not cursor:
            return


def _build_outdated_entry(
    place: str, entry_id: str, plan_id: bytes, question: bytes, envelope: bytes
) -> OutdatedEntry | None:
    """Build the entry; None if its fields are malformed."""
    try:
        return OutdatedEntry(
            storage_location=place,
            entry_id=entry_id,
            plan_id=int(plan_id),
            question=question.decode(),
            envelope=envelope,
        )
    except ValueError:
        return None


async def move_hash(redis: Redis, old: str, new: str, vector: bytes) -> None:
    """Rename the hash `old` to `new` with that vector, atomically.

    Raises WatchError if others keep writing one of the two.
    """
    for attempt in range(1, MAX_MOVE_ATTEMPTS + 1):
        try:
            await _try_move_hash(redis, old, new, vector)
            return
        except WatchError:
            if attempt == MAX_MOVE_ATTEMPTS:
                raise


async def _try_move_hash(redis: Redis, old: str, new: str, vector: bytes) -> None:
    """Move the hash. Raises WatchError if somebody wrote one of the two meanwhile."""
    async with redis.pipeline(transaction=True) as pipe:
        await pipe.watch(old, new)
        fields: Any = await pipe.hgetall(old)
        taken = await pipe.exists(new)
        pipe.multi()  # type: ignore[no-untyped-call]  # redis-py
        # An existing `new` is the newer one: only `old` is deleted then.
        if fields and not taken:
            pipe.hset(new, mapping={**fields, b"vector": vector})
            pipe.pexpireat(new, int(float(fields[b"expires"]) * 1000))
        pipe.delete(old)
        await pipe.execute()
