"""Which chat a request belongs to, and what is known of it and of its tenant's chats:
what `"when": "saves"` decides by.

A request holds the earlier ones of its chat: the same messages up to a reply. So the digest of the
messages before the last reply finds what was noted when that reply was asked for. The digests are
of one tenant and route, and no text is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

import orjson

from proxy.core.types import Message

# Tokens for which the price list is believed before what the provider reports outweighs it: a few
# long prompts.
PRICE_LIST_TRUST_TOKENS = 50_000.0

PromptForm = Literal["whole", "cut"]


@dataclass(frozen=True, slots=True)
class LastPrompt:
    """How a chat was sent last, when (epoch seconds), and the tokens of that prompt.

    `retrieved_tokens`: what its turns above the budget have recalled so far, or would have, of
    prompts of `searched_tokens` tokens in all.
    """

    form: PromptForm
    sent_at: float
    prompt_tokens: int
    retrieved_tokens: int = 0
    searched_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationHistory:
    """`last_prompt`: the chat's last request, None when it is not known.

    `requests_by_turn`: of the tenant's chats, by interval of turns (`ahead`). `cached_tokens` of
    the `repeated_tokens` tokens, those the provider had been sent a moment before, were billed as
    cached.
    """

    last_prompt: LastPrompt | None = None
    requests_by_turn: Mapping[int, int] = field(default_factory=dict)
    cached_tokens: int = 0
    repeated_tokens: int = 0


def derive_conversation_ids(
    messages: list[Message], *, tenant: int, route: int
) -> tuple[str | None, str]:
    """Under which id the chat's last request was noted, None for the first one;
    and that of the present one."""
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
    """Which turn of the chat its last message is, counted from 1:
    how often it was the user's, several in a row counted once."""
    roles = [message.get("role") for message in messages]
    begun = [
        role == "user" and before != "user"
        for before, role in zip([None, *roles], roles, strict=False)
    ]
    return max(1, begun.count(True))


def observed_price_ratio(read: float, known: ConversationHistory) -> float:
    """The price of a repeated token over that of a fresh one, `read` by the price list,
    after what the provider really reported. In steps of a tenth of the discount, so that it seldom
    changes."""
    share = min(
        1.0,
        (known.cached_tokens + PRICE_LIST_TRUST_TOKENS)
        / (known.repeated_tokens + PRICE_LIST_TRUST_TOKENS),
    )
    return 1.0 - (1.0 - read) * round(share, 1)
