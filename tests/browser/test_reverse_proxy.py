"""The gateway as people meet it below a path of a host: nginx with its example, TLS, and chromium.

Every request of every page must stay below that path; the watch sees one that does not.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, WebSocket, expect

from tests.browser.test_plan_form import shoot
from tests.browser.watch import Watch
from tests.support.gateways import ROUTE, Gateway, running_gateway
from tests.support.proxies import PREFIX, ReverseProxy, find_proxy, running_proxy
from tests.support.upstream import MockUpstream, completion, running_upstream

PLAN = "behind-nginx"
PAUSE = 0.3  # seconds between events of a stream
# A script of the page asks for a stream, and notes when each part of it came.
ASK = """async ([prefix, key, model]) => {
  const begun = performance.now();
  const reply = await fetch(`${prefix}/v1/chat/completions`, {
    method: "POST",
    headers: {authorization: `Bearer ${key}`, "content-type": "application/json"},
    body: JSON.stringify({model, stream: true, messages: [{role: "user", content: "Tell me."}]}),
  });
  const parts = [], reader = reply.body.getReader();
  let text = "";
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return {status: reply.status, text, parts};
    parts.push(performance.now() - begun);
    text += new TextDecoder().decode(value);
  }
}"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[MockUpstream]:
    with running_upstream() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    find_proxy("nginx")
    folder = tmp_path_factory.mktemp("below")
    settings = {"TOKENTHRIFT_HTTPS": "yes", "TOKENTHRIFT_PATH_PREFIX": PREFIX}
    with running_gateway(upstream, folder, workers=2, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def nginx(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReverseProxy]:
    with running_proxy("nginx", gateway.url, tmp_path_factory.mktemp("nginx")) as running:
        yield running


@pytest.fixture
def below(nginx: ReverseProxy) -> Iterator[Watch]:
    watching = Watch(f"{nginx.url}/")
    yield watching
    assert not watching.found


@pytest.fixture
def page(nginx: ReverseProxy, gateway: Gateway, browser: Browser, below: Watch) -> Iterator[Page]:
    """A page of somebody who has just logged in, sent there by the bare host name and path."""
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    below.over(opened)
    opened.goto(f"{nginx.url}/")
    opened.get_by_label("Username").fill("admin")
    opened.get_by_label("Password").fill(gateway.password)
    opened.get_by_role("button", name="Log in").click()
    opened.wait_for_url(f"{nginx.url}/dashboard/")
    yield opened
    context.close()


def test_admin_chat_and_live_dashboard_work_below_a_path(
    nginx: ReverseProxy,
    gateway: Gateway,
    upstream: MockUpstream,
    page: Page,
    screens: Path | None,
) -> None:
    for cookie in page.context.cookies():
        assert (cookie["path"], cookie["secure"]) == (PREFIX, True)
    save_a_plan(nginx, page, screens)
    gateway.wait_plan(PLAN)
    stream_from_a_script(nginx, gateway, upstream, page)
    watch_the_dashboard_move(nginx, gateway, upstream, page, screens)
    read_the_api_docs(nginx, page, screens)
    log_out(nginx, page)


def save_a_plan(nginx: ReverseProxy, page: Page, screens: Path | None) -> None:
    page.goto(f"{nginx.url}/admin/plans/plan/add/?preset=balanced")
    page.locator("#id_name").fill(PLAN)
    page.get_by_role("button", name="Save and continue editing").click()
    page.wait_for_url(re.compile(rf"^{re.escape(nginx.url)}/admin/plans/plan/\d+/change/"))
    expect(page.get_by_role("heading", name="Use it")).to_be_visible()
    # The code to copy is what reaches the gateway from where this person sits.
    assert f"{nginx.url}/v1" in page.content()
    shoot(page, screens, "behind-nginx-plan")
    page.get_by_label("Similarity threshold").fill("0.7")
    page.get_by_role("button", name="Save and continue editing").click()
    page.get_by_label("Why?").fill("More hits")
    page.get_by_role("button", name="Save this change").click()
    page.goto(page.url.partition("?")[0])  # without what is only a draft
    expect(page.get_by_label("Similarity threshold")).to_have_value("0.7")


def stream_from_a_script(
    nginx: ReverseProxy, gateway: Gateway, upstream: MockUpstream, page: Page
) -> None:
    upstream.says, upstream.pause = completion("One word after the other. " * 4), PAUSE
    page.goto(f"{nginx.url}/dashboard/")
    found = page.evaluate(ASK, [PREFIX, gateway.virtual_key, ROUTE])
    upstream.forget()
    assert found["status"] == 200
    assert found["text"].endswith("data: [DONE]\n\n")
    first, last = found["parts"][0], found["parts"][-1]
    assert first < last / 2
    assert last - first > 2 * PAUSE * 1000


def watch_the_dashboard_move(
    nginx: ReverseProxy,
    gateway: Gateway,
    upstream: MockUpstream,
    page: Page,
    screens: Path | None,
) -> None:
    """The socket is below the path too, and what it says shows on the page."""
    heard: list[int] = []

    def listen(socket: WebSocket) -> None:
        assert socket.url == f"{nginx.url.replace('https', 'wss')}/dashboard/live"
        socket.on("framereceived", lambda data: heard.append(json.loads(data)["number"]))

    page.on("websocket", listen)
    page.goto(f"{nginx.url}/dashboard/?range=24h")
    page.evaluate("window.loadedOnce = true")
    upstream.says = completion("Ask on your account page.")
    cached = page.locator(".figure", has_text="Cache hits")
    for _ in range(2):
        answer = gateway.chat("Where are my invoices?", token_saving_plan_id=PLAN)
        assert answer.status_code == 200
        page.wait_for_timeout(500)
    expect(cached).to_contain_text(re.compile(r"1 of \d+ request"), timeout=10_000)
    assert page.evaluate("window.loadedOnce")
    assert len(set(heard)) > 1
    expect(page.locator("#live")).to_be_hidden()
    shoot(page, screens, "behind-nginx-dashboard")
    page.get_by_role("link", name="Requests one by one").click()
    expect(page).to_have_url(re.compile(rf"^{re.escape(nginx.url)}/dashboard/requests\?"))
    page.locator("tbody").get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(rf"^{re.escape(nginx.url)}/dashboard/requests/"))
    shoot(page, screens, "behind-nginx-request")
    with page.expect_download() as download:
        page.goto(f"{nginx.url}/dashboard/?range=24h")
        page.get_by_role("link", name="CSV").first.click()
    assert download.value.url.startswith(f"{nginx.url}/token-saving/stats?")


def read_the_api_docs(nginx: ReverseProxy, page: Page, screens: Path | None) -> None:
    page.goto(f"{nginx.url}/api/docs", wait_until="networkidle")
    expect(page.locator(".servers select")).to_have_value(PREFIX)
    shoot(page, screens, "behind-nginx-api-docs")


def log_out(nginx: ReverseProxy, page: Page) -> None:
    page.goto(f"{nginx.url}/dashboard/")
    page.get_by_role("button", name="Log out").click()
    page.goto(f"{nginx.url}/dashboard/")
    assert page.url.startswith(f"{nginx.url}/admin/login/?next={PREFIX}/dashboard/")
