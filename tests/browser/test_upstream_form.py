"""The form of an upstream fills in what is known of the chosen provider, and keeps what was
typed."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.test_plan_form import shoot

ADD = "/admin/proxy/upstream/add/"


def test_a_choice_fills_in_its_address_and_what_was_typed_stays(
    page: Page, screens: Path | None
) -> None:
    page.goto(ADD)
    provider, address = page.get_by_label("Provider:", exact=True), page.get_by_label("Base url")
    provider.select_option(label="Groq")
    expect(address).to_have_value("https://api.groq.com/openai/v1")
    provider.select_option(label="Ollama")
    expect(address).to_have_value("http://127.0.0.1:11434/v1")
    expect(page.get_by_label("Allow private")).to_be_checked()
    expect(page.get_by_label("Send no key")).to_be_checked()
    provider.select_option(label="Azure OpenAI")
    expect(address).to_have_value("")
    expect(address).to_have_attribute(
        "placeholder", "https://my-resource.openai.azure.com/openai/v1"
    )
    expect(page.get_by_label("Allow private")).not_to_be_checked()
    address.fill("https://mine.example.com/v1")
    provider.select_option(label="OpenAI")
    expect(address).to_have_value("https://mine.example.com/v1")
    shoot(page, screens, "upstream-form")


def test_an_upstream_is_made_with_a_choice_and_a_key(page: Page, screens: Path | None) -> None:
    page.goto(ADD)
    page.get_by_label("Name").fill("made-here")
    page.get_by_label("Provider:", exact=True).select_option(label="Mistral")
    page.get_by_role("textbox", name="Provider key").fill("Bearer sk-1")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()
    page.get_by_role("link", name="made-here").first.click()
    expect(page.get_by_label("Base url")).to_have_value("https://api.mistral.ai/v1")
    shoot(page, screens, "upstream-saved")
