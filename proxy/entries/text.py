"""Read the text of one cached answer from the stores, for staff who may see it.

The caller has checked the permission and recorded who reads it.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from proxy import bridge
from proxy.core.caching.envelope import BadEnvelope, Envelope, decode_in_thread
from proxy.core.errors import ToolUnavailable
from proxy.pipeline.toolbox import Toolbox
from stats.models.cache_entries import CacheEntry

READ_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class EntryText:
    """The question and answer of a cached entry."""

    # None: no store has it.
    question: str | None
    # None: no store has it any more.
    answer: str | None


def read_text(entry: CacheEntry) -> EntryText:
    """Read an entry's text. Blocks, so not for the loop's own thread.

    Raises ToolUnavailable when a store does not answer.
    """
    try:
        return bridge.run_in_loop(
            lambda tools: _read_from_stores(tools, entry), seconds=READ_TIMEOUT_SECONDS
        )
    except bridge.GatewayNotRunning as error:
        raise ToolUnavailable("desk", "no gateway runs in this process") from error
    except TimeoutError as error:
        raise ToolUnavailable("desk", "the stores did not answer in time") from error


async def _read_from_stores(tools: Toolbox, entry: CacheEntry) -> EntryText:
    question: str | None = None
    envelope: Envelope | None = None
    named = entry.backend.split()
    for backend in (each for each in tools.list_semantic_caches() if each.name in named):
        found = await backend.get(entry.entry_id)
        if found and (envelope := await _decode_value(tools, found.envelope, entry)):
            question = envelope.question
    if entry.exact and (value := await tools.exact_cache.get(entry.entry_id)):
        envelope = await _decode_value(tools, value, entry) or envelope
    return EntryText(question, _extract_answer_text(envelope))


async def _decode_value(tools: Toolbox, value: bytes, entry: CacheEntry) -> Envelope | None:
    """Decode an envelope; None unless the gateway sealed it for this entry."""
    try:
        envelope = await decode_in_thread(value, tools.sealer)
    except BadEnvelope:
        return None
    return (
        envelope
        if envelope.entry_id == entry.entry_id and envelope.plan_id == entry.plan_id
        else None
    )


def _extract_answer_text(envelope: Envelope | None) -> str | None:
    """Return the model's text, or the message as JSON if it has none (a tool call, a refusal)."""
    if envelope is None:
        return None
    try:
        message: dict[str, Any] = orjson.loads(envelope.completion)["choices"][0]["message"]
    except (ValueError, LookupError, TypeError):
        return None
    content = message.get("content")
    return (
        content
        if isinstance(content, str) and content
        else orjson.dumps(message, option=orjson.OPT_INDENT_2).decode()
    )
