"""Parse and validate a chat completion request, from bytes to a ChatRequest."""

import json
import re
from dataclasses import dataclass, field
from types import NoneType
from typing import Any

import orjson

from proxy.core.errors import BadRequest, BodyTooDeep, TooManyParts
from proxy.core.event_loop import MAX_INLINE_BYTES
from proxy.core.formats.body_limits import DEFAULT_LIMITS, BodyLimits
from proxy.core.formats.cache_controls import CacheControls, parse_cache_object
from proxy.core.formats.json_marks import KEY_WEIGHT, count_marks
from proxy.core.types import Message

PLAN_FIELD = "token_saving_plan_id"
GATEWAY_FIELDS = (PLAN_FIELD, "cache")
# Keys of `metadata` that name a plan, the first one first.
PLAN_METADATA_KEYS = (PLAN_FIELD, "token_saving_plan")
REFUSED_FIELDS = ("api_base", "api_key", "api_version", "base_url", "extra_headers", "extra_query")
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_LONG_NUMBER = re.compile(rb"\d{20,}")
# The regular expression takes 4 ms for a chat of 60,000 tokens; few bodies hold so many digits in a
# row, which is seen in 0.2.
_DIGITS_TO_ZERO, _TWENTY_ZEROS = bytes.maketrans(b"123456789", b"0" * 9), b"0" * 20
_ESCAPED_NUL = b"\\u0000"
_STRING_PATTERN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
MAX_INTEGER_DIGITS = 20  # of a 64-bit integer, with its sign


# A body that a provider may accept but that the gateway does not fully understand (`is_unusual`) is
# passed through and excluded from everything that reads it: roles of other templates, parts that
# are plain texts, calls without a function, NUL, integers beyond 64 bits. Those are written back as
# they came, since a rounded one would be another request. Nesting is limited because the JSON
# parser accepts more than it can serialize again, and no key may come twice: two readers would take
# two different values.
@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A parsed chat completion request."""

    # Without the gateway's own fields; never changed in place.
    body: dict[str, Any]
    model: str
    messages: list[Message]
    stream: bool = False
    include_usage: bool = False
    user: str | None = None
    # None: the body names no plan. "" is a name: it asks for none.
    plan_name: str | None = None
    cache_controls: CacheControls = field(default_factory=CacheControls)
    # The client's bytes, if they held no fields of the gateway.
    raw_body: bytes | None = None
    # Of what the client sent.
    size_bytes: int = 0
    # Holds something the gateway does not understand.
    is_unusual: bool = False


def parse_chat_request(raw: bytes, limits: BodyLimits = DEFAULT_LIMITS) -> ChatRequest:
    """Parse a request body.

    Raises BadRequest, naming the field in `param`, BodyTooDeep or TooManyParts.
    """
    body, unusual = _load_body(raw, limits)
    model = _read_field(body, "model", str)
    if not model:
        raise BadRequest(
            "model is required: the name of a route, see GET /v1/models.", param="model"
        )
    _refuse_upstream_fields(body)
    stream = _read_field(body, "stream", bool) or False
    options = _read_field(body, "stream_options", dict) or {}
    _check_numbers(body)
    user = _read_field(body, "user", str)
    messages: Any = body.get("messages")
    unusual = _check_messages(messages, limits) or unusual
    plan_name, stripped = _strip_gateway_fields(body)
    return ChatRequest(
        body=stripped,
        model=model,
        messages=messages,
        stream=stream,
        include_usage=bool(stream and options.get("include_usage")),
        user=user,
        plan_name=plan_name,
        cache_controls=parse_cache_object(body.get("cache")),
        raw_body=raw if stripped is body else None,
        size_bytes=len(raw),
        is_unusual=unusual,
    )


def load_json_object(raw: bytes, *, depth: int = DEFAULT_LIMITS.depth) -> dict[str, Any]:
    """Parse the JSON object of a request that the gateway answers itself.

    Raises BadRequest, or BodyTooDeep beyond `depth` levels.
    """
    body, unusual = _load_body(raw, BodyLimits(depth=depth))
    if unusual:
        raise BadRequest(
            "The body holds a NUL character (\\u0000), or a number beyond 64 bits, which "
            "would lose digits."
        )
    return body


def _load_body(raw: bytes, limits: BodyLimits) -> tuple[dict[str, Any], bool]:
    """Parse the JSON object; also return whether it has NUL or integers beyond 64 bits."""
    # A body of fewer bytes than `limits.values` cannot hold more values.
    if len(raw) > limits.values and count_marks(raw).weight > limits.values:
        raise TooManyParts(
            f"The body holds more than {limits.values} JSON values, of which a key "
            f"counts as {KEY_WEIGHT}."
        )
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if "depth limit" in str(error):
            raise BodyTooDeep(f"The body is nested deeper than {limits.depth} levels.") from None
        raise BadRequest(f"The body is not valid JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.")
    # The parser rounds integers beyond 64 bits to floats: look for exactly those values.
    long = _LONG_NUMBER.findall(raw) if _TWENTY_ZEROS in raw.translate(_DIGITS_TO_ZERO) else ()
    rounded = frozenset(map(float, long))
    found = _inspect_body(body, depth=limits.depth, nul=_ESCAPED_NUL in raw, rounded=rounded)
    if found.key_count != raw.count(b":") and found.key_count != _count_keys(raw):
        _refuse_repeated_key(raw)
    return (_load_exactly(raw) if found.has_rounded else body), found.has_rounded or found.has_nul


def _count_keys(raw: bytes) -> int:
    return (
        count_marks(raw).key_count
        if len(raw) > MAX_INLINE_BYTES
        else _STRING_PATTERN.sub(b"", raw).count(b":")
    )


def _refuse_repeated_key(raw: bytes) -> None:
    """Raise BadRequest naming the first repeated key, if there is one."""

    def check(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise BadRequest(
                    f"The body holds the key {name[:64]!r} twice in one object.", param=name[:64]
                )
            seen.add(name)

    json.loads(raw, object_pairs_hook=check, parse_int=len, parse_float=len)


def _load_exactly(raw: bytes) -> dict[str, Any]:
    """Parse an object so that `orjson.dumps` writes integers beyond 64 bits unchanged."""

    def whole(digits: str) -> Any:
        if len(digits) <= MAX_INTEGER_DIGITS and -(2**63) <= int(digits) < 2**64:
            return int(digits)
        return orjson.Fragment(digits)

    found: dict[str, Any] = json.loads(raw, parse_int=whole)
    return found


@dataclass(slots=True)
class _BodyFindings:
    """What a walk through a body found."""

    # Over all objects.
    key_count: int = 0
    has_nul: bool = False
    # Whether an integer lost digits.
    has_rounded: bool = False


def _inspect_body(
    body: dict[str, Any], *, depth: int, nul: bool, rounded: frozenset[float]
) -> _BodyFindings:
    """Walk the containers level by level.

    Strings and numbers are read only if the raw bytes gave a reason to.
    """
    level: list[Any] = [body]
    found = _BodyFindings()
    for _ in range(depth):
        below: list[Any] = []
        for node in level:
            if type(node) is dict:
                found.key_count += len(node)
                children = node.values()
            else:
                children = node
            if nul or rounded:
                _inspect_values(node, children, found, rounded=rounded)
            below.extend(
                [child for child in children if type(child) is dict or type(child) is list]
            )
        if not below:
            return found
        level = below
    raise BodyTooDeep(f"The body is nested deeper than {depth} levels.")


def _inspect_values(
    node: Any, children: Any, found: _BodyFindings, *, rounded: frozenset[float]
) -> None:
    if isinstance(node, dict) and any("\0" in key for key in node):
        found.has_nul = True
    for child in children:
        if type(child) is str and "\0" in child:
            found.has_nul = True
        if type(child) is float and abs(child) in rounded:
            found.has_rounded = True


_TYPE_NAMES = {str: "a text", bool: "true or false", dict: "an object"}


def _read_field(body: dict[str, Any], name: str, kind: type) -> Any:
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        raise BadRequest(f"{name} must be {_TYPE_NAMES[kind]}.", param=name)
    return value


def _check_numbers(body: dict[str, Any]) -> None:
    temperature, count = body.get("temperature"), body.get("n")
    if temperature is not None and type(temperature) not in (int, float):
        raise BadRequest("temperature must be a number.", param="temperature")
    if count is not None and (type(count) is not int or count < 1):
        raise BadRequest("n must be a whole number, 1 or more.", param="n")


def _refuse_upstream_fields(body: dict[str, Any]) -> None:
    """Raise BadRequest for a field that would choose the upstream; only administrators may."""
    for name in REFUSED_FIELDS:
        if name in body:
            raise BadRequest(
                f"{name} is not accepted: upstreams are set by the administrator.", param=name
            )


def validate_messages(value: Any, limits: BodyLimits = DEFAULT_LIMITS) -> list[Message]:
    """Validate messages in OpenAI's form, for code that reads them without a provider.

    Raises BadRequest, naming the field in `param`, or TooManyParts.
    """
    if _check_messages(value, limits):
        for index, message in enumerate(value):
            _require_usual_form(message, f"messages[{index}]")
    messages: list[Message] = value
    return messages


def _check_messages(value: Any, limits: BodyLimits) -> bool:
    """Refuse what no provider could accept; return whether anything is unlike OpenAI's form.

    Raises BadRequest or TooManyParts.
    """
    if not isinstance(value, list) or not value:
        raise BadRequest("messages must be a non-empty array of message objects.", param="messages")
    if len(value) > limits.messages:
        raise TooManyParts(
            f"messages holds {len(value)} messages; at most {limits.messages} are accepted.",
            param="messages",
        )
    unusual, parts = False, 0
    for index, message in enumerate(value):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise BadRequest(f"{where} must be an object.", param=where)
        role, content, calls = (
            message.get("role"),
            message.get("content"),
            message.get("tool_calls"),
        )
        if not isinstance(role, str):
            raise BadRequest(
                f"{where}.role must be one of {', '.join(sorted(ROLES))}.", param=f"{where}.role"
            )
        if isinstance(content, list):
            parts += len(content)
        if isinstance(calls, list):
            parts += len(calls)
        if parts > limits.parts:
            raise TooManyParts(
                f"messages hold more than {limits.parts} parts and tool calls.", param="messages"
            )
        unusual = unusual or not (
            role in ROLES and _is_usual_content(content) and _are_usual_calls(message)
        )
    return unusual


def _is_usual_content(content: Any) -> bool:
    return (
        content is None
        or isinstance(content, str)
        or (isinstance(content, list) and all(map(_is_usual_part, content)))
    )


def _is_usual_part(part: Any) -> bool:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        return False
    return part["type"] != "text" or isinstance(part.get("text"), str)


def _are_usual_calls(message: Message) -> bool:
    calls, single = message.get("tool_calls"), message.get("function_call")
    if calls is None and single is None:
        return True
    return (
        (
            calls is None
            or (isinstance(calls, list) and all(isinstance(call, dict) for call in calls))
        )
        and all(isinstance(call.get("function"), dict | NoneType) for call in calls or ())
        and isinstance(single, dict | NoneType)
    )


def _require_usual_form(message: Message, where: str) -> None:
    """Raise BadRequest naming a field that is unlike OpenAI's form."""
    if message["role"] not in ROLES:
        raise BadRequest(
            f"{where}.role must be one of {', '.join(sorted(ROLES))}.", param=f"{where}.role"
        )
    if not _are_usual_calls(message):
        raise BadRequest(
            f"{where}.tool_calls must be an array of objects.", param=f"{where}.tool_calls"
        )
    _require_usual_content(message.get("content"), f"{where}.content")


def _require_usual_content(content: Any, where: str) -> None:
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        raise BadRequest(f"{where} must be a text, an array of parts, or null.", param=where)
    for number, part in enumerate(content):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise BadRequest(
                f"{where}[{number}] must be an object with a type.", param=f"{where}[{number}]"
            )
        if not _is_usual_part(part):
            raise BadRequest(
                f"{where}[{number}].text must be a text.", param=f"{where}[{number}].text"
            )


def _strip_gateway_fields(body: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Return the plan's name and the body without the gateway's fields, the same object if none."""
    given = body.get("metadata")
    metadata: dict[str, Any] = given if isinstance(given, dict) else {}
    inside = not metadata.keys().isdisjoint(PLAN_METADATA_KEYS)
    if not inside and not any(field in body for field in GATEWAY_FIELDS):
        return None, body
    name = _read_plan_name(body, metadata)
    stripped = {field: value for field, value in body.items() if field not in GATEWAY_FIELDS}
    if inside:
        rest = {key: value for key, value in metadata.items() if key not in PLAN_METADATA_KEYS}
        stripped["metadata"] = rest
        if not rest:
            del stripped["metadata"]
    return name, stripped


def _read_plan_name(body: dict[str, Any], metadata: dict[str, Any]) -> str | None:
    """Return the first name that is not null. Raises BadRequest unless it is a text."""
    said = [(PLAN_FIELD, body.get(PLAN_FIELD))]
    said += [(f"metadata.{key}", metadata.get(key)) for key in PLAN_METADATA_KEYS]
    for param, name in said:
        if name is None:
            continue
        if not isinstance(name, str):
            raise BadRequest(f"{param} must be the name of a plan.", param=param)
        return name
    return None


def extract_text(message: Message) -> str | None:
    """Return a message's text, its text parts joined; None if it holds anything but text."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    if not all(
        isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
        for part in content
    ):
        return None
    return "\n".join(part["text"] for part in content)
