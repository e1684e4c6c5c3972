"""Result and input types of compression."""

from dataclasses import dataclass
from typing import Literal

from proxy.core.types import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionResult:
    """What compression did; tokens are as the provider bills them."""

    # None: nothing changed, send the original.
    messages: list[Message] | None
    before: int
    after: int
    # What ran in the end: `trim` if the plan's engine failed.
    engine: str
    encoding: str
    # Why it degraded, exceeded the budget or did nothing; else empty.
    note: str = ""
    # Tokens chosen for this question alone, or that would have been had the chat not been cheaper
    # whole.
    retrieved_tokens: int = 0
    # How many leading messages the next turn should share; 0 if unknown.
    stable_prefix_messages: int = 0


# Expected turns by the first turn they are expected from, ascending.
TurnForecast = tuple[tuple[int, float], ...]

LastSent = Literal["whole", "cut"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionTerms:
    """What deciding whether compression pays needs to know about prices and this chat."""

    # Prices of a cached and of a written token over that of a fresh input token.
    cached_price_ratio: float
    turn_forecast: TurnForecast
    cache_write_ratio: float = 1.0
    # Below this the provider caches nothing.
    min_cacheable_tokens: int = 1024
    # Whether the provider still caches what this chat sent last; None: unknown, taken as yes.
    prefix_is_warm: bool | None = None
    # How this chat was sent last; None: unknown.
    last_sent: LastSent = None
    # Tokens retrieved, or that would have been, in turns of this chat that had `searched_tokens`
    # tokens in all.
    retrieved_tokens: int = 0
    searched_tokens: int = 0
