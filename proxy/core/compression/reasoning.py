"""Shorten old reasoning, the first thing to remove when a chat exceeds its budget."""

from collections.abc import Sequence

from proxy.core.compression.rendering import OMISSION_MARK
from proxy.core.compression.units import Unit, UnitPolicy
from proxy.core.types import Message

# Clients send a model's reasoning back. DeepSeek and Kimi reject an assistant message without it
# where tools are offered, and bill it, but drop it from older turns themselves or accept any text;
# OpenAI and others ignore it. So each old message keeps its field, with the beginning of its text.
# Signed or encrypted reasoning (`reasoning_details`, `thinking` parts) is verified by the provider
# and stays unchanged, as does the current turn's.
#
# Characters kept.
MAX_REASONING_CHARACTERS = 160
_REASONING_FIELDS = ("reasoning_content", "reasoning")


def shorten_old_reasoning(messages: list[Message], chat: Sequence[Unit]) -> list[Message]:
    """Return the messages with the reasoning of removable ones shortened.

    Messages that do not change are the same objects.
    """
    found = list(messages)
    for unit in chat:
        for index in unit.message_indices if unit.policy is not UnitPolicy.PROTECTED else ():
            found[index] = _shorten_reasoning(messages[index])
    return found


def _shorten_reasoning(message: Message) -> Message:
    if message.get("role") != "assistant":
        return message
    cut = {
        field: _truncate_text(text)
        for field in _REASONING_FIELDS
        if isinstance(text := message.get(field), str) and len(text) > MAX_REASONING_CHARACTERS
    }
    return {**message, **cut} if cut else message


def _truncate_text(text: str) -> str:
    start = text[: MAX_REASONING_CHARACTERS - len(OMISSION_MARK) - 1]
    words, space, _ = start.rpartition(" ")
    return f"{words if space else start} {OMISSION_MARK}"
