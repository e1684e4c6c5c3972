"""Headers and query parameters that every request to an upstream has, and those of clients that
reach it.

What the gateway sets itself, what belongs to one connection (RFC 9110 section 7.6.1) and what
says who somebody is are not for an administrator to add nor for a client to pass.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from string import ascii_letters, digits
from typing import Final

HeaderPairs = tuple[tuple[str, str], ...]

MAX_EXTRA_FIELDS: Final = 32  # headers, parameters, or names of headers
MAX_NAME_LENGTH: Final = 100
MAX_VALUE_LENGTH: Final = 4096
MAX_TOTAL_LENGTH: Final = 8192  # of all values; many servers take no more
# RFC 9110 section 5.6.2: `token`.
TOKEN_CHARACTERS: Final = frozenset(f"!#$%&'*+-.^_`|~{digits}{ascii_letters}")

CONNECTION_HEADERS: Final = frozenset(
    {
        "connection",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    }
)
BODY_HEADERS: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "content-encoding",
        "content-length",
        "content-type",
        "range",
    }
)
TRACE_HEADERS: Final = frozenset({"traceparent", "tracestate", "x-request-id"})
IDENTITY_HEADERS: Final = frozenset(
    {
        "api-key",
        "authorization",
        "cookie",
        "proxy-authenticate",
        "proxy-authorization",
        "set-cookie",
        "www-authenticate",
        "x-api-key",
    }
)
RESERVED_HEADERS: Final = CONNECTION_HEADERS | BODY_HEADERS | TRACE_HEADERS | IDENTITY_HEADERS
# Of clients besides: addresses of our own network, and what is said to the gateway.
CLIENT_HEADERS: Final = frozenset({"cache-control", "forwarded", "pragma", "x-real-ip"})
CLIENT_PREFIXES: Final = ("x-forwarded-", "x-token-saving-", "x-tokenthrift-")
# They tell requests apart and not answers: a request that is sent again has the same one.
# Everything else that reaches a provider may change what it answers.
REQUEST_NAMING_HEADERS: Final = frozenset({"idempotency-key", "x-client-request-id"})
# Values that are no secret, so that a provider's error about one can be read.
OPEN_NAMES: Final = frozenset(
    {
        "anthropic-beta",
        "anthropic-version",
        "api-version",
        "http-referer",
        "openai-beta",
        "openai-organization",
        "openai-project",
        "user-agent",
        "x-title",
    }
)


def check_extra_headers(headers: Mapping[str, str]) -> HeaderPairs:
    """Return the headers in a fixed order. Raises ValueError."""
    _check_count(headers, "headers")
    _check_total(headers, "headers")
    for name, value in headers.items():
        _check_name(name)
        if name.lower() in RESERVED_HEADERS:
            raise ValueError(f"{name} is set by the gateway: it cannot be added.")
        check_header_value(name, value)
    pairs = tuple(sorted((name.lower(), value.strip()) for name, value in headers.items()))
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("A header's name is there twice.")
    return pairs


def check_header_value(name: str, value: str) -> None:
    """Raise ValueError unless a header of the name can have the value."""
    # RFC 9110 section 5.5; a line break would begin another header.
    if not (value.isascii() and value.isprintable() and len(value) <= MAX_VALUE_LENGTH):
        raise ValueError(
            f"The value of {name} must be one line of printable ASCII, {MAX_VALUE_LENGTH} "
            "characters at most."
        )


def check_query(query: Mapping[str, str]) -> HeaderPairs:
    """Return the query parameters in a fixed order. Raises ValueError."""
    _check_count(query, "query parameters")
    _check_total(query, "query parameters")
    for name, value in query.items():
        if not (name and name.isprintable() and len(name) <= MAX_NAME_LENGTH):
            raise ValueError(
                f"{name[:MAX_NAME_LENGTH]!r} is no name of a query parameter: printable text, "
                f"{MAX_NAME_LENGTH} characters at most."
            )
        if not (value.isprintable() and len(value) <= MAX_VALUE_LENGTH):
            raise ValueError(
                f"The value of {name} must be one line of text, {MAX_VALUE_LENGTH} characters at "
                "most."
            )
    return tuple(sorted(query.items()))


def check_forwarded_names(names: Iterable[str]) -> list[str]:
    """Return the names of client headers that are passed on, in lower case. Raises ValueError."""
    found = sorted({name.strip().lower() for name in names if name.strip()})
    _check_count(found, "headers")
    for name in found:
        _check_name(name)
        if name in RESERVED_HEADERS or name in CLIENT_HEADERS or name.startswith(CLIENT_PREFIXES):
            raise ValueError(f"{name} of a client never reaches a provider.")
    return found


def select_headers(received: Iterable[tuple[bytes, bytes]], names: Collection[str]) -> HeaderPairs:
    """Return the headers of these names as a provider gets them, in a fixed order.

    Several of one name are joined (RFC 9110 section 5.3). Values are not checked.
    """
    found: dict[str, str] = {}
    for raw_name, raw_value in received:
        name = raw_name.decode("latin-1").lower()
        if name in names:
            value = raw_value.decode("latin-1").strip()
            found[name] = f"{found[name]}, {value}" if name in found else value
    return tuple(sorted(found.items()))


def drop_request_names(headers: HeaderPairs) -> HeaderPairs:
    """Return the headers for a request that repeats another on the gateway's own account."""
    return tuple(pair for pair in headers if pair[0] not in REQUEST_NAMING_HEADERS)


def digest_pairs(*groups: HeaderPairs) -> str:
    """Return the digest of what an answer may depend on besides the body; "" of nothing."""
    if not any(groups):
        return ""
    kept = [drop_request_names(group) for group in groups]
    if not any(kept):
        return ""
    return hashlib.sha256(json.dumps(kept).encode()).hexdigest()


def _check_name(name: str) -> None:
    if not (0 < len(name) <= MAX_NAME_LENGTH and TOKEN_CHARACTERS.issuperset(name)):
        raise ValueError(
            f"{name[:MAX_NAME_LENGTH]!r} is no name of a header: letters, digits and - _ . only, "
            f"{MAX_NAME_LENGTH} characters at most."
        )


def _check_total(found: Mapping[str, str], what: str) -> None:
    if sum(map(len, found.values())) > MAX_TOTAL_LENGTH:
        raise ValueError(f"All values of {what} must be {MAX_TOTAL_LENGTH} characters at most.")


def _check_count(found: Mapping[str, str] | list[str], what: str) -> None:
    if len(found) > MAX_EXTRA_FIELDS:
        raise ValueError(f"At most {MAX_EXTRA_FIELDS} {what} are accepted, not {len(found)}.")
