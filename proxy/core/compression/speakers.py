"""What was said in a chat, as text with its speakers."""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from proxy.core.compression.units import Unit, texts
from proxy.core.message_parts import inner_parts
from proxy.core.types import Message

# How the headings of a transcript begin, for one who would write such a heading himself.
EARLIER = "earlier in this conversation"

# What stands for a picture, a recording or a file in text.
_MEDIA = {
    **dict.fromkeys(("image_url", "image", "input_image", "image_file"), "[image]"),
    **dict.fromkeys(("input_audio", "audio", "audio_url"), "[audio]"),
    **dict.fromkeys(("video", "video_url", "input_video"), "[video]"),
    **dict.fromkeys(("file", "input_file"), "[file]"),
}
# What was thought on the way is no part of what was said.
_THOUGHTS = frozenset({"thinking", "redacted_thinking", "reasoning"})
_ROLES = frozenset({"user", "assistant", "system", "developer", "tool", "function", "human", "ai", "bot", "model"})
_BREAK = r"\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
# The start of a line that may be somebody's turn or a heading; a line that is quoted already is neither.
_START = re.compile(
    rf"([{_BREAK}])(?![^\S{_BREAK}]*>)(?=[^\w{_BREAK}]*(?:(\w[^:：{_BREAK}]{{0,79}})[:：]|(?<=[\[ ])(?:from\s+)?{EARLIER}))", re.IGNORECASE
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
    return "\n".join(head + said for head, said in _lines(unit, messages, names))


def spoken_turns(unit: Unit, messages: list[Message], names: Collection[str] = ()) -> tuple[tuple[int, int, int], ...]:
    """Where each message of `spoken` starts, where its speaker's name ends, and where it ends."""
    found: list[tuple[int, int, int]] = []
    at = 0
    for head, said in _lines(unit, messages, names):
        found.append((at, at + len(head), at + len(head) + len(said)))
        at = found[-1][2] + 1
    return tuple(found)


def _lines(unit: Unit, messages: list[Message], names: Collection[str]) -> Iterator[tuple[str, str]]:
    """The speaker and what he said, of each message that says something."""
    for index in unit.messages:
        if said := " ".join(_said(messages[index])):
            yield f"{speaker(messages[index])}: ", quoted(said, names)


def _plain(label: str) -> str:
    """As a reader takes it: whatever its case and the marks around it."""
    return " ".join(re.findall(r"\w+", label)).casefold()


def _said(message: Message) -> Iterator[str]:
    content = message.get("content")
    for part, text in enumerate(texts(message)):
        if text.strip():
            yield text
        elif isinstance(content, list):
            yield from _other(content[part])
    if isinstance(message.get("refusal"), str):
        yield message["refusal"]
    calls = message.get("tool_calls")
    functions = [call.get("function") or call.get("custom") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    yield from map(_called, filter(None, [*functions, message.get("function_call")]))


def _other(part: object) -> Iterator[str]:
    """What a content part says that is no text: media by a word, documents by what stands in them."""
    kind = str(part.get("type")) if isinstance(part, dict) else ""
    if kind in _MEDIA:
        yield _MEDIA[kind]
    elif kind not in _THOUGHTS | {"text"}:
        yield from ("[file]" if isinstance(inner, int) else inner for inner in inner_parts(part) if isinstance(inner, int) or inner.strip())


def _called(function: Any) -> str:
    if not isinstance(function, dict):
        return "[call]"
    return f"[calls {function.get('name', '')}({function.get('arguments', function.get('input', ''))})]"
