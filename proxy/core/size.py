"""How large a chat is, by its characters: where counting tokens would take too long."""

from collections.abc import Iterable
from typing import Final

from proxy.core.ports import Message

FRAME: Final = 12  # characters that a message weighs beside its text
PER_TOKEN: Final = 4


def characters(messages: Iterable[Message]) -> int:
    """Of texts and of what tools are called with. Pictures and files weigh nothing."""
    return sum(map(_characters, messages))


def _characters(message: Message) -> int:
    content = message.get("content")
    calls = message.get("tool_calls") or ()
    texts = [content] if isinstance(content, str) else [part.get("text") for part in content or () if isinstance(part, dict)]
    texts += [(each.get("function") or {}).get("arguments") for each in calls if isinstance(each, dict)]
    return FRAME + sum(len(text) for text in texts if isinstance(text, str))
