"""Which chat a request belongs to, and what is known of it and of its tenant's chats: what `"when": "saves"` decides by.

A request holds the earlier ones of its chat: the same messages up to a reply. So the digest of the messages before the last reply finds
what was noted when that reply was asked for. The digests are of one tenant and route, and no text is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

import orjson

from proxy.core.types import Message

# Tokens for which the price list is believed before what the provider reports outweighs it: a few long prompts.
TRUST = 50_000.0

How = Literal["whole", "cut"]


@dataclass(frozen=True, slots=True)
class Sent:
    """How a chat was sent last, when (epoch seconds), and the tokens of that prompt. `recalled`: what its turns above the budget have
    recalled so far, or would have, of prompts of `searched` tokens in all."""

    how: How
    at: float
    tokens: int
    recalled: int = 0
    searched: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """`last`: the chat's last request, None when it is not known. `requests`: of the tenant's chats, by interval of turns (`ahead`).
    `cached` of the `repeated` tokens, those the provider had been sent a moment before, were billed as cached."""

    last: Sent | None = None
    requests: Mapping[int, int] = field(default_factory=dict)
    cached: int = 0
    repeated: int = 0


def chat_ids(messages: list[Message], *, tenant: int, route: int) -> tuple[str | None, str]:
    """Under which id the chat's last request was noted, None for the first one; and that of the present one."""
    replies = [index for index, message in enumerate(messages) if message.get("role") == "assistant"]
    digest, before = blake2b(f"{tenant} {route}".encode(), digest_size=16), None
    for index, message in enumerate(messages):
        if replies and index == replies[-1]:
            before = digest.hexdigest()
        digest.update(orjson.dumps(message, option=orjson.OPT_SORT_KEYS))
    return before, digest.hexdigest()


def turn_of(messages: list[Message]) -> int:
    """Which turn of the chat its last message is, counted from 1: how often it was the user's, several in a row counted once."""
    roles = [message.get("role") for message in messages]
    begun = [role == "user" and before != "user" for before, role in zip([None, *roles], roles, strict=False)]
    return max(1, begun.count(True))


def tempered(read: float, known: Known) -> float:
    """The price of a repeated token over that of a fresh one, `read` by the price list, after what the provider really reported. In
    steps of a tenth of the discount, so that it seldom changes."""
    share = min(1.0, (known.cached + TRUST) / (known.repeated + TRUST))
    return 1.0 - (1.0 - read) * round(share, 1)
