"""The quick start does what it says: every block of it is run as it is written, from a folder that
has nothing but the checkout.

The environment is the test's own, taken for up to date, and so are the exported models; the
provider is a mock, and the port a free one. What else a person does, in a browser, `set_up` does.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from gateway_project.embedded.processes import find_free_port
from mock_providers import shapes
from mock_providers.server import Answer, Asked, MockProvider, serve_in_thread
from tests.support.shown_commands import Shell, Shown, find_missing_line, read_page

ROOT: Final = Path(__file__).resolve().parents[2]
# Those that README.md calls its quick start.
PAGES: Final = ("README.md", "docs/quick-start.md")
NOT_RUN: Final = {
    "make demo": "takes more than a minute; tests/demo/test_run.py runs the demo",
    "make test": "is what runs this",
}
PROVIDER_URL: Final = "https://api.openai.com/v1"
PASSWORD: Final = "a-long-Walk-34"
SET_UP: Final = re.compile(r"http://\S+/start\?token=\S+")
KNOWN_SECONDS: Final = 2.0  # until every worker knows a change
SETTINGS: Final = ("DATABASE_URL", "REDIS_", "TOKENTHRIFT_", "DJANGO_", "PYTEST_")


def answer(asked: Asked) -> Answer:
    if asked.path.endswith("/models"):
        return Answer(body={"data": [{"id": "gpt-4o-mini"}]})
    usage = shapes.build_usage(13, 53)
    said = "Click “Forgot password” on the log-in page."
    return Answer(
        completion=shapes.build_completion(
            said, id="c-1", created=1, model="gpt-4o-mini", usage=usage
        )
    )


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with serve_in_thread(MockProvider(answer)) as url:
        yield f"{url}/v1"


@pytest.fixture
def shell(tmp_path: Path, provider: str, models: Path) -> Iterator[Shell]:
    clone, port = tmp_path / "clone", str(find_free_port())
    copy_checkout(clone)
    (clone / ".venv").symlink_to(sys.prefix)
    (clone / "var").mkdir()
    (clone / "var" / "models").symlink_to(models)
    tmp_path.chmod(0o755)
    environment = {
        name: value
        for name, value in os.environ.items()
        # What this run of `make` was told is not for the gateway's.
        if not name.startswith((*SETTINGS, "ARGS", "MAKE", "MFLAGS"))
    } | {
        "TOKENTHRIFT_PORT": port,
        # On a busy machine a look-up that is late would be a miss, as it should.
        "TOKENTHRIFT_CACHE_BUDGET_MS": "2000",
        "OPENAI_API_KEY": "sk-of-the-provider",
        "PYTHONUNBUFFERED": "1",
    }
    running = Shell(
        clone,
        environment,
        {
            "127.0.0.1:8000": f"127.0.0.1:{port}",
            f"base_url: {PROVIDER_URL}": f"base_url: {provider}\n    allow_private: true",
        },
    )
    yield running
    running.stop()


def copy_checkout(folder: Path) -> None:
    """Copy what git would give, new files included."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file() and not name.startswith((".venv", "var/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for path in folder.glob("*.*"):
        os.utime(path, (1, 1))  # older than the environment, which `make` would install anew


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("curl"), reason="the quick start uses curl")
@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_the_quick_start_does_what_it_shows(
    shell: Shell, provider: str, page: str
) -> None:
    for each in blocks_to_run(page):
        if each.kind == "file":
            (shell.folder / each.name).write_text(shell.fill(each.text))
        elif "make serve" in each.text:
            said = shell.serve(each.text, each.output)
            if "TOKENTHRIFT_CONFIG" not in each.text:
                shell.environment["VIRTUAL_KEY"] = set_up(SET_UP.findall(said)[0], provider)
            time.sleep(KNOWN_SECONDS)
        else:
            run = shell.run if each.kind == "command" else shell.run_program
            output = run(each.text)
            assert find_missing_line(each.output, output) is None, output


def blocks_to_run(page: str) -> list[Shown]:
    """Return the page's blocks without those of NOT_RUN, and those of a page before it."""
    earlier = [each for before in PAGES[: PAGES.index(page)] for each in read_page(ROOT / before)]
    return [
        each for each in read_page(ROOT / page) if each.text not in NOT_RUN and each not in earlier
    ]


def set_up(url: str, provider: str) -> str:
    """Do what README.md says of the page and of `/admin/`; return the key."""
    with httpx.Client(follow_redirects=True, timeout=30) as browser:
        page = browser.get(url)
        fields = {"username": "maria", "password": PASSWORD, "provider": "own-server"}
        fields |= {"base_url": provider, "provider_key": "sk-of-the-provider"}
        page = send(browser, page, fields)
        page = send(browser, page, {"model": "gpt-4o-mini"})
        found = re.search(r'id="secret">(tt-[\w-]+)<', page.text)
        assert found, page.text
        made = browser.post(
            str(page.url.copy_with(path="/token-saving/plans")),
            json={"plan_name": "faq-cache", "preset": "balanced"},
            headers={"x-csrftoken": browser.cookies["tokenthrift_csrf"]},
        )
        assert made.status_code == 201, made.text
    return found[1]


def send(browser: httpx.Client, page: httpx.Response, fields: dict[str, str]) -> httpx.Response:
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token, page.text
    reply: Any = browser.post(page.url, data=fields | {"csrfmiddlewaretoken": token[1]})
    assert reply.status_code == 200, reply.text
    return reply  # type: ignore[no-any-return]


def test_what_is_not_run_is_shown_and_every_page_shows_something_to_run() -> None:
    shown = {each.text for page in PAGES for each in read_page(ROOT / page)}
    assert set(NOT_RUN) <= shown
    for page in PAGES:
        kinds = {each.kind for each in blocks_to_run(page)}
        assert "command" in kinds
        assert any(each.output for each in blocks_to_run(page))


def test_a_page_that_the_readme_calls_quick_start_is_run() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    named = set(re.findall(r"\[quick start[^\]]*\]\((docs/[^)#]+)", text, re.IGNORECASE))
    assert named == set(PAGES) - {"README.md"}
