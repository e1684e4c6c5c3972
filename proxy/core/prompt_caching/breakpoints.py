"""Mark the end of a compressed chat's stable prefix for providers that cache marked prefixes.

platform.claude.com/docs/en/build-with-claude/prompt-caching
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from proxy.core.config import ProviderEndpoint
from proxy.core.providers import get_provider
from proxy.core.types import Message

# Anthropic reads a prefix only where an earlier prompt had a breakpoint: `cache_control` on a
# content block. A later breakpoint finds an earlier one up to 20 blocks before it, so one that
# moves with the recent turns is enough. A prefix below the model's minimum (512 to 4,096 tokens) is
# not cached and costs nothing extra, so lengths are not checked here.
BREAKPOINT_FIELD = "cache_control"
BREAKPOINT_VALUE = {"type": "ephemeral"}
# Tool results are plain text in many gateways.
MARKABLE_ROLES = frozenset({"system", "developer", "user", "assistant"})


def reads_breakpoints(upstream: ProviderEndpoint) -> bool:
    """Return whether the upstream uses breakpoints."""
    provider = get_provider(upstream.provider)
    hostname = urlsplit(upstream.base_url).hostname
    return provider.reads_breakpoints and hostname not in provider.hosts_without_cache


def has_breakpoint(request: Any) -> bool:
    """Return whether a request holds a breakpoint anywhere."""
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
    """Add a breakpoint to the last of the first `stable` messages that can have one.

    Returns copies; unchanged if none can.
    """
    for index in range(min(stable, len(messages)) - 1, -1, -1):
        if (content := _mark_content(messages[index])) is not None:
            return [
                *messages[:index],
                {**messages[index], "content": content},
                *messages[index + 1 :],
            ]
    return list(messages)


def _mark_content(message: Message) -> list[Any] | None:
    """Return the content with its last text marked; None if there is no text to mark."""
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
            # An empty block is refused with `cache_control`.
            and str(part.get("text") or "").strip()
        ):
            parts[index] = {**part, BREAKPOINT_FIELD: dict(BREAKPOINT_VALUE)}
            return parts
    return None
