"""Check whether a `chat.completion` can be stored, shared and replayed as a stream."""

from typing import Any, Final

MAX_COMPLETION_PARTS: Final = 10_000  # choices, content parts and tool calls together


def is_replayable(completion: Any) -> bool:
    """Return whether a completion can be replayed exactly, whole or as a stream.

    Anything else is passed through once, unchanged, and not stored.
    """
    if not isinstance(completion, dict) or not _is_absent_or(completion.get("usage"), dict):
        return False
    choices = completion.get("choices")
    if (
        not isinstance(choices, list)
        or not choices
        or len(choices) > MAX_COMPLETION_PARTS
        or not all(_is_choice(choice) for choice in choices)
    ):
        return False
    if sum(_count_parts(choice["message"]) for choice in choices) > MAX_COMPLETION_PARTS:
        return False
    return len({choice.get("index") or 0 for choice in choices}) == len(choices)


def _is_choice(choice: Any) -> bool:
    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        return False
    index = choice.get("index")
    numbered = index is None or (type(index) is int and index >= 0)
    return (
        numbered
        and _is_absent_or(choice.get("finish_reason"), str)
        and _is_absent_or(choice.get("logprobs"), dict)
        and _is_message(choice["message"])
    )


def _count_parts(message: dict[str, Any]) -> int:
    """Count the parts of a message, plus one so that choices count too."""
    return 1 + sum(
        len(parts)
        for name in ("content", "tool_calls")
        if isinstance(parts := message.get(name), list)
    )


def _is_message(message: dict[str, Any]) -> bool:
    content, calls = message.get("content"), message.get("tool_calls")
    if isinstance(content, list) and not all(isinstance(part, dict) for part in content):
        return False
    if (
        not _is_absent_or(content, str, list)
        or not _is_absent_or(message.get("role"), str)
        or not _is_absent_or(message.get("refusal"), str)
    ):
        return False
    return _is_absent_or(calls, list) and all(_is_tool_call(call) for call in calls or ())


def _is_tool_call(call: Any) -> bool:
    """Return whether this is a valid function call or OpenAI custom tool call, with its name."""
    if (
        not isinstance(call, dict)
        or not _is_absent_or(call.get("id"), str)
        or not _is_absent_or(call.get("type"), str)
    ):
        return False
    called = call.get("function", call.get("custom"))
    if (
        not isinstance(called, dict)
        or not isinstance(called.get("name"), str)
        or not called["name"]
    ):
        return False
    return _is_absent_or(called.get("arguments"), str, dict) and _is_absent_or(
        called.get("input"), str
    )


def _is_absent_or(value: Any, *kinds: type) -> bool:
    """Return whether the value is absent or of one of these types."""
    return value is None or isinstance(value, kinds)
