"""What a prompt costs, in this turn and in the next one."""

from dataclasses import dataclass
from decimal import Decimal

from plans.pricing import Price
from proxy.core.compression.preview import Following

# The shortest prefix that providers remember, most of them (platform.openai.com/docs/guides/prompt-caching,
# docs.claude.com/en/docs/build-with-claude/prompt-caching).
SHORTEST_PREFIX = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """US dollars for a prompt without its answer: `now` at list price; `next_turn` with what the provider remembers of this turn at
    its price for that, None where it has no such price."""

    now: Decimal
    next_turn: Decimal | None


def bill(price: Price, now: int, following: Following) -> Bill:
    """For a prompt of `now` tokens and the turn that follows it. A surcharge for writing into the provider's memory is not in it."""
    warm = following.warm if following.warm >= SHORTEST_PREFIX else 0
    warmed = None if price.cached_input is None else price.cost(prompt=following.tokens, completion=0, cached=warm)
    return Bill(now=price.cost(prompt=now, completion=0), next_turn=warmed)
