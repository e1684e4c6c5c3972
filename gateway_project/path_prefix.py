"""The path under which a proxy publishes the gateway, such as /llm of https://example.org/llm/v1.

TOKENTHRIFT_PATH_PREFIX says it, or X-Forwarded-Prefix of a trusted proxy. The proxy may strip it or
not: it is taken off a path that has it, and `root_path` (ASGI's name of it, Django's SCRIPT_NAME)
tells links, redirects, cookies and messages what to put in front again.
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import Any, Final, Protocol

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import get_resolver, get_script_prefix, is_valid_path
from django.utils.decorators import sync_and_async_middleware
from django.utils.functional import lazy

from gateway_project.body_limit import send_error
from proxy.core.errors import BadRequest

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

FORWARDED_HEADER: Final = b"x-forwarded-prefix"
MAX_PREFIX_LENGTH: Final = 200  # characters
MAX_REMEMBERED_PREFIXES: Final = 64  # of proxies
ACCEPTED: Final = (
    "Accepted is a path such as /llm or /team/llm: letters, digits and -._~, no part that begins "
    f"with a dot, at most {MAX_PREFIX_LENGTH} characters."
)
CLOSE_BAD_PREFIX: Final = 4400
# The unreserved characters of RFC 3986 section 2.3: nothing that begins another host (//), leaves
# the folder (..), ends a header or a cookie's path, or is written in two ways.
_PREFIX_PATTERN: Final = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
# Of `proxy.asgi` and WhiteNoise; the others are Django's.
_FIRST_PARTS: Final = frozenset({"v1", "static"})


class TrustedAddresses(Protocol):
    """The addresses whose X-Forwarded-* headers are believed."""

    def __contains__(self, address: str | None, /) -> bool: ...


def describe_prefix_fault(prefix: str) -> str:
    """Return why nothing can be published under this path; "" if it can, or is empty."""
    if not prefix:
        return ""
    if len(prefix) > MAX_PREFIX_LENGTH or not _PREFIX_PATTERN.fullmatch(prefix):
        return "is no path prefix"
    # With a page of ours there, a path that has it could be meant with it or without.
    return "is a path of the gateway's own" if _is_own_path(prefix) else ""


def _is_own_path(prefix: str) -> bool:
    path = prefix.removeprefix("/")
    routes = (str(pattern.pattern) for pattern in get_resolver().url_patterns)
    return (
        path.partition("/")[0] in _FIRST_PARTS
        or any(f"{route}/".startswith(f"{path}/") for route in routes)
        # The admin, for example, takes any path.
        or bool(is_valid_path(f"{prefix}/anything"))
    )


class PathPrefix:
    """The ASGI application that takes the prefix off paths and says it in `root_path`.

    `prefix` is the operator's, and then nobody else's counts. Without it X-Forwarded-Prefix does,
    if the connection comes from an address in `trusted`; a value of theirs that is none is refused.
    """

    def __init__(self, app: App, prefix: str, trusted: TrustedAddresses) -> None:
        self._app = app
        self._prefix = prefix
        self._trusted = trusted

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        try:
            prefix = self._prefix or self._read_forwarded_prefix(scope)
        except BadRequest as error:
            if scope["type"] == "http":
                await send_error(send, error)
            else:
                await send({"type": "websocket.close", "code": CLOSE_BAD_PREFIX})
            return
        if prefix:
            path = scope["path"]
            if path == prefix or path.startswith(f"{prefix}/"):
                path = path[len(prefix) :] or "/"
            scope = {**scope, "path": path, "root_path": prefix}
        await self._app(scope, receive, send)

    def _read_forwarded_prefix(self, scope: Message) -> str:
        """Return the prefix that a trusted proxy names, or "". Raises BadRequest."""
        values = [value for name, value in scope["headers"] if name == FORWARDED_HEADER]
        if not values or not scope["client"] or scope["client"][0] not in self._trusted:
            return ""
        # Of two, one may be the client's own.
        return parse_forwarded_prefix(b", ".join(values))


@lru_cache(maxsize=MAX_REMEMBERED_PREFIXES)
def parse_forwarded_prefix(value: bytes) -> str:
    """Parse the header; a slash at its end is dropped. Raises BadRequest if it is no prefix."""
    prefix = value.decode("latin-1").removesuffix("/")
    if fault := describe_prefix_fault(prefix):
        raise BadRequest(f"X-Forwarded-Prefix {fault}. {ACCEPTED}")
    return prefix


def _put_prefix(path: str) -> str:
    return f"{get_script_prefix()}{path.removeprefix('/')}"


# The path with the prefix of the request in front of it, put there when it is used.
put_prefix = lazy(_put_prefix, str)


def restore_full_path(scope: Message) -> Message:
    """Return the scope with the prefix in its path again, as Django expects it."""
    prefix = scope.get("root_path")
    return {**scope, "path": f"{prefix}{scope['path']}"} if prefix else scope


@sync_and_async_middleware
def keep_cookies_below_prefix(get_response: Callable[[HttpRequest], Any]) -> Callable[..., Any]:
    """Django middleware: cookies are not sent to what else lives on the host."""

    async def keep_asynchronously(request: HttpRequest) -> HttpResponseBase:
        return _move_cookies(request, await get_response(request))

    def keep(request: HttpRequest) -> HttpResponseBase:
        return _move_cookies(request, get_response(request))

    return keep_asynchronously if iscoroutinefunction(get_response) else keep


def _move_cookies(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    for cookie in response.cookies.values():
        if cookie["path"] == "/":
            cookie["path"] = request.META.get("SCRIPT_NAME") or "/"
    return response


class PrefixedStaticFiles(StaticFilesStorage):
    """Static files, whose URLs begin with the prefix of the request that asks for them."""

    @property
    def base_url(self) -> str:  # Django remembers the first request's
        return _put_prefix(settings.STATIC_URL)
