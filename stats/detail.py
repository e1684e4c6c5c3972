"""Of each part the gateway works with: its state, since when, and what it means for requests. For operators, not for the public."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

BEHIND = 30.0  # seconds
OLD = 10.0
FINE: Final = "Nothing: it works."
# What it means for requests when a part is not well. Tools go by the names of their breakers.
MEANS: Final = {
    "configuration": "Requests are served by the last plans, keys and routes known; before any was read, they are refused with 503.",
    "database": "Requests are served. Their records wait on disk, changes of plans and keys do not arrive, pgvector finds nothing.",
    "redis": "Requests are served. Answers are not found or kept in the exact cache, and workers do not share calls.",
    "spool": "Requests are served and counted; their records have not reached the database, so dashboard and stats are behind.",
    "semantic_tier": "Requests of these plans are answered by the exact cache or the provider, until a person turns the tier on again.",
    "embedder": "Requests are served. Nothing is found by meaning.",
    "verifier": "Requests are served. Plans that verify give only questions that read the same an answer of the semantic cache.",
    "exact": "Requests are served. The exact cache is left alone but for one try a second.",
    "chats": "Requests are served. Plans that cut when it saves do not know how a chat was sent last.",
    "flights": "Requests are served. Each worker calls the provider for itself.",
}
INDEX: Final = "Requests are served. Plans with this backend find nothing by meaning."


@dataclass(slots=True)
class Memory:
    """Since when each part is in its state, in epoch seconds, as far as this worker was asked."""

    seen: dict[str, tuple[str, float]] = field(default_factory=dict)

    def since(self, part: str, state: str) -> float:
        known = self.seen.get(part)
        if known is None or known[0] != state:
            known = self.seen[part] = (state, time.time())
        return known[1]


def parts(states: Mapping[str, str], memory: Memory) -> dict[str, dict[str, str]]:
    """Each part's state, `since` (RFC 3339) and `means`."""
    found = {}
    for part, state in states.items():
        since = datetime.fromtimestamp(memory.since(part, state), UTC).isoformat(timespec="seconds")
        found[part] = {"state": state, "since": since, "means": FINE if state in {"ok", "on"} else MEANS.get(part, INDEX)}
    return found


def configuration(age: float, *, loaded: bool) -> str:
    """In a word. `age`: seconds since it was known to be the present one."""
    if not loaded:
        return "not loaded"
    return "old" if age > OLD else "ok"


def spool(lag: float) -> str:
    """In a word. `lag` in seconds."""
    return "behind" if lag > BEHIND else "ok"
