"""Values that the compression hands on."""

from dataclasses import dataclass
from typing import Literal

from proxy.core.types import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionResult:
    """What compression did.

    `messages` None: nothing was cut, send the original. `engine`: what ran in the end (`trim` after
    a degraded run); `note`: why it degraded or exceeded, else empty. Tokens as the provider bills
    the messages; `retrieved_tokens` of them were chosen for this question alone, or would have been
    had the chat not been cheaper whole. `stable_prefix_messages`: with so many of the messages the
    next turn should begin too; 0 where nothing is known to stay.
    """

    messages: list[Message] | None
    before: int
    after: int
    engine: str
    encoding: str
    note: str = ""
    retrieved_tokens: int = 0
    stable_prefix_messages: int = 0


# Expected turns by the first turn they are expected from, ascending.
TurnForecast = tuple[tuple[int, float], ...]

LastSent = Literal["whole", "cut"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionTerms:
    """`cached_price_ratio`, `cache_write_ratio`: prices over that of a fresh input token;
    `min_cacheable_tokens`: tokens below which the provider holds nothing. `prefix_is_warm`: whether
    it still holds what this chat sent last; None: unknown, taken as yes. `last_sent`: how this chat
    was sent last; None: unknown. `retrieved_tokens`: tokens that were recalled, or would have been,
    in turns of this chat that had `searched_tokens` tokens in all."""

    cached_price_ratio: float
    turn_forecast: TurnForecast
    cache_write_ratio: float = 1.0
    min_cacheable_tokens: int = 1024
    prefix_is_warm: bool | None = None
    last_sent: LastSent = None
    retrieved_tokens: int = 0
    searched_tokens: int = 0
