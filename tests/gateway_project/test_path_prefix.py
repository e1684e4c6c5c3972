"""A path prefix: whose word counts, what is taken off a path, and what is refused."""

import asyncio
import re
from collections.abc import MutableMapping
from typing import Any

import orjson
import pytest
from django.http import HttpRequest, HttpResponse
from django.middleware.security import SecurityMiddleware
from django.test import RequestFactory
from django.urls import set_script_prefix
from pytest_django import Settings

from gateway_project.checks import deployment
from gateway_project.embedded.configuration import BASE_DIR
from gateway_project.path_prefix import (
    PathPrefix,
    describe_prefix_fault,
    keep_cookies_below_prefix,
    parse_forwarded_prefix,
    put_prefix,
    restore_full_path,
)
from proxy.core.errors import BadRequest

PROXY, STRANGER = "10.0.0.1", "203.0.113.9"
Message = MutableMapping[str, Any]
SOURCES = {
    "templates": (".html", ".js"),
    **dict.fromkeys(("gateway_project", "plans", "proxy", "stats"), (".py",)),
}
WRITTEN_OUT = re.compile(
    r"""(?:(?:href|src|action)=["']|(?:fetch|URL|WebSocket|EventSource|redirect|Redirect"""
    r"""|build_absolute_uri|as_view)\((?:url=)?f?["'`])/(?!/)[^"'`]*"""
)
HOSTILE = [
    b"//evil.example",
    b"/\\evil.example",
    b"https://evil.example",
    b"/llm\r\nset-cookie: a=b",
    b"/llm\n",
    b"/llm;path=/",
    b"/llm?x",
    b"/llm#x",
    b"/../admin",
    b"/llm/../x",
    b"/./llm",
    b"/llm//x",
    b"/%2e%2e",
    b"/<script>",
    b'/"onload="x',
    b"/llm, /other",
    b"llm",
    b" /llm",
    "/übung".encode(),
    b"/\x00",
    b"/" + b"a" * 200,
    b"//",
]
TAKEN = [
    b"/v1",
    b"/v1/models",
    b"/static/admin",
    b"/admin",
    b"/admin/plans",
    b"/dashboard",
    b"/dashboard/requests",
    b"/token-saving/x",
    b"/api",
    b"/api/docs",
    b"/livez",
    b"/metrics",
]


def serve(
    path: str, *headers: bytes, prefix: str = "", client: str = PROXY, kind: str = "http"
) -> tuple[list[Message], list[Message]]:
    """What reaches the application, and what is sent in its place."""
    reached: list[Message] = []
    sent: list[Message] = []

    async def application(scope: Message, receive: Any, send: Any) -> None:
        reached.append(scope)

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope = {
        "type": kind,
        "path": path,
        "root_path": "",
        "client": (client, 1),
        "headers": [(b"x-forwarded-prefix", header) for header in headers],
    }
    asyncio.run(PathPrefix(application, prefix, {PROXY})(scope, receive, send))
    return reached, sent


def read_path(path: str, *headers: bytes, **fields: Any) -> tuple[str, str]:
    (scope,), _ = serve(path, *headers, **fields)
    return scope["root_path"], scope["path"]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("said", [{"prefix": "/llm"}, {"header": b"/llm"}, {"header": b"/llm/"}])
@pytest.mark.parametrize(
    ("path", "inner"),
    [
        ("/llm/v1/models", "/v1/models"),
        ("/v1/models", "/v1/models"),
        ("/llm", "/"),
        ("/llm/", "/"),
        ("/", "/"),
        ("/llmx/v1", "/llmx/v1"),
        ("/llm/llm/v1", "/llm/v1"),
        ("/llm//v1", "//v1"),
        ("/LLM/v1", "/LLM/v1"),
    ],
)
def test_the_prefix_is_taken_off_where_it_is_and_said_in_both_cases(
    kind: str, said: Any, path: str, inner: str
) -> None:
    headers = [said["header"]] if "header" in said else []
    assert read_path(path, *headers, prefix=said.get("prefix", ""), kind=kind) == ("/llm", inner)


def test_without_a_prefix_nothing_changes() -> None:
    assert read_path("/llm/v1/models") == ("", "/llm/v1/models")
    assert read_path("/llm/v1/models", b"") == ("", "/llm/v1/models")
    assert read_path("/llm/v1/models", b"/") == ("", "/llm/v1/models")


@pytest.mark.parametrize("header", [b"/llm", *HOSTILE])
def test_a_stranger_changes_nothing(header: bytes) -> None:
    assert read_path("/llm/v1/models", header, client=STRANGER) == ("", "/llm/v1/models")


@pytest.mark.parametrize("header", [b"/other", *HOSTILE])
def test_what_the_operator_set_is_not_overridden(header: bytes) -> None:
    assert read_path("/llm/v1/models", header, prefix="/llm") == ("/llm", "/v1/models")


@pytest.mark.parametrize("header", [*HOSTILE, *TAKEN])
def test_a_hostile_value_of_a_trusted_proxy_is_refused(header: bytes) -> None:
    reached, (start, body) = serve("/dashboard/", header)
    assert not reached
    assert start["status"] == 400
    error = orjson.loads(body["body"])["error"]
    assert error["message"].startswith("X-Forwarded-Prefix is ")
    assert "/llm" in error["message"]
    assert b"evil" not in body["body"]
    reached, sent = serve("/dashboard/live", header, kind="websocket")
    assert not reached
    assert sent == [{"type": "websocket.close", "code": 4400}]


def test_two_headers_are_refused_because_one_may_be_the_clients() -> None:
    reached, (start, _) = serve("/dashboard/", b"/theirs", b"/llm")
    assert not reached
    assert start["status"] == 400


@pytest.mark.parametrize("prefix", ["/llm", "/team/llm", "/a-b_c~d.e", "/api/llm", "/" + "a" * 199])
def test_paths_are_accepted(settings: Settings, prefix: str) -> None:
    assert describe_prefix_fault(prefix) == ""
    assert parse_forwarded_prefix(prefix.encode()) == prefix
    settings.PATH_PREFIX = prefix
    assert deployment.check_path_prefix(None) == []


@pytest.mark.parametrize("value", [*HOSTILE[:-1], *TAKEN])
def test_another_setting_stops_every_command(settings: Settings, value: bytes) -> None:
    settings.PATH_PREFIX = value.decode("latin-1")
    (found,) = deployment.check_path_prefix(None)
    assert found.id == "tokenthrift.E012"
    assert "/llm" in (found.hint or "")
    with pytest.raises(BadRequest):
        parse_forwarded_prefix(value)


def test_django_finds_the_prefix_in_the_path_again() -> None:
    assert restore_full_path({"path": "/admin/", "root_path": "/llm"})["path"] == "/llm/admin/"
    assert restore_full_path({"path": "/admin/", "root_path": ""})["path"] == "/admin/"


def test_a_redirect_follows_the_prefix_of_the_request() -> None:
    target = put_prefix("/dashboard/")
    try:
        for prefix, full in (("/llm/", "/llm/dashboard/"), ("/", "/dashboard/")):
            set_script_prefix(prefix)
            assert str(target) == full
    finally:
        set_script_prefix("/")


@pytest.mark.parametrize(("script_name", "path"), [("", "/"), ("/llm", "/llm")])
def test_cookies_stay_below_the_prefix(script_name: str, path: str) -> None:
    def respond(request: HttpRequest) -> HttpResponse:
        response = HttpResponse()
        response.set_cookie("kept", "1")
        response.delete_cookie("ended")
        response.set_cookie("own", "1", path="/elsewhere")
        return response

    async def respond_asynchronously(request: HttpRequest) -> HttpResponse:
        return respond(request)

    request = RequestFactory().get("/", SCRIPT_NAME=script_name)
    for response in (
        keep_cookies_below_prefix(respond)(request),
        asyncio.run(keep_cookies_below_prefix(respond_asynchronously)(request)),
    ):
        paths = {name: cookie["path"] for name, cookie in response.cookies.items()}
        assert paths == {"kept": path, "ended": path, "own": "/elsewhere"}


def test_no_address_of_ours_is_written_out() -> None:
    """It would lead out of the prefix: `{% url %}`, `reverse`, `static`, `put_prefix` do not."""
    found = [
        f"{path.relative_to(BASE_DIR)}: {written[0]}"
        for folder, endings in SOURCES.items()
        for path in (BASE_DIR / folder).rglob("*")
        if path.suffix in endings and "vendor" not in path.parts
        for written in WRITTEN_OUT.finditer(path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/livez", 200),
        ("/llm/readyz", 200),
        ("/llm/metrics/", 200),
        ("/admin/", 301),
        ("/llm/admin/", 301),
        ("/livez/x", 301),
        ("/llm/xlivez", 301),
    ],
)
def test_probes_are_not_sent_to_https_below_a_prefix_either(
    settings: Settings, path: str, status: int
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    response: Any = SecurityMiddleware(lambda request: HttpResponse())(RequestFactory().get(path))
    assert response.status_code == status
