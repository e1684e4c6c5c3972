"""What each kind of object may say in a configuration file, and how a value is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from plans import key_secrets
from plans.key_rotation import MAX_OVERLAP
from plans.pricing import BASE_RATE_NAMES
from proxy.models import KEY_HEADER_CHOICES

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
    # Of a mapping: its values are secrets, each as a text of a secret may be.
    has_secret_values: bool = False

    @property
    def is_never_shown(self) -> bool:
        """Whether the API takes it and never returns it."""
        return self.is_secret or self.has_secret_values


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


def read_pairs(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise ValueError("Must be a mapping of names to texts; put numbers in quotes.")
    return dict(value)


def read_key_header(value: Any) -> str:
    text = read_text(value)
    if text not in dict(KEY_HEADER_CHOICES):
        known = ", ".join(name for name, _ in KEY_HEADER_CHOICES if name)
        raise ValueError(f"Must be one of: {known}; empty: as the provider asks.")
    return text


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
_PAIRS = {"type": "object", "additionalProperties": {"type": "string"}}
_NAMES = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
_COUNT = {"type": ["integer", "null"], "minimum": 0}
_SECONDS = {"type": "number"}
_AMOUNT = {"type": ["number", "string"]}
_AMOUNT_OR_NULL = {"type": ["number", "string", "null"]}

UPSTREAM_FIELDS: Final = {
    "provider": FileField(
        read_text, "provider", _TEXT, "Where it is, how it takes a key, whose prices apply."
    ),
    "base_url": FileField(
        read_text,
        "base_url",
        _TEXT,
        "Up to and without /chat/completions. Left out: the provider's own.",
    ),
    "key": FileField(
        read_text, "", _TEXT, "${NAME} or file:<path>; empty: none is sent.", is_secret=True
    ),
    "key_header": FileField(
        read_key_header,
        "key_header",
        {"type": "string", "enum": [name for name, _ in KEY_HEADER_CHOICES]},
        "The header that carries the key; empty: as the provider asks.",
    ),
    "headers": FileField(
        read_pairs,
        "",
        _PAIRS,
        "Headers of every request; values may be ${NAME} or file:<path>.",
        has_secret_values=True,
    ),
    "query": FileField(
        read_pairs,
        "",
        _PAIRS,
        "Query parameters of every request; values as those of headers.",
        has_secret_values=True,
    ),
    "forward_headers": FileField(
        read_names, "forwarded_headers", _NAMES, "Headers of clients that reach the provider."
    ),
    "proxy": FileField(
        read_text,
        "",
        _TEXT,
        "http://user:password@host:port, ${NAME} or file:<path>; empty: as the gateway is told.",
        is_secret=True,
    ),
    "ca_file": FileField(
        read_text, "ca_file", _TEXT, "Path of the authorities that are believed, in PEM form."
    ),
    "client_certificate_file": FileField(
        read_text, "client_certificate_file", _TEXT, "Path of the client certificate, in PEM form."
    ),
    "client_key_file": FileField(
        read_text, "client_key_file", _TEXT, "Path of its key; empty: in the certificate's file."
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
    "model": FileField(
        read_text,
        "model",
        _TEXT,
        "The model's name there; * stands for what a client says for the * of the route.",
        is_required=True,
    ),
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
