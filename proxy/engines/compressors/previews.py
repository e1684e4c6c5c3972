"""Previews by the compression workers, so that they show what those do when late or busy too."""

import asyncio
import json
from dataclasses import replace

from plans.snapshot import CompressionSettings
from proxy.core.compression.compress import FALLBACK_ENGINE
from proxy.core.compression.preview import NextTurn, Preview, PreviewSpan, build_preview
from proxy.core.compression.types import CompressionTerms
from proxy.core.errors import ToolUnavailable
from proxy.core.types import Message
from proxy.engines.compressors.pool import PoolCompressor, build_result
from proxy.engines.compressors.worker import build_job


async def request_preview(
    pool: PoolCompressor,
    messages: list[Message],
    settings: CompressionSettings,
    *,
    model: str,
    terms: CompressionTerms | None = None,
) -> Preview:
    """Preview what the pool would make of the conversation.

    Raises ToolUnavailable if even `trim` fails.
    """
    # A conversation may be long and its preview is twice that: serialized and parsed in threads.
    request = await asyncio.to_thread(build_job, messages, settings, model, "preview", terms=terms)
    reply = await pool.request_reply(messages, request)
    return await asyncio.to_thread(_parse_reply, reply, messages, settings, model)


def _parse_reply(
    reply: bytes | str, messages: list[Message], settings: CompressionSettings, model: str
) -> Preview:
    fields = json.loads(reply) if isinstance(reply, bytes) else {}
    cut = build_result(fields.get("cut", fields), messages) if fields else str(reply)
    if isinstance(cut, str):
        return _build_trim_preview(messages, settings, model, cut)
    return Preview(
        compression=cut,
        spans=tuple(PreviewSpan(**row) for row in fields["shown"]),
        next_asked=NextTurn(**fields["next_asked"]),
        next_sent=NextTurn(**fields["next_sent"]),
    )


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
