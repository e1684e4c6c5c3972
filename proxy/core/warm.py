"""How much of a prompt the provider would have billed at its cached price, had there been no plan. A model, not a measurement.

Without a plan every turn of a chat goes to the provider, whole, so the prompt of the turn before is warm when the next one comes; and an
identical request is warm altogether while the first is still held. What is modelled: OpenAI's rule (developers.openai.com/api/docs/guides/
prompt-caching: prefixes from 1,024 tokens on, in steps of 128). Anthropic reads only what the client marked, so nothing is warm without a
mark. Not modelled: instructions that many chats share, which makes the modelled saving of first turns too high; and pauses within a chat
that nobody noted, which makes that of later turns too low. A holdout measures both (`stats.holdout`).
"""

from typing import Final

from proxy.core.breakpoints import PROVIDERS, has_breakpoint, reads_breakpoints
from proxy.core.exchange import Call, Stored
from proxy.core.outlook import HELD_BY, HELD_SECONDS, held
from proxy.core.size import characters

MINIMUM: Final = 1024
STEP: Final = 128


def warm_tokens(call: Call, asked: int) -> int:
    """Of the `asked` tokens of the whole prompt those that would have been read from the provider's prefix cache; 0 where its price list
    knows no discount."""
    price = call.target.price
    if price is None or price.cached_input is None or asked < MINIMUM or not keeps(call):
        return 0
    tokens = asked if _repeated(call) else int(asked * _share_of_last_turn(call))
    return tokens // STEP * STEP if tokens >= MINIMUM else 0


def keeps(call: Call) -> bool:
    """Whether the provider remembers prompts as the client sends them."""
    upstream = call.target.upstream
    return upstream.provider not in PROVIDERS or (reads_breakpoints(upstream) and has_breakpoint(call.asked.body))


def _repeated(call: Call) -> bool:
    """Whether the very same prompt was sent a moment ago; of requests at the same time none finds another's."""
    if call.collapsed or not isinstance(call.answer, Stored) or call.answer.tier != "exact":
        return False
    return call.at - call.answer.envelope.created_at <= HELD_BY.get(call.target.upstream.provider, HELD_SECONDS)


def _share_of_last_turn(call: Call) -> float:
    """Which share of the prompt the turn before sent already, by its characters; counting tokens would take too long here. 0 of the first
    turn, and of a chat that the provider is known to hold no more."""
    last = call.known.last if call.known else None
    messages = call.asked.messages
    ends = max((index for index, message in enumerate(messages) if message.get("role") == "assistant"), default=0)
    if not ends or (last is not None and not held(last, call.target.upstream.provider, call.at)):
        return 0.0
    return characters(messages[:ends]) / characters(messages)
