"""From `manage.py serve` on an empty installation to the first cached answer, with a mouse."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from mock_providers import shapes
from mock_providers.server import Answer, Asked, MockProvider, serve_in_thread
from tests.browser.test_pages import AXE, SERIOUS, WIDTHS, told
from tests.browser.watch import Watch
from tests.support.gateways import Gateway, empty_gateway

KEY: Final = "sk-of-the-provider-55"
PASSWORD: Final = "a-long-Walk-34"
MAX_STEPS, MAX_FIELDS = 4, 6
SET_UP: Final = re.compile(r"^Tokenthrift: (http://\S+/start\?token=\S+) ", re.MULTILINE)


def answer(asked: Asked) -> Answer:
    """Two models for KEY, and one answer to everything."""
    if asked.headers.get(b"authorization") != f"Bearer {KEY}".encode():
        return Answer(status=401, body=shapes.build_error("Incorrect API key provided."))
    if asked.path.endswith("/models"):
        return Answer(body={"data": [{"id": "gpt-4o"}, {"id": "gpt-4o-mini"}]})
    completion = shapes.build_completion(
        "By card.", id="c-1", created=1, model="gpt-4o-mini", usage=shapes.build_usage(19, 10)
    )
    return Answer(completion=completion)


@pytest.fixture
def provider() -> Iterator[tuple[MockProvider, str]]:
    mock = MockProvider(answer)
    with serve_in_thread(mock) as url:
        yield mock, f"{url}/v1"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with empty_gateway(tmp_path, workers=2) as running:
        yield running


class Steps:
    """Counts what a person does: pages opened, buttons pressed, fields filled or chosen."""

    def __init__(self, page: Page) -> None:
        self.page, self.steps, self.fields = page, 0, 0

    def open(self, url: str) -> None:
        self.steps += 1
        self.page.goto(url)

    def fill(self, label: str, value: str) -> None:
        self.fields += 1
        field = self.page.get_by_label(label, exact=True)
        if field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(label=value)
        else:
            field.fill(value)

    def press(self, name: str) -> None:
        self.steps += 1
        self.page.get_by_role("button", name=name).click()


@pytest.fixture
def context(gateway: Gateway, browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(base_url=gateway.url, viewport={"width": 1280, "height": 900})
    yield opened
    opened.close()


def test_four_steps_and_six_fields_to_the_first_cached_answer(
    gateway: Gateway,
    provider: tuple[MockProvider, str],
    context: BrowserContext,
    screens: Path | None,
) -> None:
    mock, base_url = provider
    watch, page = Watch(gateway.url), context.new_page()
    page.set_default_timeout(15_000)
    watch.over(page)
    said = SET_UP.findall(gateway.log.read_text())
    assert len(said) == 1
    assert (
        gateway.log.read_text().count("http://127.0.0.1")
        - gateway.log.read_text().count("Uvicorn running on http://127.0.0.1")
        == 1
    )

    person = Steps(page)
    person.open(said[0])
    assert page.url == f"{gateway.url}/start"  # the token is in no address that stays
    look_at(page, screens, "start-provider")
    person.fill("Username", "maria")
    person.fill("Password", PASSWORD)
    page.get_by_label("Provider", exact=True).select_option(label="Mistral")
    expect(page.get_by_label("Base URL")).to_have_value("https://api.mistral.ai/v1")
    person.fill("Provider", "Another address, or a server of your own")
    expect(page.get_by_label("Base URL")).to_have_value("")
    person.fill("Base URL", base_url)
    person.fill("Provider key", KEY)
    person.press("Make the account and test the connection")

    expect(page.get_by_text("lists 2 models")).to_be_visible()
    expect(page.get_by_label("Model")).to_have_value("gpt-4o-mini")
    look_at(page, screens, "start-model")
    person.fill("Model", "gpt-4o-mini")
    person.press("Make my key")

    expect(page.get_by_text("Waiting for the first request")).to_be_visible()
    secret = page.locator("#secret").inner_text()
    look_at(page, screens, "start-waiting")
    person.press("twice from here")
    expect(page.get_by_text("Answered by own-server")).to_be_visible()
    expect(page.get_by_text("From the cache")).to_be_visible()
    expect(page.locator("#requests")).to_contain_text("29 tokens saved, $0.0000")
    expect(page.get_by_text("It works.")).to_be_visible()
    look_at(page, screens, "start-finished")

    assert person.steps <= MAX_STEPS
    assert person.fields <= MAX_FIELDS
    assert [each.path for each in mock.asked].count("/v1/chat/completions") == 1
    assert KEY not in page.content()
    assert_the_snippet_works(page, secret)

    page.get_by_role("link", name="Open the dashboard").click()
    expect(page.locator(".figure", has_text="Cache hits")).to_be_visible()
    page.goto("/start")
    assert page.url.startswith(f"{gateway.url}/dashboard")
    assert httpx.get(said[0]).status_code == 404
    assert httpx.get(f"{gateway.url}/start").status_code == 404
    assert not watch.found


def assert_the_snippet_works(page: Page, secret: str) -> None:
    """The Python one, as it is copied: right address, route, and a hit."""
    shown = page.locator("#snippet-python").text_content()
    assert shown
    said: dict[str, Any] = {}
    code = shown.replace('os.environ["TOKENTHRIFT_KEY"]', repr(secret))
    exec(compile(code, "snippet", "exec"), said)
    assert said["reply"].choices[0].message.content == "By card."


def look_at(page: Page, screens: Path | None, name: str) -> None:
    """In both themes, wide and on a phone; nothing runs over."""
    for scheme in ("light", "dark"):
        for width, pixels in WIDTHS.items():
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": pixels, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= pixels
            if screens:
                page.screenshot(path=screens / f"{name}-{scheme}-{width}.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_step_shuts_anybody_out(
    gateway: Gateway, provider: tuple[MockProvider, str], browser: Browser, scheme: Any
) -> None:
    """Each page of the way, what is wrong included, as the other pages are looked at."""
    context = browser.new_context(base_url=gateway.url, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.goto("/start")
    assert find_barriers(page) == []  # closed
    page.goto(SET_UP.findall(gateway.log.read_text())[0])
    assert find_barriers(page) == []
    page.get_by_label("Password", exact=True).fill("admin")
    page.get_by_label("Provider", exact=True).select_option("own-server")
    page.get_by_label("Base URL").fill(provider[1])
    page.get_by_label("Provider key", exact=True).fill("sk-wrong")
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_text("This password is too")).to_be_visible()
    assert find_barriers(page) == []
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_text("refuses the key (401)")).to_be_visible()
    expect(page.get_by_label("Base URL")).to_have_value(provider[1])
    assert find_barriers(page) == []
    page.get_by_label("Provider key", exact=True).fill(KEY)
    page.get_by_role("button", name="Test the connection").click()
    expect(page.get_by_text("lists 2 models")).to_be_visible()
    assert find_barriers(page) == []
    page.get_by_role("button", name="Make my key").click()
    expect(page.get_by_text("Waiting for the first request")).to_be_visible()
    assert find_barriers(page) == []
    mock = provider[0]
    mock.script = lambda asked: Answer(status=401, body=shapes.build_error("No such key."))
    page.get_by_role("button", name="twice from here").click()
    expect(page.locator("#problem")).to_contain_text("did not accept the gateway's own key")
    expect(page.locator("#requests")).to_contain_text("The provider refuses its key")
    assert find_barriers(page) == []
    mock.script = answer
    page.get_by_role("button", name="twice from here").click()
    expect(page.get_by_text("It works.")).to_be_visible()
    assert find_barriers(page) == []
    context.close()


def find_barriers(page: Page) -> list[str]:
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        line
        for violation in found["violations"]
        if violation["impact"] in SERIOUS
        for line in told(violation)
    ]


def test_who_skips_it_is_led_back(gateway: Gateway, browser: Browser, screens: Path | None) -> None:
    """By the log-in page before there is an account, by dashboard and admin afterwards."""
    context = browser.new_context(base_url=gateway.url)
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_text("where the gateway was started")).to_be_visible()
    look_at(page, screens, "start-login")
    gateway.manage(
        "shell",
        "-c",
        "from django.contrib.auth.models import User; "
        f"User.objects.create_superuser('boss', password={PASSWORD!r})",
    )
    page.goto("/")
    expect(page.get_by_text("where the gateway was started")).not_to_be_visible()
    page.get_by_label("Username").fill("boss")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    look_at(page, screens, "start-dashboard")
    page.get_by_role("link", name="Set it up").click()
    expect(page.get_by_label("Provider key", exact=True)).to_be_visible()
    page.goto("/admin/")
    look_at(page, screens, "start-admin")
    page.get_by_role("link", name="Set it up").click()
    expect(page.get_by_label("Provider key", exact=True)).to_be_visible()
    context.close()
