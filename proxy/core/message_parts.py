"""Iterate over what a model reads of a message: texts, and token constants for media."""

import re
from collections.abc import Iterator
from typing import Any

# A provider bills what it passes to the model, whether OpenAI knows the field or not:
# `reasoning_content` (DeepSeek, Kimi), `reasoning` and `reasoning_details` (OpenRouter), `thinking`
# and `document` parts (Anthropic behind compatible endpoints). So every string counts except those
# known to reach no model.

# platform.openai.com/docs/guides/images-vision: 85 for low detail, 85 + 4 tiles of 170 for a square
# of 1024 pixels.
LOW_DETAIL_IMAGE_TOKENS = 85
IMAGE_TOKENS = 765
# One token per 100 ms of user audio (platform.openai.com/docs/guides/realtime-costs): half a minute
# of it.
AUDIO_TOKENS = 300
# A page or two of text: the size of a file cannot be seen from its id.
FILE_TOKENS = 1000
# Characters of base64 per token of what it encodes: three bytes in four characters, four bytes a
# token.
SEALED_CHARACTERS_PER_TOKEN = 16 / 3

_MEDIA_TOKENS = {
    **dict.fromkeys(("image_url", "image", "input_image", "image_file"), IMAGE_TOKENS),
    **dict.fromkeys(("input_audio", "audio", "audio_url"), AUDIO_TOKENS),
    **dict.fromkeys(("file", "input_file", "video", "video_url", "input_video"), FILE_TOKENS),
}
# Fields about handling a message, and signatures of other fields.
_UNREAD_FIELDS = frozenset(
    {
        "type",
        "id",
        "index",
        "status",
        "cache_control",
        "prefix",
        "partial",
        "annotations",
        "citations",
        "logprobs",
        "format",
    }
    | {
        "signature",
        "thought_signature",
        "media_type",
        "mime_type",
        "mimeType",
        "file_id",
        "provider_specific_fields",
    }
)
# Reasoning that only the provider can read.
_SEALED_TYPES = frozenset({"redacted_thinking", "reasoning.encrypted"})
# Texts of reasoning, which some providers send under two names.
_REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_text")
# What a model reads as JSON, names and all.
_JSON_FIELDS = frozenset({"arguments", "input", "args"})
_DATA_URL = re.compile(r"data:([\w.+-]*)/?[^,;]{0,80}(?:;[^,;]{1,80}){0,4};base64,")
_BASE64 = re.compile(r"[A-Za-z0-9+/=_-]{256,}\Z")


def iter_other_parts(message: dict[str, Any]) -> Iterator[str | int]:
    """Yield the texts and constants of a message, except its role, content, name and calls."""
    said = set[str]()
    for key, value in message.items():
        if key in ("role", "content", "name", "tool_calls", "function_call") or not value:
            continue
        if key == "audio":
            yield from (
                (AUDIO_TOKENS, str(value.get("transcript") or ""))
                if isinstance(value, dict)
                else ()
            )
        elif key in _REASONING_FIELDS and isinstance(value, str):
            if value not in said and not (key == "reasoning" and message.get("reasoning_details")):
                said.add(value)
                yield value
        elif key == "tool_call_id":
            yield value if isinstance(value, str) else ""
        elif key not in _UNREAD_FIELDS:
            yield from iter_inner_parts(value)


def iter_content_parts(content: object) -> Iterator[str | int]:
    """Yield the texts and constants of a message's content."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list | dict):
        yield from iter_inner_parts(content)


def iter_call_parts(call: object) -> Iterator[str | int]:
    """Yield the texts and constants of a tool call: its id, name and arguments."""
    if isinstance(call, dict):
        yield from (str(call["id"]),) if isinstance(call.get("id"), str) else ()
        yield from iter_inner_parts({key: value for key, value in call.items() if key != "id"})


def iter_inner_parts(value: object) -> Iterator[str | int]:
    """Yield the texts and constants inside a value, in order, at any depth."""
    # A loop, not recursion, so depth is no limit.
    left: list[tuple[str, Any, bool]] = [("", value, False)]
    while left:
        key, item, as_json = left.pop()
        if isinstance(item, str):
            yield from _iter_text(item, key)
        elif isinstance(item, list):
            left += [(key, inner, as_json) for inner in reversed(item)]
        elif isinstance(item, dict):
            media = _count_media(item)
            if media is not None:
                yield media
                continue
            inside = [
                (name, inner, as_json or name in _JSON_FIELDS)
                for name, inner in item.items()
                if as_json or name not in _UNREAD_FIELDS
            ]
            if as_json:
                yield from (name for name in item if isinstance(name, str))
            left += reversed(inside)
        elif as_json and isinstance(item, int | float):
            yield str(item) if abs(item) < 1e300 else "1e300"


def _iter_text(text: str, key: str) -> Iterator[str | int]:
    url = _DATA_URL.match(text) if text.startswith("data:") else None
    if url:
        yield _count_data(url[1], len(text))
    elif key in ("data", "file_data", "bytes", "b64_json") and _BASE64.match(text):
        yield FILE_TOKENS
    else:
        yield text


def _count_media(part: dict[str, Any]) -> int | None:
    """Return the tokens of a media part; None for one that has texts inside."""
    kind = part.get("type")
    if not isinstance(kind, str):
        kind = ""
    if kind in _SEALED_TYPES and isinstance(part.get("data"), str):
        return round(len(part["data"]) / SEALED_CHARACTERS_PER_TOKEN)
    if kind in _MEDIA_TOKENS:
        image = part.get("image_url")
        low = part.get("detail") == "low" or (
            isinstance(image, dict) and image.get("detail") == "low"
        )
        return (
            LOW_DETAIL_IMAGE_TOKENS
            if low and _MEDIA_TOKENS[kind] == IMAGE_TOKENS
            else _MEDIA_TOKENS[kind]
        )
    if kind == "base64" and isinstance(part.get("data"), str):
        return _count_data(str(part.get("media_type")).partition("/")[0], len(part["data"]))
    if kind == "url" and isinstance(part.get("url"), str):
        return FILE_TOKENS
    return None


def _count_data(kind: str, length: int) -> int:
    """Return the tokens of data of a media type, by its length in base64."""
    if kind == "text":
        return round(length / SEALED_CHARACTERS_PER_TOKEN)
    return {"image": IMAGE_TOKENS, "audio": AUDIO_TOKENS}.get(kind, FILE_TOKENS)
