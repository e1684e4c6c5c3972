"""A chat in units that are protected, kept or dropped whole, and the order of their roles."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from proxy.core.types import Message

# A chat in units that are protected, kept or dropped whole, or cut by sentences.
#
# A unit is one message with the tool messages that answer it: OpenAI refuses a tool message without
# its call and a call without its results (platform.openai.com/docs/guides/function-calling), so the
# two are never separated. Protected are system and developer messages, the final user message with
# all that follows it, and units with `cache_control`.

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


# Whose turn it is: the order of roles in what is left of a chat.
#
# The chat templates of Gemma and Mistral refuse a prompt in which user and assistant do not take
# turns, beginning with the user (calls of tools and their results are passed over), and Anthropic's
# API wants the first message from the user (docs.anthropic.com/en/api/messages). A chat that was in
# such an order stays in it.

# What stands in for an answer that was left out, and for what the user said.
NOTED: Message = {"role": "assistant", "content": "Noted."}
WENT_BEFORE: Message = {"role": "user", "content": "…"}
# DeepSeek and Kimi, thinking, answer 400 to an assistant message without its reasoning; an empty one is none to some of their servers.
NOTED_BY_A_THINKER: Message = {**NOTED, "reasoning_content": "…"}
_SYSTEM = ("system", "developer")


def taker(message: Message) -> str | None:
    """Whose turn a message is, "user" or "assistant"; None where it is nobody's."""
    role = message.get("role")
    if role == "user":
        return "user"
    return "assistant" if role == "assistant" and not (message.get("tool_calls") or message.get("function_call")) else None


def takes_turns(messages: Iterable[Message]) -> bool:
    """Whether user and assistant take turns, the user first."""
    last: str | None = "assistant"
    for message in messages:
        turn = taker(message)
        if turn:
            if turn == last:
                return False
            last = turn
    return True


def user_first(messages: Iterable[Message]) -> bool:
    """Whether the first message that is no system text is the user's."""
    return next((message.get("role") == "user" for message in messages if message.get("role") not in _SYSTEM), False)


def noted(messages: Iterable[Message]) -> Message:
    """What stands in for an answer in this chat: with a reasoning where its answers come with one."""
    thinks = any(message.get("role") == "assistant" and message.get("reasoning_content") for message in messages)
    return NOTED_BY_A_THINKER if thinks else NOTED


def in_turn(
    messages: Iterable[Message], ours: Iterable[Message], *, strict: bool, user_leads: bool, answer: Message = NOTED
) -> list[Message]:
    """The messages with stand-ins between two of one role, `answer` for the assistant: around those that are ours, and where `strict`
    everywhere and before an answer that comes first; with `user_leads` one before a first message that is not the user's."""
    made, sent = {id(message) for message in ours}, list[Message]()
    last: Message | None = None
    for message in messages:
        if user_leads and message.get("role") not in _SYSTEM:
            user_leads = False
            if message.get("role") != "user":
                last = WENT_BEFORE
                sent.append(last)
        turn = taker(message)
        if turn:
            if last is None and strict and turn == "assistant":
                sent.append(WENT_BEFORE)  # calls of tools may have come first, but the first who spoke was the user
            elif last and turn == taker(last) and (strict or id(message) in made or id(last) in made):
                sent.append(answer if turn == "user" else WENT_BEFORE)
            last = message
        sent.append(message)
    return sent
