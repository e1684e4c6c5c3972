"""The preview page of a plan: what it shows, who sees it,
and what it says to a chat it cannot read."""

import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from plans import services
from plans.models import ModelPrice, Plan, Tenant
from proxy.core.errors import ToolUnavailable
from proxy.preview.form import EXAMPLES, MAX_CHAT_LENGTH
from proxy.upstreams.services import put_route, put_upstream

pytestmark = pytest.mark.django_db

FORM = {
    "engine": "text_rank",
    "focus": "question",
    "max_input_tokens": "900",
    "when": "always",
    "language": "english",
    "model": "",
}


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def path() -> str:
    plan = services.create_plan(
        owner=Tenant.objects.create(slug="acme"), body={"plan_name": "desk", "compression": {}}
    )
    return f"/admin/plans/plan/{plan.pk}/preview/"


@pytest.fixture
def priced() -> None:
    ModelPrice.objects.create(
        provider="openai", model="gpt-4o-mini", input="0.15", output="0.6", cached_input="0.075"
    )
    put_route(
        name="smart",
        upstream=put_upstream(name="openai", base_url="https://api.openai.com/v1"),
        model="gpt-4o-mini",
    )


def shown(client: Client, path: str, status: int = 200, **fields: str) -> str:
    """The page that answers the form, its white space made single."""
    reply = client.post(path, FORM | fields)
    assert reply.status_code == status
    return re.sub(r"\s+", " ", reply.content.decode().replace("\N{NO-BREAK SPACE}", " "))


# The answer


@pytest.mark.parametrize("example", sorted(EXAMPLES))
def test_an_example_is_shown_side_by_side_with_every_place(
    staff: Client, path: str, priced: None, example: str
) -> None:
    page = shown(staff, path, example=example)
    assert re.search(r"<h2[^>]*>\d+ of 1,\d+ tokens would be sent \(\d+ %\)", page)
    for place in ("Protected", "Recent", "Gist", "Recalled", "Left out"):
        assert f">{place}</span></dt>" in page
    for kind in ("recalled", "block", "left-out"):
        assert re.search(
            rf'<span class="tt-p tt-{kind}" id="p\d+" data-tip="[A-Z][^"]* · rank \d+ · score [^"]+"',  # noqa: E501 -- a regular expression stays whole
            page,
        )
    assert "[From earlier in this conversation" in page
    assert "the budget was set to 900" in page
    assert "gpt-4o-mini at openai, route smart" in page
    assert re.search(
        r"1,000 such turns, at list price</th><td>\$0\.2\d{3}</td><td>\$0\.[01]\d{3}</td><td>\$0\.[01]\d{3}</td>",  # noqa: E501 -- a regular expression stays whole
        page,
    )
    assert re.search(
        r"1,000 next turns, prefix warm</th><td>\$0\.\d{4}</td><td>\$0\.\d{4}</td>", page
    )


def test_all_of_the_chat_stands_on_the_left_as_it_was(staff: Client, path: str) -> None:
    reply = staff.post(path, FORM | {"example": "moving"})
    cards, said = reply.context["asked"], EXAMPLES["moving"].text.strip().splitlines()
    assert [
        f"{card.speaker}: {''.join(stretch.text for stretch in card.stretches)}" for card in cards
    ] == said


def test_what_is_sent_stands_on_the_right(staff: Client, path: str) -> None:
    reply = staff.post(path, FORM | {"example": "support"})
    sent = reply.context["cut"].messages
    cards = reply.context["sent"]
    assert len(cards) == len(sent)
    assert [card.stretches[0].text for card in cards if card.kind in ("block", "recalled")] == [
        message["content"] for message in sent if message["content"].startswith("[")
    ]
    assert "3\N{EN DASH}4" in [card.number for card in reply.context["asked"]]


def test_a_draft_changes_the_answer_and_not_the_plan(staff: Client, path: str) -> None:
    before = Plan.objects.values().get()
    page = shown(
        staff, path, chat_text=EXAMPLES["moving"].text, engine="trim", max_input_tokens="500"
    )
    assert ">Whole</span></dt>" in page
    assert '<option value="trim" selected>' in page
    assert Plan.objects.values().get() == before


def test_a_short_chat_goes_as_it_is(staff: Client, path: str) -> None:
    page = shown(staff, path, chat_text="User: Hello.")
    assert "The chat goes out as it is" in page
    assert "no price here" in page
    assert page.count("<td>–</td>") == 6
    assert "Scores of" not in page


def test_a_whole_body_brings_its_model(staff: Client, path: str, priced: None) -> None:
    body = json.dumps({"model": "smart", "messages": [{"role": "user", "content": "Hello."}]})
    assert "route smart" in shown(staff, path, chat_text=body)
    assert "route smart" in shown(staff, path, chat_text="User: Hello.", model="smart")


def test_what_was_said_is_escaped(staff: Client, path: str) -> None:
    page = shown(
        staff,
        path,
        chat_text='User: <script>alert(1)</script>" onmouseover="x\nAssistant: ok\nUser: <b>',
        max_input_tokens="64",
    )
    assert "<script>alert" not in page
    assert "<b>" not in page.partition('id="result"')[2].replace("<b>User</b>", "").replace(
        "<b>Assistant</b>", ""
    )


def test_a_cut_that_loses_while_the_provider_is_warm_is_said(
    staff: Client, path: str, priced: None
) -> None:
    says = "this chat is cheaper whole"
    ModelPrice.objects.update(cached_input="0.015")
    assert says in shown(staff, path, example="moving")
    ModelPrice.objects.update(cached_input="0.15")
    assert says not in shown(staff, path, example="moving")
    ModelPrice.objects.update(cached_input=None)
    assert "gives no discount" in shown(staff, path, example="moving")


def test_a_chat_that_is_cheaper_whole_goes_whole_where_the_plan_cuts_when_it_saves(
    staff: Client, path: str, priced: None
) -> None:
    ModelPrice.objects.update(cached_input="0.015")
    page = shown(staff, path, example="moving", when="saves")
    assert "The chat goes out as it is: 1,5" in page
    assert "this chat is cheaper whole. Choose to shorten always" in page
    assert "Recalled" not in page


# States


def test_the_empty_page_says_what_to_do(staff: Client, path: str) -> None:
    page = staff.get(path).content.decode()
    assert "Paste a chat to see it here" in page
    assert 'value="4096"' in page
    assert "of acme" in page
    assert "Paste a chat, or take one of the examples." in shown(staff, path, status=400)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"chat_text": "hello"}, "lines that begin with User:"),
        ({"chat_text": "[{]"}, "not valid JSON"),
        ({"chat_text": '[{"role": "wizard"}]'}, "messages[0].role must be one of"),
        ({"chat_text": "User: " + "x" * MAX_CHAT_LENGTH}, "this page shows 400,000 at most"),
        ({"chat_text": "User: x", "max_input_tokens": "63"}, "greater than or equal to 64"),
        ({"chat_text": "User: x", "max_input_tokens": ""}, "This field is required"),
        ({"chat_text": "User: x", "engine": "bert"}, "not one of the available choices"),
    ],
)
def test_what_cannot_be_read_is_said_at_its_field(
    staff: Client, path: str, fields: dict[str, str], says: str
) -> None:
    page = shown(staff, path, status=400, **fields)
    assert says in page
    assert 'role="alert"' in page


def test_a_chat_in_too_many_pieces_has_its_figures_only(staff: Client, path: str) -> None:
    page = shown(staff, path, chat_text="User: " + "word\n" * 11_000 + "Assistant: yes\nUser: And?")
    assert "in 11,00" in page
    assert "too many to show here" in page
    assert "Prompt tokens" in page
    assert "As asked <small>" not in page


def test_a_form_of_megabytes_is_refused_with_a_page(staff: Client, path: str) -> None:
    reply = staff.post(path, FORM | {"chat_text": "User: " + "x" * 3_000_000})
    assert reply.status_code == 413
    assert "larger than this page takes" in reply.content.decode()


def test_an_engine_takes_the_focus_it_has_and_refuses_one_that_was_chosen(
    staff: Client, path: str
) -> None:
    moving = EXAMPLES["moving"].text
    assert "tokens would be sent" in shown(staff, path, chat_text=moving, engine="lsa")
    Plan.objects.update(focus="none")
    assert "Must be one of: none" in shown(staff, path, status=400, chat_text=moving, engine="lsa")


def test_a_plan_that_is_off_or_does_not_compress_says_so(staff: Client, path: str) -> None:
    Plan.objects.update(mode="off", compression_engine=None)
    page = shown(staff, path, example="moving")
    assert "This plan is off" in page
    assert "This plan does not compress" in page
    assert "tokens would be sent" in page


def test_a_compressor_that_cannot_answer_is_said(
    staff: Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> Any:
        raise ToolUnavailable("compressor", "MemoryError")

    monkeypatch.setattr("proxy.preview.page.build_priced_preview", broken)
    assert "cannot be compressed (MemoryError)" in shown(staff, path, example="moving")


# Who sees it


def test_it_is_for_staff_who_may_see_plans(path: str, client: Client) -> None:
    assert client.get(path).status_code == 302
    user = User.objects.create_user("helper", is_staff=True)
    client.force_login(user)
    assert client.get(path).status_code == 403
    user.user_permissions.set(Permission.objects.filter(codename="view_plan"))
    client.force_login(User.objects.get(pk=user.pk))
    assert client.get(path).status_code == 200
    assert client.get("/admin/plans/plan/999999/preview/").status_code == 404
    assert client.get(f"/admin/plans/plan/{'9' * 30}/preview/").status_code == 404
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(pk=user.pk))
    assert strict.post(path, FORM).status_code == 403


def test_plans_lead_there(staff: Client, path: str) -> None:
    change = path.replace("preview", "change")
    for page in ("/admin/plans/plan/", change):
        assert f'href="{path}"' in staff.get(page).content.decode()


def test_the_page_needs_no_inline_code_and_is_not_kept(staff: Client, path: str) -> None:
    reply = staff.post(path, FORM | {"example": "moving"})
    html = reply.content.decode()
    assert not re.search(r"<script(?![^>]*src=)|<style| style=| on(click|load|submit)=", html)
    assert "no-store" in reply["Cache-Control"]
    assert not re.search(r"(src|href)=\"https?:", html)
