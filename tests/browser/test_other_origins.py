"""A web page of another origin calls the API from chromium: allowed where it is listed."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.support.gateways import ROUTE, Gateway, running_gateway
from tests.support.upstream import running_upstream

# What a page's script does: what it got, or why the browser kept it from the page.
ASK = """async ([url, key, model, stream]) => {
  try {
    const reply = await fetch(url + "/v1/chat/completions", {
      method: "POST",
      headers: {"authorization": "Bearer " + key, "content-type": "application/json",
                "x-stainless-lang": "js"},
      body: JSON.stringify({model, stream, messages: [{role: "user", content: "How do I pay?"}]}),
    });
    const text = await reply.text();
    return [reply.status, reply.headers.get("x-tokenthrift-cache"), text.slice(0, 5)];
  } catch (error) { return [0, String(error), ""]; }
}"""


class EmptyPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Another site</title>")

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture(scope="module")
def other_port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), EmptyPage)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def gateway(other_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    origin = f"http://localhost:{other_port}"
    with (
        running_upstream() as upstream,
        running_gateway(
            upstream, tmp_path_factory.mktemp("cors"), TOKENTHRIFT_CORS_ORIGINS=origin
        ) as running,
    ):
        yield running


def ask_from(browser: Browser, origin: str, gateway: Gateway, key: str, *, stream: bool) -> Any:
    page = browser.new_page()
    try:
        page.goto(origin)
        return page.evaluate(ASK, [gateway.url, key, ROUTE, stream])
    finally:
        page.close()


def test_a_listed_origin_reads_answers_streams_errors_and_our_headers(
    browser: Browser, gateway: Gateway, other_port: int
) -> None:
    listed, key = f"http://localhost:{other_port}", gateway.virtual_key
    assert ask_from(browser, listed, gateway, key, stream=False)[:2] == [200, "bypass"]
    assert ask_from(browser, listed, gateway, key, stream=True) == [200, "bypass", "data:"]
    assert ask_from(browser, listed, gateway, "tt-nobody", stream=False)[0] == 401


def test_another_origin_is_kept_from_it_by_the_browser(
    browser: Browser, gateway: Gateway, other_port: int
) -> None:
    other = f"http://127.0.0.1:{other_port}"  # the same page, of an origin that is not listed
    status, told, _ = ask_from(browser, other, gateway, gateway.virtual_key, stream=False)
    assert (status, told) == (0, "TypeError: Failed to fetch")
