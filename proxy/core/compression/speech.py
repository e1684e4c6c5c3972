"""What was said in a chat, as text with its speakers."""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from proxy.core.compression.turns import Unit, texts
from proxy.core.ports import Message

# How the headings of a transcript begin, for one who would write such a heading himself.
EARLIER = "earlier in this conversation"

# What stands for a picture, a recording or a file in text.
_MEDIA = {"image_url": "[image]", "input_audio": "[audio]", "file": "[file]"}
_ROLES = frozenset({"user", "assistant", "system", "developer", "tool", "function", "human", "ai", "bot", "model"})
_BREAK = r"\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
# The start of a line that may be somebody's turn or a heading; a line that is quoted already is neither.
_START = re.compile(
    rf"([{_BREAK}])(?![^\S{_BREAK}]*>)(?=[^\w{_BREAK}]*(?:(\w[^:：{_BREAK}]{{0,79}})[:：]|(?<=\[)(?:from\s+)?{EARLIER}))", re.IGNORECASE
)
_SIGNS = re.compile(r"[:：\[]")
_NAME = re.compile(r"\w[\w .'’@-]{0,63}")


def speaker(message: Message) -> str:
    """Who speaks: the name of the participant where it has one that is no role's, else the role."""
    name = message.get("name")
    name = " ".join(name.split()) if isinstance(name, str) else ""
    return name if _NAME.fullmatch(name) and _plain(name) not in _ROLES else str(message.get("role")).capitalize()


def labels(messages: Iterable[Message]) -> frozenset[str]:
    """The speakers of some messages as `quoted` compares them, roles left out."""
    return frozenset(_plain(speaker(message)) for message in messages if message.get("name"))


def quoted(text: str, names: Collection[str] = ()) -> str:
    """The text with a quotation mark before each line that looks like the turn of a role or of one of the names, or like a heading of
    ours: nobody speaks for another."""

    def mark(start: re.Match[str]) -> str:
        forged = start[2] is None or (label := _plain(start[2])) in _ROLES or label in names
        return f"{start[1]}> " if forged else start[1]

    return _START.sub(mark, text) if _SIGNS.search(text) else text


def spoken(unit: Unit, messages: list[Message], names: Collection[str] = ()) -> str:
    """A unit that stays in one piece as text: each message with its speaker, calls of tools with their arguments, media by a word."""
    lines = (f"{speaker(messages[i])}: {quoted(said, names)}" for i in unit.messages if (said := " ".join(_said(messages[i]))))
    return "\n".join(lines)


def _plain(label: str) -> str:
    """As a reader takes it: whatever its case and the marks around it."""
    return " ".join(re.findall(r"\w+", label)).casefold()


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
