"""The text of one cached answer, for staff who may read it: fetched by the worker that this process is, from the store that has it.

Who calls this has checked the permission and written down who looked.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from proxy import bridge
from proxy.core.envelope import BadEnvelope, decode
from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Toolbox
from stats.entries import CacheEntry

DEADLINE = 5.0


@dataclass(frozen=True, slots=True)
class Text:
    """What was asked and answered. `question` None: no store keeps it; `answer` None: no store has it any more."""

    question: str | None
    answer: str | None


def read_text(entry: CacheEntry) -> Text:
    """Waits, so not for the loop's own thread. Raises ToolUnavailable when a store does not answer."""
    try:
        return bridge.run(lambda tools: _read(tools, entry), seconds=DEADLINE)
    except bridge.Elsewhere as error:
        raise ToolUnavailable("desk", "no gateway runs in this process") from error
    except TimeoutError as error:
        raise ToolUnavailable("desk", "the stores did not answer in time") from error


async def _read(tools: Toolbox, entry: CacheEntry) -> Text:
    question: str | None = None
    value: bytes | None = None
    for backend in (tools.semantic[name] for name in entry.backend.split() if name in tools.semantic):
        if found := await backend.get(entry.entry_id):
            question, value = found.question, found.envelope
    if entry.exact:
        value = await tools.exact.get(entry.entry_id) or value
    return Text(question, _answer(value))


def _answer(value: bytes | None) -> str | None:
    """What the model said; a message without words (a call of tools, a refusal) as JSON."""
    if value is None:
        return None
    try:
        message: dict[str, Any] = orjson.loads(decode(value).completion)["choices"][0]["message"]
    except (BadEnvelope, ValueError, LookupError, TypeError):
        return None
    content = message.get("content")
    return content if isinstance(content, str) and content else orjson.dumps(message, option=orjson.OPT_INDENT_2).decode()
