"""Identify the conversation of a request and what is known of it, for `"when": "saves"`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

import orjson

from proxy.core.types import Message

# The weight of the price list, in tokens, against what the provider reports: a few long prompts.
PRICE_LIST_TRUST_TOKENS = 50_000.0

PromptForm = Literal["whole", "cut"]


@dataclass(frozen=True, slots=True)
class LastPrompt:
    """How a conversation was sent last."""

    form: PromptForm
    # Epoch seconds.
    sent_at: float
    prompt_tokens: int
    # Tokens that its turns above the budget have retrieved so far, or would have, of prompts of
    # `searched_tokens` tokens in all.
    retrieved_tokens: int = 0
    searched_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationHistory:
    """What is known of a conversation and of the tenant's others."""

    # None if unknown.
    last_prompt: LastPrompt | None = None
    # Requests of the tenant's conversations, by interval of turns (`turn_forecast`).
    requests_by_turn: Mapping[int, int] = field(default_factory=dict)
    # How many of the `repeated_tokens` tokens, sent to the provider shortly before, were billed as
    # cached.
    cached_tokens: int = 0
    repeated_tokens: int = 0


def derive_conversation_ids(
    messages: list[Message], *, tenant: int, route: int
) -> tuple[str | None, str]:
    """Return the id of the conversation's previous request, if any, and that of this one."""
    # A request repeats the earlier ones of its conversation up to a reply, so the digest of the
    # messages before the last reply finds what was stored when that reply was requested. Digests
    # are per tenant and route, and no text is stored.
    replies = [
        index for index, message in enumerate(messages) if message.get("role") == "assistant"
    ]
    digest, before = blake2b(f"{tenant} {route}".encode(), digest_size=16), None
    for index, message in enumerate(messages):
        if replies and index == replies[-1]:
            before = digest.hexdigest()
        digest.update(orjson.dumps(message, option=orjson.OPT_SORT_KEYS))
    return before, digest.hexdigest()


def count_turns(messages: list[Message]) -> int:
    """Return which turn the last message belongs to, from 1.

    Consecutive user messages count as one turn.
    """
    roles = [message.get("role") for message in messages]
    begun = [
        role == "user" and before != "user"
        for before, role in zip([None, *roles], roles, strict=False)
    ]
    return max(1, begun.count(True))


def observed_price_ratio(read: float, known: ConversationHistory) -> float:
    """Return the price ratio of a repeated token, corrected by what the provider reported.

    `read`: the ratio by the price list, cached over fresh.
    """
    share = min(
        1.0,
        (known.cached_tokens + PRICE_LIST_TRUST_TOKENS)
        / (known.repeated_tokens + PRICE_LIST_TRUST_TOKENS),
    )
    # In steps of a tenth of the discount, so that it seldom changes.
    return 1.0 - (1.0 - read) * round(share, 1)
