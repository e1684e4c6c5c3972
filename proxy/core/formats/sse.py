"""Decode and encode server-sent events (WHATWG HTML section 9.2) as chat providers use them.

Streams are decoded and collected into completions; stored completions are replayed as streams.
Chunk format: platform.openai.com/docs/api-reference/chat-streaming.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from proxy.core.formats.json_marks import count_marks
from proxy.core.formats.provider_json import ParsedJson, estimate_value_count, parse_json

DONE_EVENT: Final = b"data: [DONE]\n\n"
MAX_EVENT_BYTES: Final = 1024 * 1024  # larger ones are passed on in pieces, unparsed
MAX_EVENT_VALUES: Final = 50_000  # JSON values in an event; one with more is passed on unparsed
MAX_BATCH_LINES: Final = 1000  # decoded at a time
EVENT_WORK_BYTES: Final = 64  # decoding an event costs this many bytes of work besides its own
# Limits of the fields of a stored completion, besides choices and usage, that are repeated in every
# chunk; longer ones are sent once.
MAX_HEAD_BYTES: Final = 4096
MAX_LABEL_BYTES: Final = 256
# Fields that every provider sends in every chunk.
_COMMON_FIELDS: Final = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
_BOM: Final = b"\xef\xbb\xbf"
_LINE_ENDS: Final = (b"\n", b"\r")


@dataclass(frozen=True, slots=True)
class SseEvent:
    """An event or a piece of one, as received and decoded."""

    raw: bytes
    # Without the `data:` prefix; empty for comments and late line ends.
    data: bytes = b""
    # None if the data is not JSON.
    parsed: ParsedJson | None = None
    # Of the `event:` line.
    name: str = ""
    # Too large to be parsed.
    is_unread: bool = False
    # JSON without `data:`, which clients ignore.
    is_bare: bool = False
    # Its blank line has not come yet.
    is_open: bool = False

    @property
    def is_done(self) -> bool:
        """Whether it is the `[DONE]` event."""
        return self.data.startswith(b"[DONE]")

    @property
    def is_torn(self) -> bool:
        """Whether it is only the beginning of an event, the last one of a stream that broke off."""
        if self.is_unread:
            return not self.raw.endswith(_LINE_ENDS)
        return self.is_open and bool(self.data) and self.parsed is None


class SseDecoder:
    """Decodes bytes, split anywhere, into events. Lines end in LF, CRLF, CR or any mixture.

    The raw bytes of all events, joined, are the bytes fed, so that a relay can pass them on
    whatever it makes of them.
    """

    def __init__(self) -> None:
        self._line_pieces: list[bytes] = []  # pieces of an unfinished line
        self._line_bytes = 0
        # Lines of an event that is not complete, line ends included.
        self._event_lines: list[bytes] = []
        self._event_bytes = 0
        self._data_lines: list[bytes] = []
        self._event_name = ""
        self._has_begun = False
        self._after_cr = False
        self._is_skipping = False  # within a line that is passed on unparsed
        self._events: list[SseEvent] = []

    def feed(self, data: bytes) -> list[SseEvent]:
        """Return the events completed by these bytes."""
        return [event for events in self.iter_batches(data) for event in events]

    def iter_batches(self, data: bytes) -> Iterator[list[SseEvent]]:
        """Yield the events in batches of at most `MAX_BATCH_LINES` lines; must be exhausted."""
        # A read may bring tens of thousands of empty events.
        if not data:
            return
        self._events = []
        if self._after_cr and data[:1] == b"\n":  # the other half of a line end
            data = data[1:]
            if self._event_lines:
                self._event_lines[-1] += b"\n"
            else:
                self._events.append(SseEvent(b"\n"))
        self._after_cr = data.endswith(b"\r")
        for number, line in enumerate(data.splitlines(keepends=True), 1):
            if line.endswith(_LINE_ENDS):
                self._end_line(line)
            else:
                self._buffer_piece(line)
            if not number % MAX_BATCH_LINES:
                yield self._events
                self._events = []
        yield self._events

    def flush(self) -> list[SseEvent]:
        """Return what is left when the stream ended without a final line end."""
        self._events = []
        if line := self._take_line():
            self._read_line(line, _strip_line_end(line))
        if self._event_lines:
            self._emit_event(open=True)
        return self._events

    def _buffer_piece(self, piece: bytes) -> None:
        """Buffer a piece of a line; pass on at once what is too long to be read."""
        self._line_pieces.append(piece)
        self._line_bytes += len(piece)
        if self._is_skipping or self._line_bytes > MAX_EVENT_BYTES:
            self._is_skipping = True
            self._emit_unread(self._take_line())

    def _end_line(self, line: bytes) -> None:
        if self._line_pieces:
            line = self._take_line() + line
        if self._is_skipping or _is_too_large(line):
            self._is_skipping = False
            self._emit_unread(line)
        else:
            self._read_line(line, _strip_line_end(line))

    def _take_line(self) -> bytes:
        line = b"".join(self._line_pieces)
        self._line_pieces, self._line_bytes = [], 0
        return line

    def _read_line(self, line: bytes, content: bytes) -> None:
        """Process one line; `content` is the line without its end."""
        if not self._has_begun:
            self._has_begun, content = True, content.removeprefix(_BOM)
        if not content:
            self._end_event(line)
        elif content.startswith(b"data:"):
            self._read_data(line, content[5:].strip())
        elif content.startswith(b":") and not self._event_lines:
            self._events.append(SseEvent(line, is_open=True))
        elif content[:1] in (b"{", b"[") and not self._event_lines:
            # No SSE field begins so: JSON without `data:`.
            self._events.append(
                SseEvent(line, data=content, parsed=parse_json(content), is_bare=True, is_open=True)
            )
        else:
            if content.startswith(b"event:"):
                self._event_name = content[6:].strip().decode("utf-8", "replace")
            self._buffer_line(line)

    def _read_data(self, line: bytes, data: bytes) -> None:
        """Process a data line."""
        # A line that is complete by itself is emitted at once: some servers never send a blank
        # line.
        if not self._data_lines:
            if data.startswith(b"[DONE]"):
                self._emit_data(line, data, None)
                return
            if (
                data[:1] in (b"{", b"[")
                and data[-1:] in (b"}", b"]")
                and (parsed := parse_json(data))
            ):
                self._emit_data(line, data, parsed)
                return
        self._data_lines.append(data)
        self._buffer_line(line)

    def _buffer_line(self, line: bytes) -> None:
        self._event_lines.append(line)
        self._event_bytes += len(line)
        if self._event_bytes > MAX_EVENT_BYTES:
            self._emit_unread(b"")

    def _end_event(self, line: bytes) -> None:
        """Process a blank line, which belongs to the event before it."""
        if self._event_lines:
            self._event_lines.append(line)
            self._emit_event()
        elif self._events and self._events[-1].is_open:
            last = self._events[-1]
            self._events[-1] = SseEvent(
                last.raw + line, last.data, last.parsed, last.name, last.is_unread, last.is_bare
            )
        else:
            self._events.append(SseEvent(line))

    def _emit_event(self, *, open: bool = False) -> None:  # noqa: A002 -- the field's name
        data = b"\n".join(self._data_lines)
        if _is_too_large(data):
            self._emit_unread(b"")
            return
        self._emit_data(b"", data, parse_json(data) if data else None, open=open)

    def _emit_data(
        self,
        line: bytes,
        data: bytes,
        parsed: ParsedJson | None,
        *,
        open: bool = True,  # noqa: A002 -- the field's name
    ) -> None:
        raw = b"".join([*self._event_lines, line]) if self._event_lines else line
        self._events.append(SseEvent(raw, data, parsed, name=self._event_name, is_open=open))
        self._reset_event()

    def _emit_unread(self, line: bytes) -> None:
        self._events.append(SseEvent(b"".join([*self._event_lines, line]), is_unread=True))
        self._reset_event()

    def _reset_event(self) -> None:
        self._event_lines, self._event_bytes, self._data_lines, self._event_name = [], 0, [], ""


def _is_too_large(data: bytes) -> bool:
    """Return whether reading the data would block the event loop."""
    # A delta may consist of hundreds of thousands of empty calls.
    if len(data) <= MAX_EVENT_VALUES:  # each value takes a byte at least
        return False
    if len(data) > MAX_EVENT_BYTES:
        return True
    return (
        estimate_value_count(data) > MAX_EVENT_VALUES
        and count_marks(data).weight > MAX_EVENT_VALUES
    )


def _strip_line_end(line: bytes) -> bytes:
    return line.rstrip(b"\r\n")


def encode_event(payload: Any) -> bytes:
    """Encode a payload as one JSON event."""
    return b"data: " + orjson.dumps(payload) + b"\n\n"


def replay_completion(completion: dict[str, Any], *, include_usage: bool) -> Iterator[bytes]:
    """Yield a stored completion as stream events.

    The role first, then each field whole, the finish reason, usage if requested, and `[DONE]`.
    """
    head = {
        name: value
        for name, value in completion.items()
        if name not in ("choices", "usage", "object")
    }
    head["object"] = "chat.completion.chunk"
    later = _select_common_fields(head)
    blank = {"usage": None} if include_usage else {}
    for choice in completion.get("choices", ()):
        for part in _iter_choice_chunks(choice):
            yield encode_event({**head, **blank, "choices": [part]})
            head = later
    if include_usage and completion.get("usage"):
        yield encode_event({**head, "choices": [], "usage": completion["usage"]})
    yield DONE_EVENT


def _select_common_fields(head: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that every chunk repeats: all of them unless they are too long."""
    if len(orjson.dumps(head)) <= MAX_HEAD_BYTES:
        return head
    named = {name: head[name] for name in _COMMON_FIELDS if name in head}
    return {
        name: value for name, value in named.items() if len(orjson.dumps(value)) <= MAX_LABEL_BYTES
    }


def _iter_choice_chunks(choice: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the chunks of one choice."""
    index, message = choice.get("index") or 0, choice.get("message") or {}
    fields = {
        name: value
        for name, value in message.items()
        if value is not None and name not in ("role", "tool_calls", "content")
    }
    contents = list(_iter_contents(message.get("content")))
    calls = message.get("tool_calls") or []
    opening = {"role": message.get("role") or "assistant", "content": "" if contents else None}
    yield {"index": index, "delta": opening, "finish_reason": None}
    for number, content in enumerate(contents or [None]):
        said = (
            fields | ({} if content is None else {"content": content})
            if not number
            else {"content": content}
        )
        logprobs = choice.get("logprobs") if not number else None
        if said or logprobs:
            yield {"index": index, "delta": said, "logprobs": logprobs, "finish_reason": None}
    for number, call in enumerate(calls):
        named = {name: value for name, value in call.items() if name != "index"}
        yield {
            "index": index,
            "delta": {"tool_calls": [{"index": number, **named}]},
            "finish_reason": None,
        }
    rest = {
        name: value
        for name, value in choice.items()
        if name not in ("index", "message", "logprobs", "finish_reason")
    }
    yield {"index": index, "delta": {}, **rest, "finish_reason": choice.get("finish_reason")}


def _iter_contents(content: Any) -> Iterator[Any]:
    """Yield a content in the pieces that streams send."""
    # In a list, texts after other parts are sent as plain texts (Mistral's reasoning models).
    if not isinstance(content, list):
        if content is not None:
            yield content
        return
    parts: list[Any] = []
    for part in content:
        if (
            isinstance(part, dict)
            and part.keys() == {"type", "text"}
            and part["type"] == "text"
            and isinstance(part["text"], str)
        ):
            if parts:
                yield parts
            parts = []
            yield part["text"]
        else:
            parts.append(part)
    if parts:
        yield parts
