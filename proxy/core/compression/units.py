"""Split a chat into units that stay together, and keep a valid order of their roles."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from proxy.core.types import Message

# A unit is one message with the tool messages that answer it: OpenAI refuses a tool message without
# its call and a call without its results (platform.openai.com/docs/guides/function-calling), so the
# two are never separated. Protected are system and developer messages, the final user message with
# all that follows it, and units with `cache_control`.

_REMOVABLE_ROLES = ("user", "assistant", "tool", "function")


class UnitPolicy(Enum):
    """What may happen to a unit."""

    # Sent unchanged.
    PROTECTED = "protected"
    # Kept unchanged or dropped.
    WHOLE = "whole"
    # One text message, which may lose sentences.
    SENTENCES = "sentences"


@dataclass(frozen=True, slots=True)
class Unit:
    """Messages by ascending index that are kept or dropped together."""

    message_indices: tuple[int, ...]
    policy: UnitPolicy


def split_units(messages: list[Message]) -> list[Unit]:
    """Split a chat into units in order; together they hold every message once."""
    starts = _find_unit_starts(messages)
    turn = _find_current_turn(messages, starts)
    found: list[Unit] = []
    for start, end in zip(starts, [*starts[1:], len(messages)], strict=True):
        fate = UnitPolicy.PROTECTED if end > turn else _choose_policy(messages[start:end])
        found.append(Unit(tuple(range(start, end)), fate))
    return found


def list_part_texts(message: Message) -> list[str]:
    """Return a message's text by content part: one entry if plain, "" for a part without text."""
    content = message.get("content")
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [part["text"] if _is_text_part(part) else "" for part in parts]


def find_final_question(messages: list[Message]) -> str:
    """Return the text of the final user message; "" if there is none."""
    for message in reversed(messages):
        if message.get("role") == "user":
            return "\n".join(list_part_texts(message))
    return ""


def find_final_turn(messages: list[Message], chat: list[Unit]) -> int:
    """Return the index of the first unit of the final turn."""
    first = _find_current_turn(messages, [unit.message_indices[0] for unit in chat])
    return next(
        (index for index, unit in enumerate(chat) if unit.message_indices[-1] >= first), len(chat)
    )


def _find_unit_starts(messages: list[Message]) -> list[int]:
    """Return the index of each unit's first message.

    A tool message joins the unit of its call, else the message before it. What came between a call
    and its answer joins too, so a unit is always a run of messages.
    """
    starts: list[int] = []
    calls: dict[str, int] = {}
    for index, message in enumerate(messages):
        if message.get("role") not in ("tool", "function") or not starts:
            starts.append(index)
        call = calls.get(str(message.get("tool_call_id")), index) if calls else index
        while starts[-1] > call:
            starts.pop()
        if message.get("tool_calls"):
            calls.update(dict.fromkeys(_list_call_ids(message), index))
    return starts


def _list_call_ids(message: Message) -> Iterable[str]:
    calls = message.get("tool_calls")
    return (
        [str(call.get("id")) for call in calls if isinstance(call, dict)]
        if isinstance(calls, list)
        else []
    )


def _find_current_turn(messages: list[Message], starts: list[int]) -> int:
    """Return the index of the final user message; without one, the start of the last unit."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].get("role") == "user":
            return index
    return starts[-1] if starts else 0


def _choose_policy(group: list[Message]) -> UnitPolicy:
    if any(
        message.get("role") not in _REMOVABLE_ROLES or _has_cache_control(message)
        for message in group
    ):
        return UnitPolicy.PROTECTED
    return UnitPolicy.SENTENCES if len(group) == 1 and _is_cuttable(group[0]) else UnitPolicy.WHOLE


def _has_cache_control(message: Message) -> bool:
    if "cache_control" in message:
        return True
    content = message.get("content")
    return isinstance(content, list) and any(
        "cache_control" in part for part in content if isinstance(part, dict)
    )


def _is_text_part(part: object) -> bool:
    return (
        isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
    )


def _is_cuttable(message: Message) -> bool:
    """Return whether a message holds only text, and is not blank."""
    if message.get("role") not in ("user", "assistant"):
        return False
    content = message.get("content")
    if isinstance(content, str) and len(message) == 2:
        return not content.isspace() and content != ""
    if any(message.get(key) for key in ("tool_calls", "function_call", "audio", "refusal")):
        return False
    if isinstance(content, list) and not all(map(_is_text_part, content)):
        return False
    return any(text.strip() for text in list_part_texts(message))


# The chat templates of Gemma and Mistral refuse a prompt in which user and assistant do not
# alternate, beginning with the user (tool calls and results are ignored), and Anthropic's API wants
# the first message from the user (docs.anthropic.com/en/api/messages). A chat that was in such an
# order stays in it.

# Placeholders for a dropped answer and a dropped user message.
ASSISTANT_PLACEHOLDER: Message = {"role": "assistant", "content": "Noted."}
USER_PLACEHOLDER: Message = {"role": "user", "content": "…"}
# DeepSeek and Kimi, in thinking mode, answer 400 to an assistant message without its reasoning;
# some of their servers treat an empty one as missing.
REASONING_PLACEHOLDER: Message = {**ASSISTANT_PLACEHOLDER, "reasoning_content": "…"}
_SYSTEM_ROLES = ("system", "developer")


def get_turn_role(message: Message) -> str | None:
    """Return whose turn a message is, "user" or "assistant"; None if neither's."""
    role = message.get("role")
    if role == "user":
        return "user"
    return (
        "assistant"
        if role == "assistant" and not (message.get("tool_calls") or message.get("function_call"))
        else None
    )


def has_alternating_turns(messages: Iterable[Message]) -> bool:
    """Return whether user and assistant alternate, the user first."""
    last: str | None = "assistant"
    for message in messages:
        turn = get_turn_role(message)
        if turn:
            if turn == last:
                return False
            last = turn
    return True


def starts_with_user(messages: Iterable[Message]) -> bool:
    """Return whether the first message that is not system text is the user's."""
    return next(
        (
            message.get("role") == "user"
            for message in messages
            if message.get("role") not in _SYSTEM_ROLES
        ),
        False,
    )


def choose_placeholder(messages: Iterable[Message]) -> Message:
    """Return the placeholder for an answer, with reasoning if the chat's answers have some."""
    thinks = any(
        message.get("role") == "assistant" and message.get("reasoning_content")
        for message in messages
    )
    return REASONING_PLACEHOLDER if thinks else ASSISTANT_PLACEHOLDER


def restore_role_order(
    messages: Iterable[Message],
    ours: Iterable[Message],
    *,
    strict: bool,
    user_leads: bool,
    answer: Message = ASSISTANT_PLACEHOLDER,
) -> list[Message]:
    """Insert placeholders between two messages of one role, `answer` for the assistant.

    Around the messages in `ours`; with `strict` everywhere, and before an answer that comes first.
    With `user_leads` also before a first message that is not the user's.
    """
    made, sent = {id(message) for message in ours}, list[Message]()
    last: Message | None = None
    for message in messages:
        if user_leads and message.get("role") not in _SYSTEM_ROLES:
            user_leads = False
            if message.get("role") != "user":
                last = USER_PLACEHOLDER
                sent.append(last)
        turn = get_turn_role(message)
        if turn:
            if last is None and strict and turn == "assistant":
                # Tool calls may have come first, but the first to speak was the user.
                sent.append(USER_PLACEHOLDER)
            elif (
                last
                and turn == get_turn_role(last)
                and (strict or id(message) in made or id(last) in made)
            ):
                sent.append(answer if turn == "user" else USER_PLACEHOLDER)
            last = message
        sent.append(message)
    return sent
