"""Server-sent events (WHATWG HTML section 9.2) as chat providers use them.

    bytes -> Decoder -> events -> Collector -> completion          (a streamed answer becomes an entry)
    completion -> replay -> bytes                                  (an entry becomes a stream)

The raw bytes of all events, put together, are the bytes that came: a relay passes them on whatever it makes of them. Events that some
servers separate by a single line end are told apart where the first of them is a whole JSON value by itself.
Chunk shape: platform.openai.com/docs/api-reference/chat-streaming.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from proxy.core.formats.json_marks import count_marks
from proxy.core.formats.provider_json import ParsedJson, count_quickly, parse_json

DONE: Final = b"data: [DONE]\n\n"
MAX_EVENT_BYTES: Final = 1024 * 1024  # larger ones are passed on in pieces, unread
MAX_EVENT_VALUES: Final = 50_000  # of JSON in one event; with more of them it is passed on unread
MAX_BATCH_LINES: Final = 1000  # decoded at a time
EVENT_WORK: Final = 64  # bytes that decoding an event takes the time of, beside its own
MAX_HEAD_BYTES: Final = 4096  # of what a stored completion says beside its choices and usage; more is said once only
MAX_LABEL_BYTES: Final = 256
_EVERYWHERE: Final = ("id", "object", "created", "model", "system_fingerprint", "service_tier")  # in every chunk of every provider
_BOM: Final = b"\xef\xbb\xbf"
_ENDS: Final = (b"\n", b"\r")


@dataclass(frozen=True, slots=True)
class Event:
    """An event or a piece of one: its bytes as they came, and what it says.

    `data`: without the `data:` prefix, empty of comments and of line ends that come after their event; `parsed`: the data as JSON, None
    where it is none; `name`: of the `event:` line; `unread`: it is too large to be looked at; `bare`: it is JSON without `data:`, which
    clients pass over; `open`: its blank line has not come yet.
    """

    raw: bytes
    data: bytes = b""
    parsed: ParsedJson | None = None
    name: str = ""
    unread: bool = False
    bare: bool = False
    open: bool = False

    @property
    def done(self) -> bool:
        """Whether it is the mark at the end of a stream."""
        return self.data.startswith(b"[DONE]")

    @property
    def torn(self) -> bool:
        """Whether it is a beginning that makes no sense alone: the last one of a stream that broke off."""
        if self.unread:
            return not self.raw.endswith(_ENDS)
        return self.open and bool(self.data) and self.parsed is None


class Decoder:
    """Bytes in, events out, wherever the network cut them. Lines end in LF, CRLF, CR, or any mixture."""

    def __init__(self) -> None:
        self._line: list[bytes] = []  # pieces of a line whose end has not come
        self._line_bytes = 0
        self._lines: list[bytes] = []  # lines of an event that is not complete, line ends included
        self._lines_bytes = 0
        self._data: list[bytes] = []
        self._name = ""
        self._begun = False
        self._after_cr = False
        self._skipping = False  # within a line that is passed on unread
        self._events: list[Event] = []

    def feed(self, data: bytes) -> list[Event]:
        """The events completed by these bytes."""
        return [event for events in self.batches(data) for event in events]

    def batches(self, data: bytes) -> Iterator[list[Event]]:
        """The same in lists that no more than `MAX_BATCH_LINES` lines make: a read may bring tens of thousands of empty events. To be
        taken to the end."""
        if not data:
            return
        self._events = []
        if self._after_cr and data[:1] == b"\n":  # the other half of a line end
            data = data[1:]
            if self._lines:
                self._lines[-1] += b"\n"
            else:
                self._events.append(Event(b"\n"))
        self._after_cr = data.endswith(b"\r")
        for number, line in enumerate(data.splitlines(keepends=True), 1):
            if line.endswith(_ENDS):
                self._end_line(line)
            else:
                self._hold(line)
            if not number % MAX_BATCH_LINES:
                yield self._events
                self._events = []
        yield self._events

    def flush(self) -> list[Event]:
        """What is left when the stream ended without a final line end."""
        self._events = []
        if line := self._take_line():
            self._read(line, _without_end(line))
        if self._lines:
            self._emit_event(open=True)
        return self._events

    def _hold(self, piece: bytes) -> None:
        """Keep a piece of a line; what is too long to be read is passed on at once."""
        self._line.append(piece)
        self._line_bytes += len(piece)
        if self._skipping or self._line_bytes > MAX_EVENT_BYTES:
            self._skipping = True
            self._emit_unread(self._take_line())

    def _end_line(self, line: bytes) -> None:
        if self._line:
            line = self._take_line() + line
        if self._skipping or _is_too_much(line):
            self._skipping = False
            self._emit_unread(line)
        else:
            self._read(line, _without_end(line))

    def _take_line(self) -> bytes:
        line = b"".join(self._line)
        self._line, self._line_bytes = [], 0
        return line

    def _read(self, line: bytes, content: bytes) -> None:
        """Take one line in: `content` is the line without its end."""
        if not self._begun:
            self._begun, content = True, content.removeprefix(_BOM)
        if not content:
            self._end_event(line)
        elif content.startswith(b"data:"):
            self._read_data(line, content[5:].strip())
        elif content.startswith(b":") and not self._lines:
            self._events.append(Event(line, open=True))
        elif content[:1] in (b"{", b"[") and not self._lines:  # no field begins so: JSON without `data:`
            self._events.append(Event(line, data=content, parsed=parse_json(content), bare=True, open=True))
        else:
            if content.startswith(b"event:"):
                self._name = content[6:].strip().decode("utf-8", "replace")
            self._keep(line)

    def _read_data(self, line: bytes, data: bytes) -> None:
        """A line of data. What is whole by itself is told at once: some servers never send a blank line."""
        if not self._data:
            if data.startswith(b"[DONE]"):
                self._emit(line, data, None)
                return
            if data[:1] in (b"{", b"[") and data[-1:] in (b"}", b"]") and (parsed := parse_json(data)):
                self._emit(line, data, parsed)
                return
        self._data.append(data)
        self._keep(line)

    def _keep(self, line: bytes) -> None:
        self._lines.append(line)
        self._lines_bytes += len(line)
        if self._lines_bytes > MAX_EVENT_BYTES:
            self._emit_unread(b"")

    def _end_event(self, line: bytes) -> None:
        """A blank line: it belongs to what came before, together with what was kept."""
        if self._lines:
            self._lines.append(line)
            self._emit_event()
        elif self._events and self._events[-1].open:
            last = self._events[-1]
            self._events[-1] = Event(last.raw + line, last.data, last.parsed, last.name, last.unread, last.bare)
        else:
            self._events.append(Event(line))

    def _emit_event(self, *, open: bool = False) -> None:  # noqa: A002 -- the field's name
        data = b"\n".join(self._data)
        if _is_too_much(data):
            self._emit_unread(b"")
            return
        self._emit(b"", data, parse_json(data) if data else None, open=open)

    def _emit(self, line: bytes, data: bytes, parsed: ParsedJson | None, *, open: bool = True) -> None:  # noqa: A002 -- the field's name
        raw = b"".join([*self._lines, line]) if self._lines else line
        self._events.append(Event(raw, data, parsed, name=self._name, open=open))
        self._forget()

    def _emit_unread(self, line: bytes) -> None:
        self._events.append(Event(b"".join([*self._lines, line]), unread=True))
        self._forget()

    def _forget(self) -> None:
        self._lines, self._lines_bytes, self._data, self._name = [], 0, [], ""


def _is_too_much(data: bytes) -> bool:
    """Whether taking it in would hold up others: a delta may consist of hundreds of thousands of empty calls."""
    if len(data) <= MAX_EVENT_VALUES:  # each value takes a byte at least
        return False
    if len(data) > MAX_EVENT_BYTES:
        return True
    return count_quickly(data) > MAX_EVENT_VALUES and count_marks(data).weight > MAX_EVENT_VALUES


def _without_end(line: bytes) -> bytes:
    return line.rstrip(b"\r\n")


def event(payload: Any) -> bytes:
    """One event holding the payload as JSON."""
    return b"data: " + orjson.dumps(payload) + b"\n\n"


def replay(completion: dict[str, Any], *, include_usage: bool) -> Iterator[bytes]:
    """A stored completion as the events of a stream: role first, then each field whole, the finish, usage if asked for, `[DONE]`."""
    head = {name: value for name, value in completion.items() if name not in ("choices", "usage", "object")}
    head["object"] = "chat.completion.chunk"
    later = _repeated(head)
    blank = {"usage": None} if include_usage else {}
    for choice in completion.get("choices", ()):
        for part in _parts(choice):
            yield event({**head, **blank, "choices": [part]})
            head = later
    if include_usage and completion.get("usage"):
        yield event({**head, "choices": [], "usage": completion["usage"]})
    yield DONE


def _repeated(head: dict[str, Any]) -> dict[str, Any]:
    """What of it every chunk says: all, unless it is so long that saying it with each of many would never end."""
    if len(orjson.dumps(head)) <= MAX_HEAD_BYTES:
        return head
    named = {name: head[name] for name in _EVERYWHERE if name in head}
    return {name: value for name, value in named.items() if len(orjson.dumps(value)) <= MAX_LABEL_BYTES}


def _parts(choice: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The chunks of one choice."""
    index, message = choice.get("index") or 0, choice.get("message") or {}
    fields = {name: value for name, value in message.items() if value is not None and name not in ("role", "tool_calls", "content")}
    contents = list(_contents(message.get("content")))
    calls = message.get("tool_calls") or []
    opening = {"role": message.get("role") or "assistant", "content": "" if contents else None}
    yield {"index": index, "delta": opening, "finish_reason": None}
    for number, content in enumerate(contents or [None]):
        said = fields | ({} if content is None else {"content": content}) if not number else {"content": content}
        logprobs = choice.get("logprobs") if not number else None
        if said or logprobs:
            yield {"index": index, "delta": said, "logprobs": logprobs, "finish_reason": None}
    for number, call in enumerate(calls):
        named = {name: value for name, value in call.items() if name != "index"}
        yield {"index": index, "delta": {"tool_calls": [{"index": number, **named}]}, "finish_reason": None}
    rest = {name: value for name, value in choice.items() if name not in ("index", "message", "logprobs", "finish_reason")}
    yield {"index": index, "delta": {}, **rest, "finish_reason": choice.get("finish_reason")}


def _contents(content: Any) -> Iterator[Any]:
    """The content as streams bring it: texts that follow other parts come as plain texts (Mistral's reasoning models)."""
    if not isinstance(content, list):
        if content is not None:
            yield content
        return
    parts: list[Any] = []
    for part in content:
        if isinstance(part, dict) and part.keys() == {"type", "text"} and part["type"] == "text" and isinstance(part["text"], str):
            if parts:
                yield parts
            parts = []
            yield part["text"]
        else:
            parts.append(part)
    if parts:
        yield parts
