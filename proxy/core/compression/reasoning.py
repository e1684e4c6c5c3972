"""Old reasoning, which is the first to go when a chat exceeds its budget.

What a model thought before an answer goes back to it by the client's care: DeepSeek and Kimi refuse
an assistant message without it where tools are offered, and bill it, but leave it out of older
turns themselves or read any text; OpenAI and others ignore it. So each old message keeps its field,
with the beginning of its text. Reasoning that is signed or sealed (`reasoning_details`, `thinking`
parts) is checked by who wrote it and stays as it is. That of the current turn always does.
"""

from collections.abc import Sequence

from proxy.core.compression.rendering import OMISSION_MARK
from proxy.core.compression.units import Unit, UnitPolicy
from proxy.core.types import Message

# Characters of old reasoning that stay.
MAX_REASONING_CHARACTERS = 160
_REASONING_FIELDS = ("reasoning_content", "reasoning")


def shorten_old_reasoning(messages: list[Message], chat: Sequence[Unit]) -> list[Message]:
    """The messages, those before the final turn that may be cut with a beginning
    of their reasoning; the very objects otherwise."""
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
