"""Collect the chunks of a stream into the completion the provider would have sent whole."""

from collections.abc import Iterable, KeysView
from typing import Any, Final

from proxy.core.formats.completion_checks import is_replayable
from proxy.core.formats.provider_errors import ProviderError, find_stream_error
from proxy.core.formats.provider_json import estimate_value_count
from proxy.core.formats.sse import SseEvent

MAX_COLLECTED_BYTES: Final = 16 * 1024 * 1024
MAX_COLLECTED_VALUES: Final = 500_000  # besides those that frame each chunk
FRAME_VALUES_PER_CHUNK: Final = 40  # of an ordinary chunk
TEXT_FIELDS: Final = frozenset(
    {
        "content",
        "refusal",
        "arguments",
        "input",
        "text",
        "thinking",
        "transcript",
        "data",
        "summary",
        "output",
    }
)
TEXT_FIELD_PREFIXES: Final = ("reasoning", "thinking", "thought")
LABEL_FIELDS: Final = frozenset(
    {
        "role",
        "id",
        "type",
        "name",
        "index",
        "format",
        "signature",
        "thought_signature",
        "status",
        "model",
        "provider",
        "object",
    }
)
# Padding against traffic analysis (OpenAI).
IGNORED_FIELDS: Final = frozenset({"obfuscation"})
_CALL_KINDS: Final = ("function", "custom")
# Fields that only identify a chunk: without choices it may be ignored.
_NAMING_FIELDS: Final = (
    frozenset({"id", "object", "created", "model", "system_fingerprint", "service_tier", "type"})
    | IGNORED_FIELDS
)
_NON_HEAD_FIELDS: Final = frozenset({"choices", "usage"}) | IGNORED_FIELDS


class StreamCollector:
    """Merges chunks into one `chat.completion`.

    Clients merge deltas in different ways, so only what all of them read alike makes a completion
    (`is_sound`). Anything else sets `spoiled_reason`, and the stream is passed through and not
    stored. Texts and call `arguments` are joined. Labels such as ids and names are taken once; an
    empty or repeated one is ignored, and a different one spoils.
    """

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, _PartialChoice] = {}
        self._collected_values = 0
        # Of the chunks' JSON so far.
        self.collected_bytes = 0
        # As reported last.
        self.usage: dict[str, Any] | None = None
        self.error: ProviderError | None = None
        # `[DONE]` was received.
        self.has_ended = False
        # At least one choice was received.
        self.has_answered = False
        # Why no completion can be built; "" while it can.
        self.spoiled_reason = ""
        # Something was not understood, which may have been the end of the answer.
        self.has_missed = False

    def take_event(self, event: SseEvent) -> None:
        """Merge one event, whatever it holds."""
        if event.is_unread:
            self.mark_missed("an event that is too large to be read")
        elif event.is_done:
            self.has_ended = True
        elif event.data and event.parsed is None:
            self.mark_missed("an event that is not JSON")
        elif event.parsed is not None:
            if event.is_bare:
                self.mark_missed("JSON that is no event")
            if not event.parsed.is_exact:
                self.mark_spoiled("JSON that cannot be written again as it is")
            self.collected_bytes += len(event.data)
            self._collected_values += max(
                0, estimate_value_count(event.data) - FRAME_VALUES_PER_CHUNK
            )
            if self._is_full():
                self.mark_missed("more than can be kept")
            self._take_value(event.parsed.value, event.name)

    def take_chunk(self, chunk: dict[str, Any]) -> None:
        """Merge one chunk."""
        self._take_value(chunk, "")

    def mark_spoiled(self, reason: str) -> None:
        """Record why no completion can be built from this stream; the first reason stands."""
        self.spoiled_reason = self.spoiled_reason or reason

    def mark_missed(self, what: str) -> None:
        """Record that something was not understood."""
        self.has_missed = True
        self.mark_spoiled(what)

    def _take_value(self, value: Any, name: str) -> None:
        if (
            self.error is None
            and not self.has_ended
            and (error := find_stream_error(value, event_name=name))
        ):
            self.error = error
            return
        if not isinstance(value, dict):
            self.mark_missed("an event that is no object")
            return
        if isinstance(value.get("usage"), dict):
            self.usage = value["usage"]
        if self.has_ended:
            return
        choices = value.get("choices")
        if choices is not None and not isinstance(choices, list):
            self.mark_missed("choices that are no list")
        elif choices:
            self.has_answered = True
            self._take_choices(choices)
        if choices is not None or "usage" in value:
            self._head |= {
                name: part
                for name, part in value.items()
                if name not in _NON_HEAD_FIELDS and part is not None
            }
        elif name != "ping" and not value.keys() <= _NAMING_FIELDS:
            self.mark_missed("an event without choices")

    def _is_full(self) -> bool:
        return (
            self.collected_bytes > MAX_COLLECTED_BYTES
            or self._collected_values > MAX_COLLECTED_VALUES
        )

    def _take_choices(self, choices: list[Any]) -> None:
        if self._is_full():
            return
        for choice in choices:
            index = (choice.get("index") or 0) if isinstance(choice, dict) else None
            if not isinstance(choice, dict) or type(index) is not int or index < 0:
                self.mark_missed("a choice that is no object with a whole number for its index")
                continue
            for conflict in self._choices.setdefault(index, _PartialChoice()).merge_chunk(choice):
                self.mark_spoiled(conflict)

    @property
    def is_complete(self) -> bool:
        """Whether every choice has its finish_reason and no error came."""
        finished = all(choice.is_finished for choice in self._choices.values())
        return bool(self._choices) and finished and self.error is None

    def is_sound(self, completion: dict[str, Any]) -> bool:
        """Return whether the built completion is what the stream said and can be replayed."""
        return not self.spoiled_reason and self.error is None and is_replayable(completion)

    def build_completion(self) -> dict[str, Any]:
        """Build a `chat.completion` object from the chunks so far."""
        choices = [self._choices[index].build_choice(index) for index in sorted(self._choices)]
        whole = {**self._head, "object": "chat.completion", "choices": choices}
        return whole | {"usage": self.usage} if self.usage else whole


class _PartialChoice:
    """One choice, merged from deltas."""

    def __init__(self) -> None:
        self._message = _PartialObject()
        self._calls = _PartialToolCalls()
        self._logprobs: _PartialObject | None = None
        self._fields: dict[str, Any] = {}

    @property
    def is_finished(self) -> bool:
        return bool(self._fields.get("finish_reason"))

    def merge_chunk(self, choice: dict[str, Any]) -> list[str]:
        """Merge one chunk's part of the choice; return what clients would merge differently."""
        conflicts = [
            *self._merge_message_delta(choice.get("delta")),
            *self._merge_choice_fields(choice),
        ]
        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict):
            self._logprobs = self._logprobs or _PartialObject()
            conflicts += self._logprobs.merge_fields(logprobs.items())
        elif logprobs is not None:
            conflicts.append("log probabilities that are no object")
        return conflicts

    def _merge_message_delta(self, delta: Any) -> list[str]:
        if delta is None:
            return []
        if not isinstance(delta, dict):
            return ["a delta that is no object"]
        conflicts = self._message.merge_fields(
            (name, value) for name, value in delta.items() if name != "tool_calls"
        )
        calls = delta.get("tool_calls")
        if isinstance(calls, list):
            for call in calls:
                conflicts += self._calls.merge_delta(call)
        elif calls is not None:
            conflicts.append("tool calls that are no list")
        return conflicts

    def _merge_choice_fields(self, choice: dict[str, Any]) -> list[str]:
        conflicts = []
        for name, value in choice.items():
            if name in ("index", "delta", "logprobs") or value is None or name in IGNORED_FIELDS:
                continue
            before = self._fields.get(name)
            if name in ("message", "text") or (
                isinstance(value, str) and before and value and value != before
            ):
                conflicts.append(
                    f"a choice's {name} beside its delta" if not before else f"another {name}"
                )
                continue
            if value != "" or before is None:
                self._fields[name] = value
        return conflicts

    def build_choice(self, index: int) -> dict[str, Any]:
        message = {"role": "assistant", "content": None} | self._message.join_pieces()
        if self._calls:
            message["tool_calls"] = self._calls.build_tool_calls()
        message.setdefault("refusal", None)
        choice = {"index": index, "message": message, "finish_reason": None}
        if self._logprobs is not None:
            choice["logprobs"] = self._logprobs.join_pieces()
        return choice | self._fields


class _PartialObject:
    """An object whose fields arrive in pieces."""

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}

    def merge_fields(self, fields: Iterable[tuple[str, Any]]) -> list[str]:
        """Merge fields; return descriptions of the conflicts."""
        conflicts = []
        for name, value in fields:
            if value is None:
                self._fields.setdefault(name, None)
            elif name not in IGNORED_FIELDS and (conflict := self._merge_value(name, value)):
                conflicts.append(conflict)
        return conflicts

    def _merge_value(self, name: str, value: Any) -> str:
        before = self._fields.get(name)
        if isinstance(value, str) and _is_text_field(name):
            return self._merge_text(name, before, value)
        if isinstance(value, list):
            return self._merge_list(name, before, value)
        if isinstance(value, dict) and isinstance(before, _PartialObject | None):
            into = self._fields[name] = before or _PartialObject()
            return next(iter(into.merge_fields(value.items())), "")
        if before is None or before == "":
            self._fields[name] = value
        elif isinstance(value, str) and name not in LABEL_FIELDS:
            return f"{name} in pieces" if value else ""
        elif value != "" and (type(before) is not type(value) or before != value):
            return f"another {name}"
        return ""

    def _merge_text(self, name: str, before: Any, value: str) -> str:
        if before is None:
            self._fields[name] = _PartialText([value])
        elif isinstance(before, _PartialText):
            before.pieces.append(value)
        elif isinstance(before, _PartialList) and name == "content":
            return before.append_text(value)
        elif value:
            return f"{name} that is a text and something else"
        return ""

    def _merge_list(self, name: str, before: Any, value: list[Any]) -> str:
        if isinstance(before, _PartialText):
            if not value:
                return ""
            if name != "content" or any(before.pieces):
                return f"{name} that is a text and a list"
            before = None
        if before is not None and not isinstance(before, _PartialList):
            return f"{name} that is a list and something else"
        into = self._fields[name] = before or _PartialList(name)
        return into.merge_items(value)

    def get(self, name: str) -> Any:
        return self._fields.get(name)

    def keys(self) -> KeysView[str]:
        return self._fields.keys()

    def join_pieces(self) -> dict[str, Any]:
        return {name: _join_value(value) for name, value in self._fields.items()}


def _is_text_field(name: str) -> bool:
    return name not in LABEL_FIELDS and (
        name in TEXT_FIELDS or name.startswith(TEXT_FIELD_PREFIXES)
    )


class _PartialText:
    """A text in pieces."""

    # Joined at the end: appending each piece to the text would cost the square of its length.
    def __init__(self, pieces: list[str]) -> None:
        self.pieces = pieces

    def join_pieces(self) -> str:
        return "".join(self.pieces)


class _PartialList:
    """A list that grows.

    Consecutive items of one type and index are pieces of one item (OpenRouter's
    `reasoning_details`), as are thoughts in a content. Items without an index are separate.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._items: list[Any] = []
        self._texts_follow = False

    def merge_items(self, items: list[Any]) -> str:
        """Merge items; return a description of the first conflict, or ""."""
        conflict = ""
        for item in items:
            conflict = conflict or self._find_conflict(item)
            if (merged := self._merge_into_last(item)) is None:
                self._items.append(item)
            conflict = conflict or merged or ""
        return conflict

    def append_text(self, text: str) -> str:
        """Append plain text that follows the parts of a content, as its last part; return ""."""
        if text:
            if not self._texts_follow:
                self._items.append(_PartialObject())
                self._items[-1].merge_fields([("type", "text")])
            self._texts_follow = True
            self._items[-1].merge_fields([("text", text)])
        return ""

    def _find_conflict(self, item: Any) -> str:
        if self._texts_follow:
            return "a list of parts after a text"
        if self._name == "content" and isinstance(item, dict) and item.get("type") == "text":
            return "texts in lists of parts"  # replayed, they would be plain texts
        if self._name == "thinking_blocks" and self._items:
            return "thinking in pieces"  # only their own client knows which pieces belong together
        return ""

    def _merge_into_last(self, item: Any) -> str | None:
        """Merge an item that is a piece of the last one; return a conflict or "".

        None if it is a separate item.
        """
        last = self._items[-1] if self._items else None
        if (
            not isinstance(item, dict)
            or not isinstance(last, dict | _PartialObject)
            or not self._is_piece(last, item)
        ):
            return None
        if isinstance(last, dict):
            self._items[-1] = whole = _PartialObject()
            whole.merge_fields(last.items())
            last = whole
        return next(iter(last.merge_fields(item.items())), "")

    def _is_piece(self, last: "dict[str, Any] | _PartialObject", item: dict[str, Any]) -> bool:
        if not isinstance(item.get("type"), str) or last.get("type") != item["type"]:
            return False
        if self._name == "content":
            return last.keys() | item.keys() <= {"type", "thinking"}
        if self._name in ("thinking", "summary"):
            return last.keys() == item.keys() == {"type", "text"}
        if type(item.get("index")) is not int or last.get("index") != item["index"]:
            return False
        return not any(
            name in LABEL_FIELDS and value and last.get(name) and last.get(name) != value
            for name, value in item.items()
        )

    def join_pieces(self) -> list[Any]:
        return [_join_value(item) for item in self._items]


class _PartialToolCalls:
    """The tool calls of a message."""

    # Providers number them from 0, from 1, out of order, with null, or not at all.
    def __init__(self) -> None:
        self._calls: list[_PartialCall] = []
        self._by_index: dict[int, _PartialCall] = {}
        self._by_id: dict[str, _PartialCall] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def merge_delta(self, delta: Any) -> list[str]:
        """Merge one call's delta; return descriptions of the conflicts."""
        if not isinstance(delta, dict):
            return ["a tool call that is no object"]
        index, call_id = delta.get("index"), delta.get("id")
        if index is not None and (type(index) is not int or index < 0):
            return ["a tool call whose index is no whole number"]
        call_id = call_id if isinstance(call_id, str) else ""
        call, conflicts = self._find_call(index, call_id, _find_call_name(delta)), []
        if call is None:
            call = _PartialCall(index)
            if index is None and not call_id and self._calls:
                conflicts.append("tool calls without index and id")
            self._calls.append(call)
        if index is not None:
            self._by_index[index] = call
        if call_id:
            self._by_id[call_id] = call
        return conflicts + call.merge_delta(delta)

    def _find_call(self, index: int | None, call_id: str, name: str) -> "_PartialCall | None":
        """Find the call that a delta continues; None if it begins another."""
        # Another id with a name begins another call, even under the same index.
        if index is not None:
            call = self._by_index.get(index)
            begins = call is not None and call_id and call.id and call_id != call.id and name
            return None if begins else call
        if call_id:
            return self._by_id.get(call_id)
        return self._calls[-1] if self._calls and not name else None

    def build_tool_calls(self) -> list[dict[str, Any]]:
        calls = self._calls
        if all(call.index is not None for call in calls):
            calls = sorted(calls, key=lambda call: call.index or 0)
        return [call.build_call() for call in calls]


class _PartialCall:
    """One tool call, merged from deltas."""

    def __init__(self, index: int | None) -> None:
        self.index = index
        self._fields = _PartialObject()
        self._name = ""
        self._has_input = False

    @property
    def id(self) -> str:
        found = self._fields.get("id")
        return found if isinstance(found, str) else ""

    def merge_delta(self, delta: dict[str, Any]) -> list[str]:
        conflicts = [conflict] if (conflict := self._merge_name(_find_call_name(delta))) else []
        fields = {name: value for name, value in delta.items() if name != "index"}
        for kind in _CALL_KINDS:
            called = fields.get(kind)
            if isinstance(called, dict):
                self._has_input = self._has_input or bool(
                    called.get("arguments") or called.get("input")
                )
                fields[kind] = {name: value for name, value in called.items() if name != "name"}
        return conflicts + self._fields.merge_fields(fields.items())

    def _merge_name(self, name: str) -> str:
        """Merge a name: repeated whole, or its next piece before any input came."""
        if not name or name == self._name:
            return ""
        # Clients disagree about anything else.
        if self._name and (self._has_input or name.startswith(self._name)):
            return "another name of the same tool call"
        self._name += name
        return ""

    def build_call(self) -> dict[str, Any]:
        call = self._fields.join_pieces()
        for kind in _CALL_KINDS:
            if isinstance(call.get(kind), dict):
                call[kind] = {"name": self._name, **call[kind]}
        return call


def _find_call_name(delta: dict[str, Any]) -> str:
    called = [delta[kind] for kind in _CALL_KINDS if isinstance(delta.get(kind), dict)]
    name = called[0].get("name") if called else None
    return name if isinstance(name, str) else ""


def _join_value(value: Any) -> Any:
    return (
        value.join_pieces()
        if isinstance(value, _PartialText | _PartialList | _PartialObject)
        else value
    )
