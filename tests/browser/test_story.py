"""The whole of it, as somebody does it who has just installed the gateway:
a plan, a preview, traffic, what it saved, and the way back."""

import os
import re
import signal
import time
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.site import Site
from tests.browser.test_plan_form import shoot
from tests.browser.watch import Watch
from tests.support.upstream import completion

PLAN = "first-plan"
LIVE_SECONDS = 2.0  # from a request's end until the page shows it
LOOSE = 3.0  # what a busy machine may add
RECOVERY = 60_000  # milliseconds until new workers answer and the page has come back to them


def test_from_the_login_to_the_way_back(
    site: Site, page: Page, watch: Watch, screens: Path | None
) -> None:
    page.context.clear_cookies()
    log_in(site, page)
    plan = make_a_plan(page)
    preview_it(page, plan, screens)
    site.gateway.wait_plan(PLAN)

    page.goto(f"/dashboard/?range=24h&plan={plan}")
    page.evaluate("window.loadedOnce = true")
    watch_the_numbers_move(site, page)
    survive_the_death_of_all_workers(site, page, watch)
    assert page.evaluate("window.loadedOnce")  # nothing of this loaded the page again

    drill_down(page, screens)
    change_and_take_back(page, plan)


def log_in(site: Site, page: Page) -> None:
    page.goto("/dashboard/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(site.gateway.password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/dashboard/**")


def make_a_plan(page: Page) -> str:
    """By preset, in the form; its number."""
    page.goto("/admin/plans/plan/")
    page.get_by_role("link", name=re.compile("Add plan", re.IGNORECASE)).first.click()
    page.get_by_role("link", name="Balanced").click()
    expect(page.get_by_text("not saved yet.")).to_be_visible()
    page.locator("#id_name").fill(PLAN)
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_role("heading", name="Use it")).to_be_visible()
    found = re.search(r"/plan/(\d+)/change/", page.url)
    assert found
    return found[1]


def preview_it(page: Page, plan: str, screens: Path | None) -> None:
    page.goto(f"/admin/plans/plan/{plan}/change/")
    page.get_by_role("button", name="Preview this draft on a chat").click()
    page.locator("button[name=example]").first.click()
    expect(page.locator("#tt-outcome")).to_contain_text(
        re.compile("tokens would be sent|goes out as it is")
    )
    shoot(page, screens, "plan-preview-filled")


def watch_the_numbers_move(site: Site, page: Page) -> None:
    """Each answer shows on the page that was opened before it was given,
    within the promised time."""
    expect(
        page.get_by_text(re.compile("No request named a plan|Nothing saved yet")).first
    ).to_be_visible()
    ask(site, "How do I change my delivery address?")
    expect(page.locator(".figure", has_text="Cache hits")).to_contain_text(
        "0 of", timeout=(LIVE_SECONDS + LOOSE) * 1000
    )
    before = requests_shown(page)
    begun = time.monotonic()
    ask(site, "How do I change my delivery address?")
    expect(page.locator(".figure", has_text="Cache hits")).to_contain_text(
        f"1 of {before + 1} requests", timeout=(LIVE_SECONDS + LOOSE) * 1000
    )
    assert time.monotonic() - begun < LIVE_SECONDS + LOOSE
    expect(page.locator("#sentence")).to_contain_text("You saved")


def requests_shown(page: Page) -> int:
    found = re.search(
        r"of ([\d,]+) request", page.locator(".figure", has_text="Cache hits").inner_text()
    )
    assert found
    return int(found[1].replace(",", ""))


def survive_the_death_of_all_workers(site: Site, page: Page, watch: Watch) -> None:
    """The page says that it is cut off, and comes back by itself when workers do."""
    before = requests_shown(page)
    dead = site.gateway.worker_pids()
    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + RECOVERY / 1000
    while time.monotonic() < deadline:
        try:
            if ask(site, "How do I change my delivery address?", check=False) == 200:
                break
        except Exception:  # nobody listens yet
            time.sleep(0.2)
    expect(page.locator(".figure", has_text="Cache hits")).to_contain_text(
        f"2 of {before + 1} requests", timeout=RECOVERY
    )
    expect(page.locator("#live")).to_be_hidden(timeout=RECOVERY)
    for part in ("WebSocket", "ERR_CONNECTION", "ERR_EMPTY_RESPONSE", "ERR_SOCKET", "503"):
        watch.forgive(part)


def drill_down(page: Page, screens: Path | None) -> None:
    """From the plan to a key of it, to a request, to what became of that."""
    page.locator("#top-key").get_by_role("link").first.click()
    expect(page).to_have_url(re.compile("key="))
    page.locator("#requests").get_by_role("link").first.click()
    expect(page).to_have_url(re.compile("/dashboard/requests/"))
    expect(page.get_by_text("exact").first).to_be_visible()
    shoot(page, screens, "request-hit")


def change_and_take_back(page: Page, plan: str) -> None:
    page.goto(f"/admin/plans/plan/{plan}/change/")
    saved = page.get_by_label("Similarity threshold").input_value()
    page.get_by_label("Similarity threshold").fill("0.7")
    page.get_by_role("button", name="Save and continue editing").click()
    page.get_by_label("Why?").fill("More hits")
    page.get_by_role("button", name="Save this change").click()
    page.goto(f"/admin/plans/plan/{plan}/change/")
    expect(page.get_by_label("Similarity threshold")).to_have_value("0.7")
    page.goto(f"/admin/plans/plan/{plan}/history/")
    page.get_by_role("link", name="Revert to this").first.click()
    page.get_by_label("Why?").fill("Wrong answers")
    page.get_by_role("button", name="Go back to these settings").click()
    expect(page.get_by_text("Wrong answers").first).to_be_visible()
    page.goto(f"/admin/plans/plan/{plan}/change/")
    expect(page.get_by_label("Similarity threshold")).to_have_value(saved)


def ask(site: Site, question: str, *, check: bool = True) -> int:
    site.upstream.says = completion("On your account page, below Settings.")
    status = site.gateway.chat(question, token_saving_plan_id=PLAN).status_code
    assert status == 200 or not check
    return status
