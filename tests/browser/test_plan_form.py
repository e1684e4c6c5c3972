"""The plan's form in a browser: a preset, the slider, the question before a risky change,
the history, the way back, snippets, the test."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.site import Site
from tests.browser.watch import Watch

SCHEMES = ("light", "dark")


def shoot(page: Page, screens: Path | None, name: str) -> None:
    """In light and dark, wide and on a phone; only where somebody wants screenshots."""
    for scheme in SCHEMES if screens else ():
        for width, pixels in {"wide": 1280, "phone": 390}.items():
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of the two words
            page.set_viewport_size({"width": pixels, "height": 900})
            page.evaluate("scrollTo(0, 0)")  # what sticks would stand in the middle
            page.screenshot(
                path=(screens or Path()) / f"{name}-{scheme}-{width}.png", full_page=True
            )
    page.set_viewport_size({"width": 1280, "height": 900})


@pytest.fixture
def plan(site: Site) -> str:
    """The path of a fresh plan."""
    name = f"form-{len(site.gateway.api('GET', '/token-saving/plans').json()['data'])}"
    assert (
        site.gateway.api("POST", "/token-saving/plans", json={"plan_name": name}).status_code == 201
    )
    site.gateway.wait_plan(name)
    code = f"from plans.models import Plan; print(Plan.objects.get(name={name!r}).pk)"
    return f"/admin/plans/plan/{int(site.gateway.manage('shell', '--verbosity', '0', '-c', code))}/"


def test_the_slider_and_the_number_are_one(page: Page, plan: str) -> None:
    page.goto(f"{plan}change/")
    slider, number = page.get_by_label("Try a threshold"), page.get_by_label("Similarity threshold")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(number).to_have_value("0.86")
    expect(page.locator("[data-drafted]")).to_have_text("0.86")
    number.fill("0.9")
    expect(slider).to_have_value("0.9")
    expect(page.locator("[data-words]")).to_contain_text("At 0.9,")
    assert page.locator("[data-mark]").get_attribute("x1") == "448"


def test_a_name_hides_the_number_it_replaces_and_a_cosine_hides_the_names(
    page: Page, plan: str, screens: Path | None
) -> None:
    page.goto(f"{plan}change/")
    names, number = (
        page.get_by_label("How well questions must agree"),
        page.get_by_label("Similarity threshold"),
    )
    figures = page.get_by_role("heading", name="What was measured at each name")
    curve = page.get_by_role("heading", name="What the threshold does")
    expect(number).to_be_visible()
    expect(figures).to_be_visible()
    names.select_option("wide")
    expect(number).not_to_be_visible()
    expect(curve).not_to_be_visible()
    shoot(page, screens, "plan-strictness")
    page.get_by_label("Questions match by").select_option("cosine")
    expect(names).not_to_be_visible()
    expect(figures).not_to_be_visible()
    expect(number).to_be_visible()
    page.get_by_label("Questions match by").select_option("verified")
    expect(names).to_have_value("wide")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("A lower threshold reuses more answers")).to_be_visible()
    page.get_by_label("Why?").fill("More rewordings")
    page.get_by_role("button", name="Save this change").click()
    expect(page.get_by_text("cache.strictness wide without an error budget")).to_be_visible()


def test_a_risky_change_asks_is_noted_and_taken_back(
    page: Page, plan: str, screens: Path | None
) -> None:
    page.goto(f"{plan}change/")
    page.get_by_role("link", name="Aggressive").click()
    expect(page.get_by_text("not saved yet.")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Nothing is saved yet.")).to_be_visible()
    shoot(page, screens, "plan-confirm")
    page.get_by_label("Why?").fill("More hits for the FAQ")
    page.get_by_role("button", name="Save this change").click()
    page.goto(f"{plan}history/")
    expect(page.get_by_text("More hits for the FAQ")).to_be_visible()
    shoot(page, screens, "plan-history-filled")
    page.get_by_role("link", name="Revert to this").click()
    shoot(page, screens, "plan-revert")
    page.get_by_label("Why?").fill("Too many wrong answers")
    page.get_by_role("button", name="Go back to these settings").click()
    expect(page.get_by_text("Back to version 1: Too many wrong answers")).to_be_visible()


def test_a_draft_is_previewed_with_its_own_numbers(page: Page, plan: str) -> None:
    page.goto(f"{plan}change/")
    page.get_by_label("Most input tokens").fill("777")
    page.get_by_role("button", name="Preview this draft on a chat").click()
    expect(page.get_by_label("Most input tokens")).to_have_value("777")


def test_a_draft_is_tried_on_the_last_week_and_saved_from_there(
    site: Site, page: Page, screens: Path | None
) -> None:
    page.goto(f"/admin/plans/plan/{site.plan}/change/")
    cached = page.get_by_label("Cache answers")
    cached.uncheck()
    page.get_by_role("button", name="What would this change do?").click()
    expect(
        page.get_by_role(
            "heading", name=re.compile("6 of 11 requests .55 %. would have been answered otherwise")
        )
    ).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("Hits gained, lost"))).to_contain_text("0, 6")
    shoot(page, screens, "plan-replay-draft")
    page.get_by_role("button", name="Save this change").click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    page.goto(f"/admin/plans/plan/{site.plan}/change/")
    expect(cached).not_to_be_checked()
    cached.check()
    page.get_by_role("button", name="Save", exact=True).click()
    if page.get_by_label("Why?").count():
        page.get_by_label("Why?").fill("As it was")
        page.get_by_role("button", name="Save this change").click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()


def test_a_snippet_is_copied_and_a_test_is_sent(
    page: Page, plan: str, screens: Path | None
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{plan}change/")
    page.get_by_role("button", name="Copy the curl snippet").click()
    assert "/v1/chat/completions" in page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("link", name="Send a test request").click()
    page.get_by_role("button", name=re.compile("Send it")).click()
    expect(
        page.get_by_role(
            "heading", name="It works: the second, identical request was answered from the cache"
        )
    ).to_be_visible()
    shoot(page, screens, "plan-test-sent")


def test_an_import_shows_what_it_would_do(
    page: Page, plan: str, watch: Watch, screens: Path | None
) -> None:
    page.goto("/admin/plans/plan/import/")
    row = (
        b'{"plans": [{"plan_name": "support-desk", "cache": {"ttl": 60}}, {"plan_name": '
        b'"imported", "preset": "safe"}]}'
    )
    page.get_by_label("File").set_input_files(
        {"name": "plans.json", "mimeType": "application/json", "buffer": row}
    )
    page.get_by_role("button", name="Show what it would do").click()
    expect(page.get_by_text("Unknown field")).to_be_visible()
    watch.forgive("400 (Bad Request)")
    shoot(page, screens, "plans-import-refused")
    page.get_by_label("File").set_input_files(
        {
            "name": "plans.json",
            "mimeType": "application/json",
            "buffer": row.replace(b', "preset": "safe"', b""),
        }
    )
    page.get_by_role("button", name="Show what it would do").click()
    expect(page.get_by_text("After the import")).to_be_visible()
    shoot(page, screens, "plans-import-dry")
