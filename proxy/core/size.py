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
    calls = message.get("tool_calls")
    parts = content if isinstance(content, list) else ()
    texts = [content] if isinstance(content, str) else [part.get("text") if isinstance(part, dict) else part for part in parts]
    functions = [each.get("function") for each in calls if isinstance(each, dict)] if isinstance(calls, list) else ()
    texts += [function.get("arguments") for function in functions if isinstance(function, dict)]
    return FRAME + sum(len(text) for text in texts if isinstance(text, str))
