"""Asking a provider for its models says whether address and key are right, and makes routes."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from proxy.models import Route, Upstream
from proxy.upstreams.connection import check_upstream, describe_answer
from proxy.upstreams.services import put_upstream, save_upstream
from tests.support.certificates import Authority

MODELS = json.dumps({"data": [{"id": "gpt-b"}, {"id": "gpt-a"}, {"id": "a model"}, 5]}).encode()


class Provider(BaseHTTPRequestHandler):
    """Says what the test wants, and keeps what it was asked."""

    status = 200
    body = MODELS
    location = ""
    asked: ClassVar[list[tuple[str, str]]]
    heads: ClassVar[list[Message]]

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("authorization", "")))
        self.heads.append(self.headers)
        self.send_response(self.status)
        if self.location:
            self.send_header("location", self.location)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def provider() -> Iterator[tuple[type[Provider], str]]:
    handler = type("OneProvider", (Provider,), {"asked": [], "heads": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


def make_upstream(base_url: str) -> Upstream:
    return put_upstream(name="own", base_url=base_url, provider_key="sk-secret", allow_private=True)


@pytest.mark.django_db
def test_an_upstream_that_answers_lists_its_models(provider: tuple[type[Provider], str]) -> None:
    handler, url = provider
    report = check_upstream(make_upstream(url))
    assert (report.state, report.models) == ("ok", ("a model", "gpt-a", "gpt-b"))
    assert report.message == "The server takes the key and lists 3 models."
    assert handler.asked == [("/v1/models", "Bearer sk-secret")]


@pytest.mark.parametrize(
    ("status", "body", "location", "state", "told"),
    [
        (401, b"{}", "", "failed", "refuses the key (401)"),
        (403, b"", "", "failed", "refuses the key (403)"),
        (404, b"not here", "", "unsure", "most end in /v1"),
        (301, b"", "https://elsewhere.example/v1/models", "failed", "redirects to elsewhere.ex"),
        (302, b"", "/login", "failed", "redirects to another address"),
        (429, b"", "", "unsure", "busy"),
        (500, b"oops", "", "failed", "error (500)"),
        (200, b"<html>", "", "unsure", "no list of models"),
        (200, b'{"data": 5}', "", "unsure", "no list of models"),
        (200, b"[" * 100_000, "", "unsure", "no list of models"),
        (200, b'{"data": []}', "", "ok", "lists 0 models"),
    ],
)
def test_what_an_answer_means(
    status: int, body: bytes, location: str, state: str, told: str
) -> None:
    report = describe_answer(status, body, location)
    assert report.state == state
    assert told in report.message


@pytest.mark.django_db
def test_an_address_that_is_not_allowed_is_not_asked(provider: tuple[type[Provider], str]) -> None:
    handler, url = provider
    upstream = make_upstream(url)
    Upstream.objects.update(allow_private=False)
    upstream.refresh_from_db()
    assert check_upstream(upstream).state == "failed"
    upstream.base_url = "https://localtest.me:1/v1"
    assert check_upstream(upstream).state == "failed"
    assert handler.asked == []


@pytest.mark.django_db
def test_nobody_there_is_told_without_the_key() -> None:
    report = check_upstream(make_upstream("http://127.0.0.1:1/v1"))
    assert report.state == "failed"
    assert "could not be reached" in report.message
    assert "sk-secret" not in report.message


@pytest.mark.django_db
def test_the_command_tells_and_makes_routes(provider: tuple[type[Provider], str]) -> None:
    handler, url = provider
    own = make_upstream(url)
    Route.objects.create(name="own/gpt-a", upstream=own, model="kept")
    out = StringIO()
    call_command("check_upstream", "own", "--add-routes", "own/", stdout=out)
    assert out.getvalue().splitlines() == [
        "own: ok. The server takes the key and lists 3 models.",
        "+ route own/gpt-b",
    ]
    assert dict(Route.objects.values_list("name", "model")) == {
        "own/gpt-a": "kept",
        "own/gpt-b": "gpt-b",
    }
    handler.status = 401
    with pytest.raises(CommandError, match=r"Failed: own\."):
        call_command("check_upstream", stdout=out)
    with pytest.raises(CommandError, match=r"No such upstream: x\. There are: own"):
        call_command("check_upstream", "x", stdout=out)


@pytest.mark.django_db
def test_the_button_of_the_admin_tells(
    provider: tuple[type[Provider], str], client: Client, django_user_model: type[User]
) -> None:
    _, url = provider
    own = make_upstream(url)
    page = f"/admin/proxy/upstream/{own.pk}/"
    assert client.post(f"{page}test/").status_code == 302  # to the log-in
    client.force_login(django_user_model.objects.create_superuser("ada", password="x"))
    assert "Test connection" in client.get(f"{page}change/").content.decode()
    assert client.get(f"{page}test/").status_code == 405
    told = client.post(f"{page}test/", follow=True).content.decode()
    assert "takes the key and lists 3 models" in told
    assert client.post("/admin/proxy/upstream/999/test/").status_code == 404


# What is told to an administrator when nobody is reached.


@contextmanager
def serve_tls(authority: Authority, handler: type[Provider]) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server", "127.0.0.1"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


@pytest.mark.django_db
def test_a_certificate_that_is_not_believed_is_told_until_its_authority_is_named(
    provider: tuple[type[Provider], str], tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    with serve_tls(authority, provider[0]) as url:
        upstream = make_upstream(url)
        told = check_upstream(upstream)
        assert told.state == "failed"
        assert "certificate is not believed" in told.message
        assert "CA file" in told.message
        Upstream.objects.update(ca_file=str(authority.file))
        upstream.refresh_from_db()
        assert check_upstream(upstream).state == "ok"
        authority.file.unlink()
        assert f"{authority.file} cannot be read" in check_upstream(upstream).message


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"proxy_url": "http://me:secret@127.0.0.1:1"}, "Nobody answers at the address of the pro"),
        ({"base_url": "http://no-such-name.invalid/v1"}, "The name is unknown here"),
    ],
)
def test_what_is_in_the_way_is_told(changes: dict[str, Any], told: str) -> None:
    base_url = changes.pop("base_url", "http://gpu-1/v1")
    upstream = Upstream(name="own", base_url=base_url, allow_private=True)
    report = check_upstream(save_upstream(upstream, **changes))
    assert report.state == "failed"
    assert told in report.message
    assert "secret" not in report.message


@pytest.mark.django_db
def test_an_address_that_would_be_corrected_today_is_told(
    provider: tuple[type[Provider], str],
) -> None:
    handler, url = provider
    handler.status = 404
    upstream = make_upstream(url)
    Upstream.objects.update(base_url=url.removesuffix("/v1"), provider="vllm")
    upstream.refresh_from_db()
    assert check_upstream(upstream).message.endswith(f" Is the base URL {url}?")


@pytest.mark.django_db
def test_the_list_is_asked_for_as_chats_are_sent(provider: tuple[type[Provider], str]) -> None:
    handler, url = provider
    upstream = Upstream(name="own", base_url=url, allow_private=True, key_header="api-key")
    save_upstream(
        upstream, provider_key="sk-1", headers={"X-Team": "a"}, query={"api-version": "1&2"}
    )
    assert check_upstream(upstream).state == "ok"
    assert handler.asked == [("/v1/models?api-version=1%262", "")]
    assert (handler.heads[0]["api-key"], handler.heads[0]["x-team"]) == ("sk-1", "a")
