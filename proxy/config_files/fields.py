"""What each kind of object may say in a configuration file, and how a value is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from plans import key_secrets
from plans.key_rotation import MAX_OVERLAP
from plans.pricing import BASE_RATE_NAMES

ReadValue = Callable[[Any], Any]
MAX_OVERLAP_SECONDS: Final = int(MAX_OVERLAP.total_seconds())
OVERLAP_MESSAGE: Final = f"Must be whole seconds, from 0 to {MAX_OVERLAP_SECONDS}."


@dataclass(frozen=True, slots=True)
class FileField:
    """A field of an object. `read` returns the column's value; it raises ValueError.

    `column`: the model's, "" for one that is no plain column; `schema`: of JSON Schema.
    """

    read: ReadValue
    column: str
    schema: Mapping[str, Any]
    help: str
    is_required: bool = False
    is_secret: bool = False


def read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("Must be text; put it in quotes.")
    if not value.isprintable():
        raise ValueError("Must be one line of printable text.")
    return value


def read_lines(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise ValueError("Must be text.")
    return value


def read_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("Must be true or false.")
    return value


def read_whole_or_null(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError("Must be a whole number, 0 or more, or null.")
    return value


def read_seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("Must be a number of seconds.")
    return float(value)


def read_names(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise ValueError("Must be a list of names.")
    return list(dict.fromkeys(value))


def read_time_or_null(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError("Must be a time with its zone, such as 2027-01-31T00:00:00Z, or null.")
    return found.astimezone(UTC)


def read_amount_or_null(value: Any) -> Decimal | None:
    return None if value is None else read_amount(value)


def read_amount(value: Any) -> Decimal:
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise InvalidOperation
        found = Decimal(str(value))
    except InvalidOperation:
        raise ValueError("Must be an amount in US dollars per million tokens.") from None
    if not found.is_finite():
        raise ValueError("Must be an amount in US dollars per million tokens.")
    return found


def read_key_secret(value: Any) -> str:
    return key_secrets.check_given_secret(read_text(value))


def read_overlap(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(OVERLAP_MESSAGE)
    if not 0 <= value <= MAX_OVERLAP_SECONDS:
        raise ValueError(OVERLAP_MESSAGE)
    return value


def read_sha256(value: Any) -> str:
    text = read_text(value).lower()
    if not key_secrets.is_sha256(text):
        raise ValueError("Must be the SHA-256 of a key: 64 characters of 0-9 and a-f.")
    return text


def read_plan_or_null(value: Any) -> str | None:
    return None if value is None else read_text(value)


_TEXT, _FLAG = {"type": "string"}, {"type": "boolean"}
_NAMES = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
_COUNT = {"type": ["integer", "null"], "minimum": 0}
_SECONDS = {"type": "number"}
_AMOUNT = {"type": ["number", "string"]}
_AMOUNT_OR_NULL = {"type": ["number", "string", "null"]}

UPSTREAM_FIELDS: Final = {
    "base_url": FileField(
        read_text, "base_url", _TEXT, "Up to and without /chat/completions.", is_required=True
    ),
    "provider": FileField(read_text, "provider", _TEXT, "Whose price list applies."),
    "key": FileField(
        read_text, "", _TEXT, "${NAME} or file:<path>; empty: none is sent.", is_secret=True
    ),
    "allow_private": FileField(
        read_flag, "allow_private", _FLAG, "Allow loopback and private addresses."
    ),
    "connect_timeout": FileField(read_seconds, "connect_timeout", _SECONDS, "Seconds."),
    "read_timeout": FileField(read_seconds, "read_timeout", _SECONDS, "Seconds without a byte."),
    "stream_usage": FileField(read_flag, "stream_usage", _FLAG, "Ask for usage in streams."),
}
_DEFAULT_PLAN = FileField(
    read_plan_or_null,
    "",
    {"type": ["string", "null"]},
    "The plan of requests that name none; null: none.",
)
ROUTE_FIELDS: Final = {
    "upstream": FileField(read_text, "", _TEXT, "The upstream's name.", is_required=True),
    "model": FileField(read_text, "model", _TEXT, "The model's name there.", is_required=True),
    "enabled": FileField(read_flag, "enabled", _FLAG, "Whether requests may use it."),
    "default_plan": _DEFAULT_PLAN,
}
TENANT_FIELDS: Final = {
    "name": FileField(read_text, "name", _TEXT, "As people call it."),
    "max_entries": FileField(
        read_whole_or_null, "max_entries", _COUNT, "Most cached answers; null: no limit."
    ),
    "max_bytes": FileField(
        read_whole_or_null, "max_bytes", _COUNT, "Most bytes of them; null: no limit."
    ),
    "routes": FileField(read_names, "routes", _NAMES, 'Routes of its keys; ["*"]: all.'),
    "default_plan": _DEFAULT_PLAN,
}
KEY_FIELDS: Final = {
    "secret": FileField(read_key_secret, "", _TEXT, "${NAME} or file:<path>.", is_secret=True),
    "secret_sha256": FileField(
        read_sha256,
        "",
        _TEXT,
        "In place of secret: the SHA-256, in hex, of a key made elsewhere.",
        is_secret=True,
    ),
    "routes": FileField(read_names, "routes", _NAMES, "Empty: all of the tenant's."),
    "expires_at": FileField(
        read_time_or_null,
        "expires_at",
        {"type": ["string", "null"], "format": "date-time"},
        "Refused from then on; null: never.",
    ),
    "paused": FileField(read_flag, "paused", _FLAG, "Refused (403) until it is resumed."),
    "overlap": FileField(
        read_overlap,
        "",
        {"type": "integer", "minimum": 0, "maximum": MAX_OVERLAP_SECONDS},
        "Seconds that the former secret works on, when another is given.",
    ),
    "default_plan": _DEFAULT_PLAN,
}
# A key has one of them.
KEY_SECRET_FIELDS: Final = ("secret", "secret_sha256")
PRICE_FIELDS: Final = {
    name: FileField(
        read_amount if name in {"input", "output"} else read_amount_or_null,
        name,
        _AMOUNT if name in {"input", "output"} else _AMOUNT_OR_NULL,
        "US dollars per million tokens.",
        is_required=name in {"input", "output"},
    )
    for name in BASE_RATE_NAMES
} | {"terms": FileField(read_lines, "terms", _TEXT, "Further rates, one a line.")}
