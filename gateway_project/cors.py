"""Let web pages of other origins call the API (fetch.spec.whatwg.org, "CORS protocol").

No response allows credentials: the key is in the Authorization header, which a page sets itself, so
no cookie is needed.
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final

from proxy.asgi_client import AsgiClient
from proxy.core.request_ids import new_request_id

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

ANY_ORIGIN: Final = "*"
ALLOWED_METHODS: Final = b"GET, HEAD, POST"
PREFLIGHT_MAX_AGE_SECONDS: Final = 7200  # as long as Chromium remembers one
MAX_REQUESTED_HEADERS: Final = 64  # names in one preflight
MAX_REQUESTED_HEADERS_BYTES: Final = 4096  # of all these names
# Of a header's name (RFC 9110 section 5.6.2).
NAME_BYTES: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~"
VARY_HEADER: Final[Header] = (b"vary", b"Origin")
# An origin as browsers write it; extensions and desktop shells have schemes of their own.
_ORIGIN_PATTERN: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
)
# Which browsers leave out.
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


def describe_origin_fault(origin: str) -> str:
    """Return why no browser sends this origin, or none that may be listed; "" if one does."""
    scheme, separator, rest = origin.partition("://")
    faults = (
        (origin == "null", "stands for every sandboxed page and local file"),
        (not (scheme and separator), "has no scheme"),
        (any(sign in rest for sign in "/?#"), "has a path"),
        ("*" in origin, "has a wildcard"),
        (origin != origin.lower(), "is not in lower case"),
        (
            rest.endswith(_DEFAULT_PORTS.get(scheme, " ")),
            "names the port that browsers leave out",
        ),
        (not _ORIGIN_PATTERN.fullmatch(origin), "is no origin"),
    )
    return next((fault for applies, fault in faults if applies), "")


def allow_origins(app: App, origins: Sequence[str]) -> App:
    """Wrap an application so that pages of these origins may call it; without any, return it."""
    return CrossOriginAccess(app, origins) if origins else app


class CrossOriginAccess:
    """The ASGI application that answers preflights and marks all other responses."""

    def __init__(self, app: App, origins: Sequence[str]) -> None:
        self._app = app
        self._allows_any = ANY_ORIGIN in origins
        self._headers_by_origin: dict[bytes, list[Header]] = {
            origin.encode("latin-1", "replace"): [
                (b"access-control-allow-origin", origin.encode("latin-1", "replace")),
                VARY_HEADER,
            ]
            for origin in origins
            if origin != ANY_ORIGIN
        }
        # `*` on every response, asked for or not: what a cache keeps then suits every page.
        self._other_headers: list[Header] = (
            [(b"access-control-allow-origin", b"*")] if self._allows_any else [VARY_HEADER]
        )

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        origin = _find_header(scope, b"origin")
        listed = None if self._allows_any else self._headers_by_origin.get(origin)
        headers = listed or self._other_headers
        is_allowed = bool(listed) or (self._allows_any and bool(origin))
        if (
            is_allowed
            and scope["method"] == "OPTIONS"
            and _find_header(scope, b"access-control-request-method")
        ):
            await _answer_preflight(scope, receive, send, headers)
            return

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = message["headers"]
                # The names of this very response: no list of them can be out of date.
                exposed = (
                    [(b"access-control-expose-headers", b", ".join(name for name, _ in sent))]
                    if is_allowed
                    else []
                )
                message = {**message, "headers": [*sent, *headers, *exposed]}
            await send(message)

        await self._app(scope, receive, send_marked)


def select_requested_headers(requested: bytes) -> bytes:
    """Return the header names to allow: all that a preflight asks for, or none.

    None if they are too many or too long, or one of them is no name.
    """
    names = [name.strip() for name in requested.split(b",", MAX_REQUESTED_HEADERS)]
    if len(requested) > MAX_REQUESTED_HEADERS_BYTES or len(names) > MAX_REQUESTED_HEADERS:
        return b""
    return b", ".join(names) if all(map(_is_header_name, names)) else b""


def _is_header_name(name: bytes) -> bool:
    return bool(name) and not name.translate(None, NAME_BYTES)


def _find_header(scope: Message, wanted: bytes) -> bytes:
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return b""


async def _answer_preflight(
    scope: Message, receive: Receive, send: Send, headers: list[Header]
) -> None:
    """Answer without a key, which browsers never send with a preflight."""
    names = select_requested_headers(_find_header(scope, b"access-control-request-headers"))
    client = AsgiClient(scope, receive, send)
    await client.start_response(
        204,
        [
            *headers,
            (b"access-control-allow-methods", ALLOWED_METHODS),
            *([(b"access-control-allow-headers", names)] if names else []),
            (b"access-control-max-age", str(PREFLIGHT_MAX_AGE_SECONDS).encode()),
            (b"x-request-id", new_request_id().encode()),
        ],
    )
    await client.send_body(b"", more=False)
