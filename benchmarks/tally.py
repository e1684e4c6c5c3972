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
        self.ids.append(read_header(head, ID))
        self.tiers[read_header(head, TIER).decode()] += 1
        if SAVED in head:
            self.saved += int(read_header(head, SAVED))


def read_header(head: bytes, name: bytes) -> bytes:
    """The value of a header of the name, which ends in `: `. Raises ValueError without one."""
    start = head.index(name) + len(name)
    stop = head.find(b"\r", start)
    return head[start : stop if stop > 0 else None]
