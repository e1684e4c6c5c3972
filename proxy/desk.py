"""The text of one cached answer, for staff who may read it: fetched by the worker that this process is, from the store that has it.

Who calls this has checked the permission and written down who looked.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.core.envelope import BadEnvelope, decode
from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Toolbox
from stats.entries import CacheEntry

DEADLINE = 5.0


@dataclass(frozen=True, slots=True)
class Desk:
    """The tools of the request path in this process, and the loop they belong to."""

    loop: asyncio.AbstractEventLoop
    tools: Toolbox


@dataclass(frozen=True, slots=True)
class Text:
    """What was asked and answered. `question` None: no store keeps it; `answer` None: no store has it any more."""

    question: str | None
    answer: str | None


@dataclass(slots=True)
class _State:
    desk: Desk | None = None


_state = _State()


def attach(desk: Desk | None) -> None:
    """Called once by whoever starts the request path in this process."""
    _state.desk = desk


def read_text(entry: CacheEntry) -> Text:
    """Waits, so not for the loop's own thread. Raises ToolUnavailable when a store does not answer."""
    desk = _state.desk
    if desk is None:
        raise ToolUnavailable("desk", "no gateway runs in this process")
    try:
        return asyncio.run_coroutine_threadsafe(_read(desk.tools, entry), desk.loop).result(DEADLINE)
    except TimeoutError as error:
        raise ToolUnavailable("desk", "the stores did not answer in time") from error


async def _read(tools: Toolbox, entry: CacheEntry) -> Text:
    question, value = None, None
    if backend := tools.semantic.get(entry.backend):
        question, value = await backend.read(entry.entry_id) or (None, None)
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
