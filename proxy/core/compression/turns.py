"""A chat in units that are protected, kept or dropped whole, or cut by sentences.

A unit is one message with the tool messages that answer it: OpenAI refuses a tool message without its call and a call without its
results (platform.openai.com/docs/guides/function-calling), so the two are never separated. Protected are system and developer messages,
the final user message with all that follows it, and units with `cache_control`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from proxy.core.ports import Message

_MAY_GO = ("user", "assistant", "tool", "function")


class Keep(Enum):
    """What may happen to a unit. PROTECTED: sent as it is. WHOLE: kept as it is or dropped. SENTENCES: one text message, may be cut."""

    PROTECTED = "protected"
    WHOLE = "whole"
    SENTENCES = "sentences"


@dataclass(frozen=True, slots=True)
class Unit:
    """Messages by index, ascending, that share one fate."""

    messages: tuple[int, ...]
    keep: Keep


def units(messages: list[Message]) -> list[Unit]:
    """The units of a chat in order; together they hold every message once."""
    starts = _starts(messages)
    turn = _current_turn(messages, starts)
    found: list[Unit] = []
    for start, end in zip(starts, [*starts[1:], len(messages)], strict=True):
        fate = Keep.PROTECTED if end > turn else _fate(messages[start:end])
        found.append(Unit(tuple(range(start, end)), fate))
    return found


def texts(message: Message) -> list[str]:
    """The text of a message by content part; one entry for plain content, "" for a part that is no text."""
    content = message.get("content")
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [part["text"] if _is_text(part) else "" for part in parts]


def final_question(messages: list[Message]) -> str:
    """The text of the final user message; "" where there is none."""
    for message in reversed(messages):
        if message.get("role") == "user":
            return "\n".join(texts(message))
    return ""


def turn_of(messages: list[Message], chat: list[Unit]) -> int:
    """Index of the first unit of the final turn."""
    first = _current_turn(messages, [unit.messages[0] for unit in chat])
    return next((index for index, unit in enumerate(chat) if unit.messages[-1] >= first), len(chat))


def _starts(messages: list[Message]) -> list[int]:
    """Index of each unit's first message. A tool message joins the unit of its call, else the message before it; what came between a
    call and its answer joins too, so a unit is always a run of messages."""
    starts: list[int] = []
    calls: dict[str, int] = {}
    for index, message in enumerate(messages):
        if message.get("role") not in ("tool", "function") or not starts:
            starts.append(index)
        call = calls.get(str(message.get("tool_call_id")), index) if calls else index
        while starts[-1] > call:
            starts.pop()
        if message.get("tool_calls"):
            calls.update(dict.fromkeys(_call_ids(message), index))
    return starts


def _call_ids(message: Message) -> Iterable[str]:
    calls = message.get("tool_calls")
    return [str(call.get("id")) for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []


def _current_turn(messages: list[Message], starts: list[int]) -> int:
    """Index of the final user message; without one, the start of the last unit."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].get("role") == "user":
            return index
    return starts[-1] if starts else 0


def _fate(group: list[Message]) -> Keep:
    if any(message.get("role") not in _MAY_GO or _cached(message) for message in group):
        return Keep.PROTECTED
    return Keep.SENTENCES if len(group) == 1 and _cuttable(group[0]) else Keep.WHOLE


def _cached(message: Message) -> bool:
    if "cache_control" in message:
        return True
    content = message.get("content")
    return isinstance(content, list) and any("cache_control" in part for part in content if isinstance(part, dict))


def _is_text(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _cuttable(message: Message) -> bool:
    """Text and nothing else, and not blank."""
    if message.get("role") not in ("user", "assistant"):
        return False
    content = message.get("content")
    if isinstance(content, str) and len(message) == 2:
        return not content.isspace() and content != ""
    if any(message.get(key) for key in ("tool_calls", "function_call", "audio", "refusal")):
        return False
    if isinstance(content, list) and not all(map(_is_text, content)):
        return False
    return any(text.strip() for text in texts(message))
