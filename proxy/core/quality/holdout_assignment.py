"""Assign chats to the holdout, which goes without its plan, so that savings can be measured.

**The unit is a chat, not a request.** Turns of one chat depend on each other: the provider caches
its prefix, and compression's frozen blocks serve the turns to come. So the assignment depends on
what all turns share: the key, the end user (if named) and the first user message. Different
people who ask the same thing are different chats where the client names them (`user`); else they
share their assignment for a day. A chat whose beginning the client drops may change sides.

**Nobody can choose.** The digest is keyed with the instance's pepper and the plan's id: no client
can predict an assignment, and what it learns by trying is useless on another day. All workers
agree, also after a restart. A greater share holds out the same chats and more.

Pure functions.
"""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final

REPLICATE_COUNT: Final = 64
DAY_SECONDS: Final = 86_400
# Characters of the opening that count: chats that begin alike for so long share their assignment.
MAX_OPENING_LENGTH: Final = 2_000


@dataclass(frozen=True, slots=True)
class HoldoutAssignment:
    """Which side a chat is on.

    `is_held_out`: it goes without its plan. `replicate`: 0 to `REPLICATE_COUNT` - 1. `size_usd`:
    the request's size by its characters, in US dollars; known before assignment, so it shows how
    alike both sides are.
    """

    is_held_out: bool
    replicate: int
    size_usd: float = 0.0


def assign(
    opening: str, *, share: float, plan: int, key: int, user: str | None, at: float, pepper: str
) -> HoldoutAssignment:
    """Return the assignment of a chat with this opening, if `share` of all chats are held out.

    `opening`: the first user message. `at`: when the request was made, epoch seconds.
    """
    digest = blake2b(key=_derive_key(pepper), digest_size=8)
    digest.update(
        f"{plan}\0{key}\0{user if user is not None else ''}\0".encode("utf-8", "surrogatepass")
    )
    # Not the instructions before it, as many hold the time of day.
    digest.update(opening[:MAX_OPENING_LENGTH].encode("utf-8", "surrogatepass"))
    # Anew each day, or a question everybody asks over one key would always or never be held out.
    # The day begins at another time for each chat, so that no moment reassigns all of them; the few
    # chats under way then may change sides.
    begins = int.from_bytes(digest.digest()) % DAY_SECONDS
    digest.update(f"\0{int(at + begins) // DAY_SECONDS}".encode())
    drawn = digest.digest()
    # Two independent numbers: the assignment, and the replicate group
    # (`stats.analysis.holdout_estimate`).
    return HoldoutAssignment(int.from_bytes(drawn[:6]) < share * 2**48, drawn[6] % REPLICATE_COUNT)


@lru_cache(maxsize=4)
def _derive_key(pepper: str) -> bytes:
    """Derive the key of the assignment's digest from the pepper."""
    # For this use alone, so that nothing else made with the pepper reveals an assignment.
    return blake2b(pepper.encode(), digest_size=32, person=b"holdout").digest()
