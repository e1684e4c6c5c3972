"""Parse what compression workers reply."""

import json
from dataclasses import replace
from typing import Any

from plans.snapshot import CompressionSettings
from proxy.core.compression.compress import FALLBACK_ENGINE
from proxy.core.compression.preview import NextTurn, Preview, PreviewSpan, build_preview
from proxy.core.compression.results import CompressionResult
from proxy.core.errors import ToolUnavailable
from proxy.core.types import Message


def parse_result(reply: bytes, messages: list[Message]) -> CompressionResult | str:
    """Build the result that a worker describes, or return the reason why there is none."""
    return _build_result(json.loads(reply), messages)


def parse_preview(
    reply: bytes | str, messages: list[Message], settings: CompressionSettings, model: str
) -> Preview:
    """Build the preview that a worker describes; without one, preview `trim`, as traffic would.

    Raises ToolUnavailable if even `trim` fails.
    """
    fields = json.loads(reply) if isinstance(reply, bytes) else {}
    cut = _build_result(fields.get("cut", fields), messages) if fields else str(reply)
    if isinstance(cut, str):
        return _build_trim_preview(messages, settings, model, cut)
    return Preview(
        compression=cut,
        spans=tuple(PreviewSpan(**row) for row in fields["shown"]),
        next_asked=NextTurn(**fields["next_asked"]),
        next_sent=NextTurn(**fields["next_sent"]),
    )


def _build_result(reply: dict[str, Any], messages: list[Message]) -> CompressionResult | str:
    if "error" in reply:
        return "engine-failed"
    kept = reply["messages"]
    if kept is not None:
        kept = [messages[item] if isinstance(item, int) else item for item in kept]
    return CompressionResult(**{**reply, "messages": kept})


def _build_trim_preview(
    messages: list[Message], settings: CompressionSettings, model: str, note: str
) -> Preview:
    try:
        found = build_preview(messages, replace(settings, engine=FALLBACK_ENGINE), model=model)
    except Exception as error:
        raise ToolUnavailable("compressor", type(error).__name__) from None
    return replace(
        found, compression=replace(found.compression, note=found.compression.note or note)
    )
