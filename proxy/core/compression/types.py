"""Values that the compression hands on."""

from dataclasses import dataclass
from typing import Literal

from proxy.core.types import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What compression did. `messages` None: nothing was cut, send the original. `engine`: what ran in the end (`trim` after a
    degraded run); `note`: why it degraded or exceeded, else empty. Tokens as the provider bills the messages; `recalled` of them were
    chosen for this question alone, or would have been had the chat not been cheaper whole. `stable`: with so many of the messages the
    next turn should begin too; 0 where nothing is known to stay."""

    messages: list[Message] | None
    before: int
    after: int
    engine: str
    encoding: str
    note: str = ""
    recalled: int = 0
    stable: int = 0


# Expected turns by the first turn they are expected from, ascending.
Ahead = tuple[tuple[int, float], ...]

Last = Literal["whole", "cut"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """`read`, `write`: prices over that of a fresh input token; `minimum`: tokens below which the provider holds nothing. `held`: whether
    it still holds what this chat sent last; None: unknown, taken as yes. `last`: how this chat was sent last; None: unknown. `recalled`:
    tokens that were recalled, or would have been, in turns of this chat that had `searched` tokens in all."""

    read: float
    ahead: Ahead
    write: float = 1.0
    minimum: int = 1024
    held: bool | None = None
    last: Last = None
    recalled: int = 0
    searched: int = 0
