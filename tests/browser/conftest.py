"""Chromium in front of a real gateway with two workers.

`make browser-test` runs these; they need Debian's chromium, or one named by CHROMIUM, and write
their screenshots to the folder named by SCREENS.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.site import Site, furnished
from tests.browser.watch import Watch
from tests.support.gateways import running_gateway
from tests.support.upstream import running_upstream

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        running_upstream() as upstream,
        running_gateway(upstream, tmp_path_factory.mktemp("site"), workers=2) as gateway,
    ):
        yield furnished(gateway, upstream)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.exit(
            "No chromium was found: install Debian's chromium, or name a browser with CHROMIUM=.",
            returncode=4,
        )
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def watch(site: Site) -> Iterator[Watch]:
    watching = Watch(site.url)
    yield watching
    assert not watching.found


@pytest.fixture
def page(site: Site, browser: Browser, watch: Watch) -> Iterator[Page]:
    """An empty page of somebody who is logged in as the platform's administrator, watched."""
    context = browser.new_context(
        base_url=site.url,
        viewport={"width": 1280, "height": 900},
        storage_state=site.session(browser),
    )
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    watch.over(opened)
    yield opened
    context.close()


@pytest.fixture(scope="session")
def screens() -> Path | None:
    """Where screenshots go; None: nobody wants any."""
    folder = Path(os.environ["SCREENS"]) if os.environ.get("SCREENS") else None
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    return folder
