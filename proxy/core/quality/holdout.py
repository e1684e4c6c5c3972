"""By lot: which requests go without their plan, so that what it saves is measured against them.

Pure.

**What is drawn is a chat, not a request.** Turns of one chat hang together: the provider remembers
its prefix, and our frozen blocks are cut for the turns to come. So the lot is drawn by what all
turns of a chat have in common: the key, the end user (where the client names one) and the first
thing the user said. Instructions before it do not count, as many hold the time of day. It is drawn
anew each day: without that, a question everybody asks over one key would be paid for, or not, for
ever. The day begins at another time for each chat, so that no moment redraws all of them; the few
chats that are under way then may change sides. So may a chat whose beginning the client drops.

Different people who ask the same thing are different chats where the client names them (`user`).
Where it does not, nobody can tell them apart, and they share their lot for a day.

**Nobody chooses.** The digest is keyed with the instance's pepper and the plan's id, so no client
can tell a lot beforehand; what it learns by trying is worth nothing on another day. The same on all
workers and after a restart. A greater share holds out the same chats and more.

The bytes of one digest give two numbers that know nothing of each other: the lot, and the replicate
group (`stats.analysis.holdout`).
"""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final

REPLICATE_COUNT: Final = 64
DAY_SECONDS: Final = 86_400
# Characters of the opening: two chats that begin alike for so long share their lot.
MAX_OPENING_LENGTH: Final = 2_000


@dataclass(frozen=True, slots=True)
class HoldoutAssignment:
    """`is_held_out`: it goes without its plan; `replicate`: 0 to `REPLICATE_COUNT` - 1.

    `size_usd` of the request, US dollars by its characters: known before any lot is drawn, so it
    tells how alike the two sides are.
    """

    is_held_out: bool
    replicate: int
    size_usd: float = 0.0


def assign(
    opening: str, *, share: float, plan: int, key: int, user: str | None, at: float, pepper: str
) -> HoldoutAssignment:
    """The lot of a chat that began with this text, for a request made `at` (epoch seconds),
    when `share` of all chats are held out."""
    digest = blake2b(key=_derive_key(pepper), digest_size=8)
    digest.update(
        f"{plan}\0{key}\0{user if user is not None else ''}\0".encode("utf-8", "surrogatepass")
    )
    digest.update(opening[:MAX_OPENING_LENGTH].encode("utf-8", "surrogatepass"))
    begins = int.from_bytes(digest.digest()) % DAY_SECONDS
    digest.update(f"\0{int(at + begins) // DAY_SECONDS}".encode())
    drawn = digest.digest()
    return HoldoutAssignment(int.from_bytes(drawn[:6]) < share * 2**48, drawn[6] % REPLICATE_COUNT)


@lru_cache(maxsize=4)
def _derive_key(pepper: str) -> bytes:
    """A key of its own, so that nothing else made with the pepper says anything about a lot."""
    return blake2b(pepper.encode(), digest_size=32, person=b"holdout").digest()
