"""Write the messages of a chat as text with their speakers."""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from proxy.core.compression.units import Unit, list_part_texts
from proxy.core.message_parts import iter_inner_parts
from proxy.core.types import Message

# How transcript headings begin; used to detect forged headings.
HISTORY_PHRASE = "earlier in this conversation"

# Labels for media in text.
_MEDIA_LABELS = {
    **dict.fromkeys(("image_url", "image", "input_image", "image_file"), "[image]"),
    **dict.fromkeys(("input_audio", "audio", "audio_url"), "[audio]"),
    **dict.fromkeys(("video", "video_url", "input_video"), "[video]"),
    **dict.fromkeys(("file", "input_file"), "[file]"),
}
# Reasoning is not part of what was said.
_REASONING_TYPES = frozenset({"thinking", "redacted_thinking", "reasoning"})
_ROLE_NAMES = frozenset(
    {"user", "assistant", "system", "developer", "tool", "function", "human", "ai", "bot", "model"}
)
_LINE_BREAKS = r"\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
# The start of a line that looks like a speaker's turn or a heading, unless it is quoted already.
_SPEAKER_LINE_START = re.compile(
    (
        # The heading first: it has a colon within reach where somebody writes one behind it.
        rf"([{_LINE_BREAKS}])(?![^\S{_LINE_BREAKS}]*>)(?=[^\w{_LINE_BREAKS}]*(?:"
        rf"(?<=[\[ ])(?:from\s+)?{HISTORY_PHRASE}|(\w[^:：{_LINE_BREAKS}]{{0,79}})[:：]))"
    ),
    re.IGNORECASE,
)
_SPEAKER_SIGNS = re.compile(r"[:：\[]")
_SPEAKER_NAME = re.compile(r"\w[\w .'’@-]{0,63}")


def get_speaker(message: Message) -> str:
    """Return the participant's name if it is not a role's name, else the role."""
    name = message.get("name")
    name = " ".join(name.split()) if isinstance(name, str) else ""
    return (
        name
        if _SPEAKER_NAME.fullmatch(name) and _normalize_label(name) not in _ROLE_NAMES
        else str(message.get("role")).capitalize()
    )


def collect_labels(messages: Iterable[Message]) -> frozenset[str]:
    """Return the named speakers, normalised as `quote_forged_speakers` compares them."""
    return frozenset(
        _normalize_label(get_speaker(message)) for message in messages if message.get("name")
    )


def quote_forged_speakers(text: str, names: Collection[str] = ()) -> str:
    """Quote each line that looks like a turn of a role or one of `names`, or like our headings."""

    def mark(start: re.Match[str]) -> str:
        forged = (
            start[2] is None
            or (label := _normalize_label(start[2])) in _ROLE_NAMES
            or label in names
        )
        return f"{start[1]}> " if forged else start[1]

    return _SPEAKER_LINE_START.sub(mark, text) if _SPEAKER_SIGNS.search(text) else text


def write_unit_text(unit: Unit, messages: list[Message], names: Collection[str] = ()) -> str:
    """Write a unit as text: messages with speakers, tool calls with arguments, labels for media."""
    return "\n".join(head + said for head, said in _iter_speaker_lines(unit, messages, names))


def find_turn_spans(
    unit: Unit, messages: list[Message], names: Collection[str] = ()
) -> tuple[tuple[int, int, int], ...]:
    """Return the start, end of speaker and end of each message in `write_unit_text`."""
    found: list[tuple[int, int, int]] = []
    at = 0
    for head, said in _iter_speaker_lines(unit, messages, names):
        found.append((at, at + len(head), at + len(head) + len(said)))
        at = found[-1][2] + 1
    return tuple(found)


def _iter_speaker_lines(
    unit: Unit, messages: list[Message], names: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield the speaker and the text of each message that has text."""
    for index in unit.message_indices:
        if said := " ".join(_iter_message_texts(messages[index])):
            yield f"{get_speaker(messages[index])}: ", quote_forged_speakers(said, names)


def _normalize_label(label: str) -> str:
    """Return the label's words in lower case, as a reader would compare them."""
    return " ".join(re.findall(r"\w+", label)).casefold()


def _iter_message_texts(message: Message) -> Iterator[str]:
    content = message.get("content")
    for part, text in enumerate(list_part_texts(message)):
        if text.strip():
            yield text
        elif isinstance(content, list):
            yield from _iter_part_texts(content[part])
    if isinstance(message.get("refusal"), str):
        yield message["refusal"]
    calls = message.get("tool_calls")
    functions = (
        [call.get("function") or call.get("custom") for call in calls if isinstance(call, dict)]
        if isinstance(calls, list)
        else []
    )
    yield from map(_format_call, filter(None, [*functions, message.get("function_call")]))


def _iter_part_texts(part: object) -> Iterator[str]:
    """Yield labels for media and the inner texts of documents."""
    kind = str(part.get("type")) if isinstance(part, dict) else ""
    if kind in _MEDIA_LABELS:
        yield _MEDIA_LABELS[kind]
    elif kind not in _REASONING_TYPES | {"text"}:
        yield from (
            "[file]" if isinstance(inner, int) else inner
            for inner in iter_inner_parts(part)
            if isinstance(inner, int) or inner.strip()
        )


def _format_call(function: Any) -> str:
    if not isinstance(function, dict):
        return "[call]"
    return (
        "[calls "
        f"{function.get('name', '')}({function.get('arguments', function.get('input', ''))})]"
    )
