"""Where a provider that reads only marked prefixes is told that the stable part of a cut chat ends.

Anthropic (platform.claude.com/docs/en/build-with-claude/prompt-caching) reads a prefix only where
an earlier prompt had a breakpoint: `cache_control` on a block of content. A later breakpoint finds
an earlier one up to 20 blocks before it, so one that moves on with the recent turns is enough. A
prefix below the model's minimum (512 to 4,096 tokens) is not kept and costs nothing extra, so
lengths need not be looked at here. An empty block is refused with `cache_control`.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from proxy.core.config import ProviderEndpoint
from proxy.core.types import Message

BREAKPOINT_FIELD = "cache_control"
BREAKPOINT_VALUE = {"type": "ephemeral"}
# Providers that understand the mark, by the id of their prices. Others may answer 400 to a field
# they do not know.
BREAKPOINT_PROVIDERS = frozenset({"anthropic"})
# Anthropic's own endpoint for the OpenAI SDK has no prefix cache
# (platform.claude.com/docs/en/cli-sdks-libraries/libraries/openai-sdk). Gateways that turn chat
# completions into Anthropic's own requests have one.
HOSTS_WITHOUT_CACHE = frozenset({"api.anthropic.com"})
# A result of a tool is text alone in many gateways.
MARKABLE_ROLES = frozenset({"system", "developer", "user", "assistant"})


def reads_breakpoints(upstream: ProviderEndpoint) -> bool:
    """Whether a breakpoint does anything there."""
    return (
        upstream.provider in BREAKPOINT_PROVIDERS
        and urlsplit(upstream.base_url).hostname not in HOSTS_WITHOUT_CACHE
    )


def has_breakpoint(request: Any) -> bool:
    """Whether a request holds a breakpoint, wherever it may be."""
    left = [request]
    while left:
        inner = left.pop()
        if isinstance(inner, dict):
            if BREAKPOINT_FIELD in inner:
                return True
            left += [item for item in inner.values() if isinstance(item, dict | list)]
        else:
            left += [item for item in inner if isinstance(item, dict | list)]
    return False


def add_breakpoint(messages: Sequence[Message], stable: int) -> list[Message]:
    """The messages with a breakpoint at the last of the first `stable` ones that can have one;
    unchanged where none can. The messages that came in stay as they are."""
    for index in range(min(stable, len(messages)) - 1, -1, -1):
        if (content := _mark_content(messages[index])) is not None:
            return [
                *messages[:index],
                {**messages[index], "content": content},
                *messages[index + 1 :],
            ]
    return list(messages)


def _mark_content(message: Message) -> list[Any] | None:
    """The content with its last text marked, None where there is no text to mark."""
    if message.get("role") not in MARKABLE_ROLES:
        return None
    content = message.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list):
        return None
    parts = list(content)
    for index in range(len(parts) - 1, -1, -1):
        part = parts[index]
        if (
            isinstance(part, dict)
            and part.get("type") == "text"
            and str(part.get("text") or "").strip()
        ):
            parts[index] = {**part, BREAKPOINT_FIELD: dict(BREAKPOINT_VALUE)}
            return parts
    return None
