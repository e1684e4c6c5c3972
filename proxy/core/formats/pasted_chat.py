"""Parse a chat pasted as a request body, an array of messages or lines with speakers."""

import re
from dataclasses import dataclass

from proxy.core.errors import BadRequest
from proxy.core.formats.chat_completions import load_json_object, validate_messages
from proxy.core.types import Message

SPEAKER_LINE = re.compile(
    r"^[ \t]*(system|developer|user|assistant)[ \t]*:[ \t]*", re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class PastedChat:
    """The messages of a pasted chat, and the model if a whole request body was pasted."""

    messages: list[Message]
    model: str | None = None


def parse_pasted_chat(text: str, *, depth: int = 64) -> PastedChat:
    """Parse pasted text. Raises BadRequest, or BodyTooDeep beyond `depth` levels."""
    text = text.strip()
    if text.startswith("["):
        return PastedChat(
            validate_messages(
                load_json_object(_encode_utf8(f'{{"messages":{text}}}'), depth=depth + 1)[
                    "messages"
                ]
            )
        )
    if text.startswith("{"):
        body = load_json_object(_encode_utf8(text), depth=depth)
        model = body.get("model")
        return PastedChat(
            validate_messages(body.get("messages")),
            model if isinstance(model, str) and model else None,
        )
    return PastedChat(_parse_speaker_lines(text))


def _encode_utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _parse_speaker_lines(text: str) -> list[Message]:
    """Make one message of each line that begins with a speaker, and the lines that follow it."""
    if "\0" in text:
        raise BadRequest("The text holds a NUL character, which is not allowed.")
    before, *said = SPEAKER_LINE.split(text)
    if before.strip() or not said:
        raise BadRequest(
            "Paste a JSON array of messages, a whole request body, or lines that begin with "
            "User: or Assistant:"
        )
    return [
        {"role": role.lower(), "content": words.strip()}
        for role, words in zip(said[::2], said[1::2], strict=True)
    ]
