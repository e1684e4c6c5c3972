"""Redis entries of other embedders: found by their keys,
and brought over with what is left of their time."""

import re
from collections.abc import AsyncIterator, Iterable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import WatchError

from proxy.core.ports import OutdatedEntry

OUTDATED_FIELDS = ("plan_id", "question", "envelope")
KEYS_PER_SCAN = 1000  # keys that Redis looks at in one turn


class KeyFamily:
    """The keys of one installation, `prefix:semantic:<embedder>:<dimension>:<entry>`."""

    def __init__(self, prefix: str) -> None:
        start = f"{prefix}:semantic:"
        self.key_glob = re.sub(r"([*?\[\]\\^-])", r"\\\1", start) + "*"
        # An embedder's part holds no colon: the keys of an installation called `<prefix>:semantic`
        # are not taken for ours.
        self._key_pattern = re.compile(
            rf"({re.escape(start)}[A-Za-z0-9._-]+-[0-9a-f]{{8}}:\d+):(.+)", re.DOTALL
        )

    def split_key(self, key: bytes) -> tuple[str, str] | None:
        """Index and entry id; None for a key of somebody else."""
        found = self._key_pattern.fullmatch(key.decode("utf-8", "replace"))
        return (found[1], found[2]) if found else None

    def select_indexes(self, known: Iterable[bytes]) -> set[str]:
        """Those of this installation, of every embedder."""
        return {parts[0] for name in known if (parts := self.split_key(name + b":any"))}


async def iter_outdated_pages(
    redis: Redis, family: KeyFamily, own: str
) -> AsyncIterator[list[OutdatedEntry]]:
    """The entries outside the index `own`, as Redis comes across them; one may come twice."""
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
    """None for what we did not write."""
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
    """The hash `old` as `new` with that vector, all or nothing;
    where `new` is there, it is the newer one and only `old` goes."""
    async with redis.pipeline(transaction=True) as pipe:
        try:
            await pipe.watch(old, new)
            fields: Any = await pipe.hgetall(old)
            taken = await pipe.exists(new)
            pipe.multi()  # type: ignore[no-untyped-call]  # redis-py
            if fields and not taken:
                pipe.hset(new, mapping={**fields, b"vector": vector})
                pipe.pexpireat(new, int(float(fields[b"expires"]) * 1000))
            pipe.delete(old)
            await pipe.execute()
        except WatchError:
            await move_hash(redis, old, new, vector)
