"""The admin pages: plans judged as over the API, secrets shown once, provider keys never."""

import re
import threading
import time
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.test import Client
from pytest_django import Settings

from plans import key_secrets, login_limits, selectors, services
from plans.admin import revoke_action
from plans.fields import FIELD_DEPENDENCIES
from plans.models import AdminKey, ModelPrice, Plan, Tenant, VirtualKey
from proxy.models import Route, Upstream
from proxy.upstreams import encryption
from proxy.upstreams.forms import KEY_DROPPED_MESSAGE, NO_KEY_MESSAGE
from proxy.upstreams.services import put_route, put_upstream
from tests.support.events import make_event
from tests.support.management import PLANS, Manager
from tests.support.recorded import store

pytestmark = pytest.mark.django_db

PLAN = {
    "name": "faq",
    "tenant": "",
    "mode": "active",
    "compression_engine": "text_rank",
    "max_input_tokens": "4096",
    "language": "english",
    "min_sentences": "1",
    "when": "always",
    "deadline_ms": "",
    "cache_enabled": "on",
    "exact": "on",
    "backend": "pgvector_semantic",
    "match": "verified",
    "similarity_threshold": "0.85",
    "max_error_rate": "",
    "sample_rate": "0.05",
    "judge_model": "",
    "ttl": "3600",
    "ttl_jitter": "0.1",
    "stale_while_revalidate": "0",
    "stale_if_error": "0",
    "scope": "tenant",
    "tool_calls": "output",
    "max_temperature": "1.0",
    "context": "window",
    "window": "2",
}
UPSTREAM = {
    "name": "openai",
    "provider": "openai",
    "base_url": "https://api.openai.com/v1",
    "connect_timeout": "5",
    "read_timeout": "120",
    "stream_usage": "on",
}


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def problems(reply: Any) -> dict[str, Any]:
    """The errors of the form on the page; fails the test when there is none."""
    assert reply.status_code == 200
    return dict(reply.context["adminform"].form.errors)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "plans/tenant/",
        "plans/plan/",
        "plans/virtualkey/",
        "plans/adminkey/",
        "plans/modelprice/",
        "proxy/upstream/",
        "proxy/route/",
    ],
)
def test_the_pages_open_for_staff_without_inline_code(staff: Client, path: str) -> None:
    pages = [f"/admin/{path}"] + ([f"/admin/{path}add/"] if path else [])
    for page in pages:
        reply = staff.get(page)
        assert reply.status_code == 200
        html = reply.content.decode()
        assert "Tokenthrift" in html
        assert not re.search(
            r"<script(?![^>]*(src=|type=\"application/json\"))|<style| on(click|load|submit)=", html
        )


def test_the_admin_answers_without_a_slash(client: Client) -> None:
    assert client.get("/admin")["Location"] == "/admin/"


# Plans


def test_a_plan_is_made_and_changed_and_its_version_grows(staff: Client) -> None:
    assert staff.post("/admin/plans/plan/add/", PLAN).status_code == 302
    plan = Plan.objects.get()
    same = services.create_plan(owner=None, body={"plan_name": "as-over-the-api"}).build_snapshot()
    assert (plan.build_snapshot().compression, plan.build_snapshot().cache) == (
        same.compression,
        same.cache,
    )
    change = f"/admin/plans/plan/{plan.pk}/change/"
    assert staff.post(change, PLAN | {"ttl": "60"}).status_code == 302
    assert staff.post(change, PLAN | {"ttl": "60"}).status_code == 302
    plan.refresh_from_db()
    assert (plan.ttl, plan.version) == (60, 2)
    page = staff.get(change).content.decode()
    assert "costs nothing" in page
    assert "What of a long chat is sent?" in page


def test_halves_are_turned_off(staff: Client) -> None:
    body = PLAN | {"compression_engine": "", "backend": ""}
    assert staff.post("/admin/plans/plan/add/", body).status_code == 302
    plan = Plan.objects.get().build_snapshot()
    assert plan.compression is None
    assert plan.cache
    assert plan.cache.backend is None
    body = {name: value for name, value in body.items() if name != "cache_enabled"}
    assert staff.post(f"/admin/plans/plan/{plan.id}/change/", body).status_code == 302
    assert Plan.objects.get().build_snapshot().cache is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "a b"),
        ("mode", "shade"),
        ("compression_engine", "bert"),
        ("max_input_tokens", "63"),
        ("max_input_tokens", str(2**31)),
        ("language", "klingon"),
        ("min_sentences", "0"),
        ("deadline_ms", "9"),
        ("when", "never"),
        ("focus", "answer"),
        ("backend", "faiss"),
        ("backend", "qdrant_semantic"),
        ("similarity_threshold", "1.1"),
        ("similarity_threshold", "nan"),
        ("ttl_jitter", "0.6"),
        ("tool_calls", "some"),
        ("stale_while_revalidate", "-1"),
        ("stale_if_error", str(2**31)),
        ("ttl", "0"),
        ("scope", "world"),
        ("max_temperature", "3"),
    ],
)
def test_what_the_api_refuses_the_admin_refuses_at_its_field(
    staff: Client, field: str, value: str
) -> None:
    assert field in problems(staff.post("/admin/plans/plan/add/", PLAN | {field: value}))
    assert not Plan.objects.exists()


def test_every_setting_stands_in_one_section_and_says_what_it_needs(staff: Client) -> None:
    reply = staff.get("/admin/plans/plan/add/")
    form = reply.context["adminform"]
    shown = [name for section in form for line in section for name in line.fields]
    assert sorted(shown) == sorted([*form.form.fields, "version", "updated_at"])
    for name, needs in FIELD_DEPENDENCIES.items():
        for need in needs.split():
            other, _, value = need.partition("=")
            field = form.form.fields[other]
            assert not value or value in dict(field.choices), need
        assert f'data-needs="{needs}"' in str(form.form[name])
    assert '<script src="/static/plan-form.js">' in reply.content.decode()
    assert finders.find("plan-form.js")


def test_a_folded_section_opens_where_a_field_of_it_is_wrong(staff: Client) -> None:
    def folded(reply: Any) -> list[str]:
        return [section.name for section in reply.context["adminform"] if section.is_collapsible]

    expiry = "Before and after it expires"
    assert expiry in folded(staff.get("/admin/plans/plan/add/"))
    assert expiry not in folded(staff.post("/admin/plans/plan/add/", PLAN | {"ttl_jitter": "0.6"}))


def test_a_cache_that_would_keep_nothing_is_refused(staff: Client) -> None:
    body = {name: value for name, value in PLAN.items() if name != "exact"} | {"backend": ""}
    assert "exact" in problems(staff.post("/admin/plans/plan/add/", body))


def test_a_backend_that_does_not_answer_is_refused_with_the_reason(
    staff: Client, settings: Any
) -> None:
    settings.REDIS_SEMANTIC_URL = "redis://127.0.0.1:1/0"
    errors = problems(staff.post("/admin/plans/plan/add/", PLAN | {"backend": "redis_semantic"}))
    assert "does not answer" in str(errors["backend"])


def test_a_name_is_unique_within_its_owner(staff: Client) -> None:
    acme = Tenant.objects.create(slug="acme")
    for tenant in ("", str(acme.pk)):
        assert staff.post("/admin/plans/plan/add/", PLAN | {"tenant": tenant}).status_code == 302
        assert list(problems(staff.post("/admin/plans/plan/add/", PLAN | {"tenant": tenant}))) == [
            "name"
        ]


def test_another_engine_brings_its_own_focus_unless_that_is_changed_too(staff: Client) -> None:
    assert (
        staff.post(
            "/admin/plans/plan/add/", PLAN | {"compression_engine": "lsa", "focus": "question"}
        ).status_code
        == 302
    )
    plan, why = Plan.objects.get(), {"_reason": "other chats"}
    assert plan.focus == "none"
    change = f"/admin/plans/plan/{plan.pk}/change/"
    assert staff.post(change, PLAN | why | {"focus": "none"}).status_code == 302
    assert Plan.objects.get().focus == "question"
    assert staff.post(change, PLAN | why | {"focus": "none"}).status_code == 302
    assert Plan.objects.get().focus == "none"
    errors = problems(
        staff.post(change, PLAN | {"compression_engine": "trim", "focus": "question"})
    )
    assert "text_rank" in str(errors["focus"])
    assert (
        staff.post(change, PLAN | why | {"compression_engine": "", "focus": ""}).status_code == 302
    )
    assert Plan.objects.get().focus == "none"


# Keys


@pytest.mark.parametrize("kind", ["virtualkey", "adminkey"])
def test_a_key_is_shown_once_and_its_digest_never(staff: Client, kind: str) -> None:
    acme = Tenant.objects.create(slug="acme")
    reply = staff.post(
        f"/admin/plans/{kind}/add/",
        {"name": "sdk", "tenant": acme.pk, "routes": "smart/balanced\n\n cheap ", "_continue": "1"},
    )
    assert reply.status_code == 200
    found = re.search(r"tta?-[A-Za-z0-9_-]{43}", reply.content.decode())
    assert found
    secret = found[0]
    assert "no-store" in reply["Cache-Control"]
    row: Any = (VirtualKey if kind == "virtualkey" else AdminKey).objects.get()
    if kind == "virtualkey":
        assert row.routes == ["smart/balanced", "cheap"]
        assert key_secrets.is_well_formed(secret, key_secrets.VIRTUAL_KEY_KIND)
    else:
        assert Manager(secret).call("GET", PLANS).status_code == 200
    for page in (
        f"/admin/plans/{kind}/",
        f"/admin/plans/{kind}/{row.pk}/change/",
        f"/admin/plans/{kind}/{row.pk}/history/",
        "/admin/",
    ):
        html = staff.get(page).content.decode()
        assert secret not in html
        assert row.digest not in html


def test_changing_a_key_keeps_its_secret_and_tenant(staff: Client) -> None:
    acme, other = Tenant.objects.create(slug="acme"), Tenant.objects.create(slug="other")
    row, _ = services.issue_virtual_key(tenant=acme, name="sdk")
    body = {
        "name": "renamed",
        "tenant": other.pk,
        "routes": "",
        "expires_at_0": "",
        "expires_at_1": "",
        "digest": "x",
        "prefix": "x",
    }
    assert staff.post(f"/admin/plans/virtualkey/{row.pk}/change/", body).status_code == 302
    digest = row.digest
    row.refresh_from_db()
    assert (row.name, row.tenant, row.digest) == ("renamed", acme, digest)


REVOKE = {"action": "revoke_keys", "sure": "yes"}


def test_a_key_is_revoked_after_a_question(staff: Client) -> None:
    row, _ = services.issue_virtual_key(tenant=Tenant.objects.create(slug="acme"), name="sdk")
    selected = {"action": "revoke_keys", "_selected_action": [row.pk]}
    page = staff.post("/admin/plans/virtualkey/", selected).content.decode()
    assert "cannot be brought back" in page
    assert "not within 90 days" in page
    assert selectors.load_live_keys()
    assert staff.post("/admin/plans/virtualkey/", selected | REVOKE).status_code == 302
    assert selectors.load_live_keys() == {}
    again = staff.post("/admin/plans/virtualkey/", selected, follow=True).content.decode()
    assert "revoked already" in again


def test_keys_beyond_one_page_are_told_of_and_stay_live(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revoke_action, "MAX_KEYS_PER_PAGE", 2)
    acme = Tenant.objects.create(slug="acme")
    rows = [services.issue_virtual_key(tenant=acme, name=name)[0] for name in "abcde"]
    selected = {"action": "revoke_keys", "_selected_action": [row.pk for row in rows]}
    page = staff.post("/admin/plans/virtualkey/", selected)
    assert "3 more stay live" in page.content.decode()
    listed = [each.key.pk for each in page.context["asked"]]
    done = staff.post(
        "/admin/plans/virtualkey/",
        REVOKE | {"_selected_action": listed, "others": page.context["others"]},
        follow=True,
    )
    assert "2 keys were revoked" in done.content.decode()
    assert "3 more of those you selected are still live" in done.content.decode()
    assert VirtualKey.objects.filter(revoked_at=None).count() == 3


def test_a_key_in_use_is_revoked_only_by_its_name(staff: Client) -> None:
    acme = Tenant.objects.create(slug="acme")
    used, _ = services.issue_virtual_key(tenant=acme, name="web widget")
    idle, _ = services.issue_virtual_key(tenant=acme, name="idle")
    now = time.time()
    store(
        *(
            make_event(at=now - 60 * minutes, key_id=used.pk, plan_id=None)
            for minutes in (1, 2, 60 * 30)
        )
    )
    selected = {"action": "revoke_keys", "_selected_action": [used.pk, idle.pk]}
    page = staff.post("/admin/plans/virtualkey/", selected).content.decode()
    assert "Revoke 2 keys?" in page
    assert "<td>2</td>" in page
    assert f'name="name_{used.pk}"' in page
    assert f'name="name_{idle.pk}"' not in page
    for typed in ("", "web"):
        refused = staff.post(
            "/admin/plans/virtualkey/", selected | REVOKE | {f"name_{used.pk}": typed}
        )
        assert "as it stands above" in refused.content.decode()
    assert len(selectors.load_live_keys()) == 2
    done = staff.post(
        "/admin/plans/virtualkey/",
        selected | REVOKE | {f"name_{used.pk}": "web widget"},
        follow=True,
    )
    assert "2 keys were revoked" in done.content.decode()
    assert selectors.load_live_keys() == {}


def test_admin_keys_are_asked_about_without_figures(staff: Client) -> None:
    key = AdminKey(name="ci")
    services.issue_key(key)
    selected = {"action": "revoke_keys", "_selected_action": [key.pk]}
    assert "Requests, 24 h" not in staff.post("/admin/plans/adminkey/", selected).content.decode()
    assert staff.post("/admin/plans/adminkey/", selected | REVOKE).status_code == 302
    key.refresh_from_db()
    assert key.revoked_at


# Prices


def test_a_price_changed_by_a_person_is_marked_as_edited_and_can_go_back(staff: Client) -> None:
    services.seed_prices()
    row = ModelPrice.objects.get(provider="openai", model="gpt-4o-mini")
    body = {
        "provider": "openai",
        "model": "gpt-4o-mini",
        "input": "9",
        "output": "9",
        "cached_input": "",
        "cache_write": "10",
    }
    assert staff.post(f"/admin/plans/modelprice/{row.pk}/change/", body).status_code == 302
    row.refresh_from_db()
    assert (row.input, row.cached_input, row.cache_write, row.edited) == (
        Decimal(9),
        None,
        Decimal(10),
        True,
    )
    staff.post(
        "/admin/plans/modelprice/", {"action": "follow_published", "_selected_action": [row.pk]}
    )
    row.refresh_from_db()
    assert (str(row.input), row.cache_write, row.edited) == ("0.150000", None, False)
    assert "input" in problems(
        staff.post(f"/admin/plans/modelprice/{row.pk}/change/", body | {"input": "-1"})
    )


# Upstreams and routes


def test_a_refused_upstream_asks_for_its_key_again(staff: Client) -> None:
    """A password field is never filled in by the server:
    without a word the second try would save no key."""
    add = "/admin/proxy/upstream/add/"
    typed = UPSTREAM | {
        "base_url": "http://127.0.0.1:9000/v1",
        "provider_key": "sk-canary",
        "without_key": "on",
    }
    refused = staff.post(add, typed)
    assert problems(refused)["provider_key"] == [KEY_DROPPED_MESSAGE]
    assert "sk-canary" not in refused.content.decode()
    assert not refused.context["adminform"].form["without_key"].value()
    allowed = UPSTREAM | {"base_url": "http://127.0.0.1:9000/v1", "allow_private": "on"}
    assert problems(staff.post(add, allowed))["provider_key"] == [NO_KEY_MESSAGE]
    assert not Upstream.objects.exists()
    assert staff.post(add, allowed | {"provider_key": "sk-canary"}).status_code == 302
    assert encryption.decrypt(Upstream.objects.get().encrypted_key) == "sk-canary"


def test_an_upstream_without_a_key_is_saved_only_when_that_is_said(staff: Client) -> None:
    add = "/admin/proxy/upstream/add/"
    assert problems(staff.post(add, UPSTREAM))["provider_key"] == [NO_KEY_MESSAGE]
    assert staff.post(add, UPSTREAM | {"without_key": "on"}).status_code == 302
    upstream = Upstream.objects.get()
    assert not upstream.encrypted_key
    page = staff.get(f"/admin/proxy/upstream/{upstream.pk}/change/")
    assert page.context["adminform"].form["without_key"].value()


def test_a_provider_key_goes_in_and_never_comes_out(staff: Client) -> None:
    assert (
        staff.post(
            "/admin/proxy/upstream/add/", UPSTREAM | {"provider_key": " sk-canary "}
        ).status_code
        == 302
    )
    upstream = Upstream.objects.get()
    assert encryption.decrypt(upstream.encrypted_key) == "sk-canary"
    change = f"/admin/proxy/upstream/{upstream.pk}/change/"
    for page in (change, "/admin/proxy/upstream/", f"/admin/proxy/upstream/{upstream.pk}/history/"):
        assert "sk-canary" not in staff.get(page).content.decode()
    again = staff.post(change, UPSTREAM | {"provider_key": "sk-canary", "read_timeout": "0"})
    assert "read_timeout" in problems(again)
    assert "sk-canary" not in again.content.decode()
    assert (
        staff.post(change, UPSTREAM | {"read_timeout": "60", "provider_key": ""}).status_code == 302
    )
    upstream.refresh_from_db()
    assert (encryption.decrypt(upstream.encrypted_key), upstream.read_timeout) == (
        "sk-canary",
        60,
    )
    assert "remove_key" in problems(
        staff.post(change, UPSTREAM | {"provider_key": "x", "remove_key": "on"})
    )
    assert staff.post(change, UPSTREAM | {"remove_key": "on"}).status_code == 302
    upstream.refresh_from_db()
    assert not upstream.encrypted_key


def test_a_provider_key_that_cannot_be_a_header_is_refused(staff: Client) -> None:
    for key in ("sk a", "sk-é", "sk\tx"):
        assert "provider_key" in problems(
            staff.post("/admin/proxy/upstream/add/", UPSTREAM | {"provider_key": key})
        )


def test_a_private_address_needs_the_box_ticked(staff: Client) -> None:
    for url in (
        "http://127.1:8080/v1",
        "http://[::1]/v1",
        "http://169.254.169.254",
        "http://llama:8000/v1",
    ):
        assert "base_url" in problems(
            staff.post("/admin/proxy/upstream/add/", UPSTREAM | {"base_url": url})
        )
    own = UPSTREAM | {
        "base_url": "http://llama:8000/v1/",
        "allow_private": "on",
        "without_key": "on",
    }
    assert staff.post("/admin/proxy/upstream/add/", own).status_code == 302
    assert Upstream.objects.get().base_url == "http://llama:8000/v1"
    del own["allow_private"]
    assert "base_url" in problems(
        staff.post(f"/admin/proxy/upstream/{Upstream.objects.get().pk}/change/", own)
    )


def test_a_route_shows_its_version_and_price(staff: Client) -> None:
    services.seed_prices()
    route = put_route(
        name="smart/balanced",
        upstream=put_upstream(name="openai", base_url=UPSTREAM["base_url"]),
        model="gpt-4o-mini",
    )
    change = f"/admin/proxy/route/{route.pk}/change/"
    assert "$0.15" in staff.get(change).content.decode()
    body = {
        "name": "smart/balanced",
        "upstream": route.upstream_id,
        "model": "my-own",
        "enabled": "on",
    }
    assert staff.post(change, body).status_code == 302
    assert Route.objects.get().version == 2
    assert "Unpriced" in staff.get(change).content.decode()
    assert "name" in problems(staff.post(change, body | {"name": "no blanks"}))


# Log-in


@pytest.mark.django_db(transaction=True)
def test_guessing_a_password_is_stopped(client: Client) -> None:
    User.objects.create_superuser("root", password="the right one")
    statuses = [
        client.post("/admin/login/", {"username": "root", "password": f"guess {n}"}).status_code
        for n in range(6)
    ]
    assert statuses[0] == 200
    assert statuses[-1] == 429
    assert (
        client.post("/admin/login/", {"username": "root", "password": "the right one"}).status_code
        == 429
    )


def guess(name: str, address: str, client: Client | None = None) -> int:
    """The status of a wrong password, sent from there."""
    return (
        (client or Client())
        .post("/admin/login/", {"username": name, "password": "wrong"}, REMOTE_ADDR=address)
        .status_code
    )


@pytest.fixture
def quick_hashes(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("quick_hashes")
def test_one_address_may_not_try_name_after_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_limits, "MAX_ADDRESS_FAILURES", 8)
    statuses = [guess(f"name {number}", "192.0.2.1") for number in range(12)]
    assert (statuses[0], statuses[-1]) == (200, 429)
    assert guess("name 0", "192.0.2.2") == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("quick_hashes")
def test_one_name_may_not_be_tried_from_address_after_address_and_its_owner_is_not_locked_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As whoever may write X-Forwarded-For does."""
    monkeypatch.setattr(login_limits, "MAX_NAME_FAILURES", 8)
    User.objects.create_superuser("root", password="the right one")
    right = {"username": "root", "password": "the right one"}
    assert Client().post("/admin/login/", right, REMOTE_ADDR="198.51.100.7").status_code == 302
    statuses = [guess("root", f"192.0.2.{number}") for number in range(12)]
    assert (statuses[0], statuses[-1]) == (200, 429)
    assert Client().post("/admin/login/", right, REMOTE_ADDR="192.0.2.200").status_code == 429
    assert Client().post("/admin/login/", right, REMOTE_ADDR="198.51.100.7").status_code == 302
    assert guess("another", "192.0.2.201") == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("quick_hashes")
def test_a_log_in_whose_next_is_refused_leads_to_a_page_there_is() -> None:
    User.objects.create_superuser("root", password="the right one")
    reply = Client().post(
        "/admin/login/",
        {"username": "root", "password": "the right one", "next": "https://evil.example/"},
    )
    assert (reply.status_code, reply["location"]) == (302, "/dashboard")


def test_log_ins_take_turns_and_only_so_many_wait() -> None:
    turns, running, most, turned_away = login_limits.LoginQueue(waiting=2, seconds=10), 0, 0, 0
    count, begun = threading.Lock(), threading.Event()

    def one() -> None:
        nonlocal running, most, turned_away
        with turns.acquire_turn() as mine:
            with count:
                turned_away += not mine
                running += mine
                most = max(most, running)
            begun.wait(0.2 if mine else 0)
            with count:
                running -= mine

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert turned_away == 5
    with turns.acquire_turn() as mine:
        assert mine


@pytest.mark.django_db(transaction=True)
def test_too_many_log_ins_at_once_are_told_so(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = login_limits.LoginQueue(waiting=0)
    monkeypatch.setattr(login_limits, "_login_queue", turns)
    with turns.acquire_turn():
        reply = client.post("/admin/login/", {"username": "root", "password": "x"})
        assert (reply.status_code, reply["retry-after"]) == (503, "5")
        assert client.get("/admin/login/").status_code == 200
