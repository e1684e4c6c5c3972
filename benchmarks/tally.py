"""What the clients saw of the gateway, to be held against its own figures when all is over."""

from collections import Counter
from dataclasses import dataclass, field

ID, TIER, SAVED = b"x-request-id: ", b"x-tokenthrift-cache: ", b"x-tokenthrift-tokens-saved: "


@dataclass(slots=True)
class Tally:
    """Every answer's id, how many came from which tier, and the tokens they said they saved."""

    ids: list[bytes] = field(default_factory=list)
    tiers: Counter[str] = field(default_factory=Counter)
    saved: int = 0

    def note(self, head: bytes) -> None:
        """Take in one answer's head, in lower case.

        Raises ValueError when it is none of the gateway's.
        """
        self.ids.append(_value(head, ID))
        self.tiers[_value(head, TIER).decode()] += 1
        if SAVED in head:
            self.saved += int(_value(head, SAVED))


def _value(head: bytes, name: bytes) -> bytes:
    start = head.index(name) + len(name)
    stop = head.find(b"\r", start)
    return head[start : stop if stop > 0 else None]
