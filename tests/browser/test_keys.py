"""Keys in a browser: paused, resumed, rotated; and what the page of a managed object says."""

import re
import secrets
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.site import Site
from tests.browser.test_plan_form import shoot

LIST = "/admin/plans/virtualkey/"
FILE = "plans: {from-a-file: {preset: safe}}\n"


def make_key(site: Site) -> str:
    """The name of a fresh key of its own tenant."""
    name = f"key-{secrets.token_hex(4)}"
    assert site.gateway.api("PUT", f"/token-saving/tenants/{name}", json={}).status_code == 201
    made = site.gateway.api("PUT", f"/token-saving/keys/{name}?tenant={name}", json={})
    assert made.status_code == 201, made.text
    return name


def act(page: Page, name: str, action: str) -> None:
    page.goto(f"{LIST}?q={name}")
    page.locator("input.action-select").first.check()
    page.get_by_label("Action:").select_option(label=action)
    page.get_by_role("button", name="Go").click()


def test_a_key_is_paused_and_resumed(site: Site, page: Page, screens: Path | None) -> None:
    name = make_key(site)
    act(page, name, "Pause the selected keys")
    expect(page.get_by_text("1 key was paused")).to_be_visible()
    expect(page.locator("td.field-short_state")).to_have_text("paused")
    shoot(page, screens, "keys-paused")
    act(page, name, "Resume the selected keys")
    expect(page.locator("td.field-short_state")).to_have_text("live")


def test_a_key_is_rotated_and_both_secrets_are_listed(
    site: Site, page: Page, screens: Path | None
) -> None:
    name = make_key(site)
    act(page, name, "Rotate the selected key")
    expect(page.get_by_label("The former secret works on for")).to_have_value("86400")
    shoot(page, screens, "key-rotate")
    page.get_by_role("button", name="Make a new secret").click()
    expect(page.locator("#secret")).to_have_text(re.compile(r"^tt-[\w-]{43}$"))
    expect(page.get_by_text("works until")).to_be_visible()
    shoot(page, screens, "key-rotated")
    page.get_by_role("link", name="I have copied it").click()
    page.goto(f"{LIST}?q={name}")
    expect(page.locator("td.field-short_state")).to_have_count(2)
    expect(page.get_by_text("replaced by")).to_be_visible()
    shoot(page, screens, "keys-rotated")
    page.get_by_role("row", name="replaced by").get_by_role("link").first.click()
    expect(page.get_by_text("As key-", exact=False)).to_be_visible()
    shoot(page, screens, "key-former")


def test_what_a_file_names_says_so(
    site: Site, page: Page, tmp_path: Path, screens: Path | None
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(FILE)
    site.gateway.manage("apply", str(file))
    page.goto("/admin/plans/plan/?q=from-a-file")
    expect(page.locator("td.field-managed_by")).to_have_text(file.name)
    shoot(page, screens, "plans-managed")
    page.get_by_role("link", name="from-a-file").click()
    expect(page.get_by_text("says what this is")).to_contain_text("manage.py apply")
    shoot(page, screens, "plan-managed")
