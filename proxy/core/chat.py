"""A chat request, from bytes to a checked value. What the gateway does not need to understand it leaves alone.

Numbers beyond 64 bits are refused rather than rounded, NUL is refused because PostgreSQL cannot keep it, and nesting is limited
here because the JSON parser accepts more than it can write again.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import orjson

from proxy.core.controls import Controls, from_body
from proxy.core.errors import BadRequest, TooDeep
from proxy.core.ports import Message

PLAN_FIELD = "token_saving_plan_id"
OUR_FIELDS = (PLAN_FIELD, "cache")
REFUSED_FIELDS = ("api_base", "api_key", "api_version", "base_url", "extra_headers", "extra_query")
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_LONG_NUMBER = re.compile(rb"\d{20,}")
# The regular expression takes 4 ms for a chat of 60,000 tokens; few bodies hold so many digits in a row, which is seen in 0.2.
_DIGITS, _TWENTY = bytes.maketrans(b"123456789", b"0" * 9), b"0" * 20
_ESCAPED_NUL = b"\\u0000"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A request as asked. `body` lacks our own fields and is never changed in place; `raw` is the client's bytes when they held none
    of them."""

    body: dict[str, Any]
    model: str
    messages: list[Message]
    stream: bool = False
    include_usage: bool = False
    user: str | None = None
    plan_name: str | None = None
    controls: Controls = field(default_factory=Controls)
    raw: bytes | None = None


def parse(raw: bytes, *, depth: int = 64) -> ChatRequest:
    """Read a request body. Raises BadRequest, naming the field in `param`, or TooDeep beyond `depth` levels."""
    body = load(raw, depth=depth)
    model = _typed(body, "model", str)
    if not model:
        raise BadRequest("model is required: the name of a route, see GET /v1/models.", param="model")
    _refuse(body)
    stream = _typed(body, "stream", bool) or False
    options = _typed(body, "stream_options", dict) or {}
    _check_numbers(body)
    user = _typed(body, "user", str)
    messages = checked_messages(body.get("messages"))
    plan_name, stripped = _strip(body)
    return ChatRequest(
        body=stripped,
        model=model,
        messages=messages,
        stream=stream,
        include_usage=bool(stream and options.get("include_usage")),
        user=user,
        plan_name=plan_name,
        controls=from_body(body.get("cache")),
        raw=raw if stripped is body else None,
    )


def load(raw: bytes, *, depth: int = 64) -> dict[str, Any]:
    """The JSON object of a request body. Raises BadRequest, or TooDeep beyond `depth` levels."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if "depth limit" in str(error):
            raise TooDeep(f"The body is nested deeper than {depth} levels.") from None
        raise BadRequest(f"The body is not valid JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.")
    # The parser rounds integers beyond 64 bits to floats: look for exactly those values.
    long = _LONG_NUMBER.findall(raw) if _TWENTY in raw.translate(_DIGITS) else ()
    rounded = frozenset(map(float, long))
    _inspect(body, depth=depth, nul=_ESCAPED_NUL in raw, rounded=rounded)
    return body


def _inspect(body: dict[str, Any], *, depth: int, nul: bool, rounded: frozenset[float]) -> None:
    """Walk the containers level by level. Strings and numbers are looked at only when the raw bytes gave a reason to."""
    level: list[Any] = [body]
    for _ in range(depth):
        below: list[Any] = []
        for node in level:
            children = node.values() if isinstance(node, dict) else node
            if nul or rounded:
                _inspect_values(node, children, nul=nul, rounded=rounded)
            below.extend(child for child in children if type(child) is dict or type(child) is list)
        if not below:
            return
        level = below
    raise TooDeep(f"The body is nested deeper than {depth} levels.")


def _inspect_values(node: Any, children: Any, *, nul: bool, rounded: frozenset[float]) -> None:
    if nul and isinstance(node, dict) and any("\0" in key for key in node):
        raise BadRequest("The body holds a NUL character (\\u0000) in a field name.")
    for child in children:
        if nul and type(child) is str and "\0" in child:
            raise BadRequest("The body holds a NUL character (\\u0000), which is not allowed.")
        if type(child) is float and abs(child) in rounded:
            raise BadRequest("The body holds a number beyond 64 bits, which would lose digits.")


_NAMES = {str: "a text", bool: "true or false", dict: "an object"}


def _typed(body: dict[str, Any], name: str, kind: type) -> Any:
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        raise BadRequest(f"{name} must be {_NAMES[kind]}.", param=name)
    return value


def _check_numbers(body: dict[str, Any]) -> None:
    temperature, count = body.get("temperature"), body.get("n")
    if temperature is not None and type(temperature) not in (int, float):
        raise BadRequest("temperature must be a number.", param="temperature")
    if count is not None and (type(count) is not int or count < 1):
        raise BadRequest("n must be a whole number, 1 or more.", param="n")


def _refuse(body: dict[str, Any]) -> None:
    """Where requests go is the administrator's to say, never a client's."""
    for name in REFUSED_FIELDS:
        if name in body:
            raise BadRequest(f"{name} is not accepted: upstreams are set by the administrator.", param=name)


def checked_messages(value: Any) -> list[Message]:
    """The `messages` of a request. Raises BadRequest, naming the field in `param`."""
    if not isinstance(value, list) or not value:
        raise BadRequest("messages must be a non-empty array of message objects.", param="messages")
    for index, message in enumerate(value):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise BadRequest(f"{where} must be an object.", param=where)
        if not isinstance(message.get("role"), str) or message["role"] not in ROLES:
            raise BadRequest(f"{where}.role must be one of {', '.join(sorted(ROLES))}.", param=f"{where}.role")
        _content(message.get("content"), f"{where}.content")
        calls = message.get("tool_calls")
        if calls is not None and not (isinstance(calls, list) and all(isinstance(call, dict) for call in calls)):
            raise BadRequest(f"{where}.tool_calls must be an array of objects.", param=f"{where}.tool_calls")
    return value


def _content(content: Any, where: str) -> None:
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        raise BadRequest(f"{where} must be a text, an array of parts, or null.", param=where)
    for number, part in enumerate(content):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise BadRequest(f"{where}[{number}] must be an object with a type.", param=f"{where}[{number}]")
        if part["type"] == "text" and not isinstance(part.get("text"), str):
            raise BadRequest(f"{where}[{number}].text must be a text.", param=f"{where}[{number}].text")


def _strip(body: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """The plan's name and the body without our own fields: the same object when there were none."""
    given = body.get("metadata")
    metadata: dict[str, Any] = given if isinstance(given, dict) else {}
    inside = PLAN_FIELD in metadata
    if not inside and not any(field in body for field in OUR_FIELDS):
        return None, body
    name = body.get(PLAN_FIELD) or metadata.get(PLAN_FIELD)
    if name is not None and not isinstance(name, str):
        raise BadRequest(f"{PLAN_FIELD} must be the name of a plan.", param=PLAN_FIELD)
    stripped = {field: value for field, value in body.items() if field not in OUR_FIELDS}
    if inside:
        rest = {field: value for field, value in metadata.items() if field != PLAN_FIELD}
        stripped["metadata"] = rest
        if not rest:
            del stripped["metadata"]
    return name or None, stripped


def text_of(message: Message) -> str | None:
    """The message's text: a string, or its text parts joined. None when it holds anything that is not text."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or any(part.get("type") != "text" for part in content):
        return None
    return "\n".join(part["text"] for part in content)
