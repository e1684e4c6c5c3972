"""What was said in a chat, as text with its speakers."""

import re
from collections.abc import Iterator
from typing import Any

from proxy.core.compression.turns import Unit, texts
from proxy.core.ports import Message

# What stands for a picture, a recording or a file in text.
_MEDIA = {"image_url": "[image]", "input_audio": "[audio]", "file": "[file]"}
_LABEL = re.compile(r"\n(?=\s*(?:user|assistant|system|developer|tool|function)\s*:)", re.IGNORECASE)


def speaker(message: Message) -> str:
    """Who speaks: the name of the participant where it has one, else the role."""
    name = message.get("name")
    return " ".join(name.split()) if isinstance(name, str) and name.strip() else str(message.get("role")).capitalize()


def quoted(text: str) -> str:
    """The text with a quotation mark before each line that looks like somebody's turn: nobody speaks for another."""
    return _LABEL.sub("\n> ", text)


def spoken(unit: Unit, messages: list[Message]) -> str:
    """A unit that stays in one piece as text: each message with its speaker, calls of tools with their arguments, media by a word."""
    lines = (f"{speaker(messages[i])}: {quoted(said)}" for i in unit.messages if (said := " ".join(_said(messages[i]))))
    return "\n".join(lines)


def _said(message: Message) -> Iterator[str]:
    content = message.get("content")
    for part, text in enumerate(texts(message)):
        if text.strip():
            yield text
        elif isinstance(content, list) and isinstance(content[part], dict) and (word := _MEDIA.get(str(content[part].get("type")))):
            yield word
    if isinstance(message.get("refusal"), str):
        yield message["refusal"]
    calls = message.get("tool_calls")
    functions = [call.get("function") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    yield from map(_called, filter(None, [*functions, message.get("function_call")]))


def _called(function: Any) -> str:
    if not isinstance(function, dict):
        return "[call]"
    return f"[calls {function.get('name', '')}({function.get('arguments', '')})]"
