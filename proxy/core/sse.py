"""Server-sent events (WHATWG HTML section 9.2) as chat providers use them, and the way between chunks and whole completions.

    bytes -> Decoder -> events -> Collector -> completion          (a streamed answer becomes an entry)
    completion -> replay -> bytes                                  (an entry becomes a stream)

Chunk shape: platform.openai.com/docs/api-reference/chat-streaming. What we do not know of a delta is kept: text is joined, lists
are extended, the rest is taken from the last chunk that has it, so provider extensions such as `reasoning_content` survive.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

DONE = b"data: [DONE]\n\n"
_MAX_EVENT = 16 * 1024 * 1024


class BadStream(ValueError):
    """The stream is no stream of chat chunks."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its bytes as they came (blank line included) and its data, without the `data:` prefix. Comments have empty data."""

    raw: bytes
    data: bytes

    @property
    def done(self) -> bool:
        return self.data == b"[DONE]"


class Decoder:
    """Bytes in, whole events out, wherever the network cut them. Line ends may be LF, CRLF or CR LF mixed."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Event]:
        """The events completed by these bytes. Raises BadStream when one event exceeds 16 MiB."""
        self._buffer += data
        events = []
        while (end := _event_end(self._buffer)) > 0:
            raw, self._buffer = self._buffer[:end], self._buffer[end:]
            events.append(Event(raw, _data_of(raw)))
        if len(self._buffer) > _MAX_EVENT:
            raise BadStream("an event of more than 16 MiB")
        return events

    def flush(self) -> list[Event]:
        """What is left when the stream ended without a final blank line."""
        raw, self._buffer = self._buffer, b""
        return [Event(raw + b"\n\n", _data_of(raw))] if raw.strip() else []


def _event_end(buffer: bytes) -> int:
    """Index just past the first blank line, 0 when there is none."""
    ends = [found + len(mark) for mark in (b"\n\n", b"\r\n\r\n", b"\n\r\n") if (found := buffer.find(mark)) >= 0]
    return min(ends, default=0)


def _data_of(raw: bytes) -> bytes:
    lines = [line[5:].removeprefix(b" ") for line in raw.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines).strip()


def event(payload: Any) -> bytes:
    """One event holding the payload as JSON."""
    return b"data: " + orjson.dumps(payload) + b"\n\n"


class Collector:
    """Chunks in, one `chat.completion` out. `whole` once every choice finished and nothing went wrong."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self.usage: dict[str, Any] | None = None
        self.error: Any = None
        self.ended = False

    def add(self, chunk: dict[str, Any]) -> None:
        """Take one chunk. Raises BadStream when its choices are misshapen."""
        if chunk.get("error"):
            self.error = chunk["error"]
            return
        if isinstance(chunk.get("usage"), dict):
            self.usage = chunk["usage"]
        self._head |= {name: value for name, value in chunk.items() if name not in ("choices", "usage") and value is not None}
        for choice in chunk.get("choices") or ():
            if not isinstance(choice, dict) or not isinstance(choice.get("delta", {}), dict | None):
                raise BadStream("a choice that is no object with a delta")
            self._add_choice(choice)

    def _add_choice(self, choice: dict[str, Any]) -> None:
        index = choice.get("index") or 0
        mine = self._choices.setdefault(index, {"index": index, "message": {"role": "assistant", "content": None}, "finish_reason": None})
        _merge(mine["message"], choice.get("delta") or {})
        if isinstance(choice.get("logprobs"), dict):
            _merge(mine.setdefault("logprobs", {}), choice["logprobs"])
        for name, value in choice.items():
            if name not in ("index", "delta", "logprobs") and value is not None:
                mine[name] = value

    @property
    def whole(self) -> bool:
        """Whether a complete answer was seen: every choice has its finish_reason and no error came."""
        finished = all(choice["finish_reason"] for choice in self._choices.values())
        return bool(self._choices) and finished and self.error is None

    def completion(self) -> dict[str, Any]:
        """The chunks so far as a `chat.completion` object."""
        choices = [self._choices[index] for index in sorted(self._choices)]
        for choice in choices:
            choice["message"].setdefault("refusal", None)
        whole = {**self._head, "object": "chat.completion", "choices": choices}
        return whole | {"usage": self.usage} if self.usage else whole


def _merge(into: dict[str, Any], delta: dict[str, Any]) -> None:
    for name, value in delta.items():
        if value is None:
            into.setdefault(name, None)
        elif name == "tool_calls" and isinstance(value, list):
            _merge_calls(into, value)
        elif isinstance(value, str) and name not in ("role", "id", "type"):
            into[name] = (into.get(name) or "") + value
        elif isinstance(value, list):
            into[name] = [*(into.get(name) or []), *value]
        elif isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = dict(value) if isinstance(value, dict) else value


def _merge_calls(into: dict[str, Any], deltas: list[Any]) -> None:
    calls: list[dict[str, Any]] = into.get("tool_calls") or []
    into["tool_calls"] = calls
    for delta in deltas:
        if not isinstance(delta, dict):
            raise BadStream("a tool call that is no object")
        place = delta.get("index", len(calls))
        if not isinstance(place, int) or not 0 <= place <= len(calls):
            raise BadStream("tool calls out of order")
        if place == len(calls):
            calls.append({})
        _merge(calls[place], {name: value for name, value in delta.items() if name != "index"})


def replay(completion: dict[str, Any], *, include_usage: bool) -> Iterator[bytes]:
    """A stored completion as the events of a stream: role first, then each field whole, the finish, usage if asked for, `[DONE]`."""
    head = {name: value for name, value in completion.items() if name not in ("choices", "usage", "object")}
    head["object"] = "chat.completion.chunk"
    blank = {"usage": None} if include_usage else {}
    for choice in completion.get("choices", ()):
        for part in _parts(choice):
            yield event({**head, **blank, "choices": [part]})
    if include_usage and completion.get("usage"):
        yield event({**head, "choices": [], "usage": completion["usage"]})
    yield DONE


def _parts(choice: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The chunks of one choice."""
    index, message = choice.get("index", 0), choice.get("message") or {}
    fields = {name: value for name, value in message.items() if value is not None and name not in ("role", "tool_calls")}
    calls = message.get("tool_calls") or []
    opening = {"role": message.get("role", "assistant"), "content": "" if "content" in fields else None}
    yield {"index": index, "delta": opening, "finish_reason": None}
    if fields or choice.get("logprobs"):
        yield {"index": index, "delta": fields, "logprobs": choice.get("logprobs"), "finish_reason": None}
    for number, call in enumerate(calls):
        yield {"index": index, "delta": {"tool_calls": [{"index": number, **call}]}, "finish_reason": None}
    rest = {name: value for name, value in choice.items() if name not in ("index", "message", "logprobs", "finish_reason")}
    yield {"index": index, "delta": {}, **rest, "finish_reason": choice.get("finish_reason")}
