"""The first-run page: who gets in, what it makes, and what it says of what is wrong."""

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Barrier, Thread
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.core.cache import caches
from django.db import connections
from django.test import Client
from django.utils.crypto import constant_time_compare
from django.utils.html import escape

from plans.models import Membership, Plan, Revision, Tenant, VirtualKey
from proxy.first_run import service, setup_token
from proxy.first_run.page import CLAIM_ENTRY
from proxy.models import Route, Upstream
from proxy.upstreams import encryption
from stats.ledger.inserts import INSERT_EVENTS_SQL
from tests.support.events import make_event

cache: Any = caches["default"]  # Redis, with what its backend adds
PASSWORD = "a-long-Walk-34"
KEY = "sk-typed-once-778"


class Provider(BaseHTTPRequestHandler):
    """Takes KEY alone, and lists two models."""

    models = ("gpt-4o-mini", "another")

    def do_GET(self) -> None:
        right = self.headers.get("authorization") == f"Bearer {KEY}"
        body = json.dumps({"data": [{"id": name} for name in self.models]}).encode()
        self.send_response(200 if right else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def provider() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


@pytest.fixture
def token() -> str:
    return setup_token.issue_setup_token()


def open_setup(token: str) -> Client:
    client = Client()
    reply = client.get("/start", {"token": token})
    assert (reply.status_code, reply.headers["location"]) == (302, "/start")
    assert client.get("/start").status_code == 200
    return client


def fields(address: str, **changed: str) -> dict[str, str]:
    return {
        "username": "maria",
        "password": PASSWORD,
        "provider": "own-server",
        "base_url": address,
        "provider_key": KEY,
    } | changed


def text(reply: Any) -> str:
    return re.sub(r"\s+", " ", reply.content.decode())


@pytest.mark.django_db
def test_from_the_token_to_a_key_that_has_a_plan(token: str, provider: str) -> None:
    client = open_setup(token)
    reply = client.post("/start", fields(provider), follow=True)
    assert "The server takes the key and lists 2 models." in text(reply)
    assert '<option value="gpt-4o-mini" selected>' in text(reply)
    user = User.objects.get()
    assert (user.username, user.is_staff, user.is_superuser) == ("maria", True, True)
    assert user.check_password(PASSWORD)
    upstream = Upstream.objects.get()
    assert (upstream.name, upstream.base_url, upstream.allow_private) == (
        "own-server",
        provider,
        True,
    )

    reply = client.post("/start", {"model": "gpt-4o-mini"})
    secret = re.search(r'id="secret">(tt-[\w-]{43})<', text(reply))
    assert secret
    assert escape('base_url="http://testserver/v1"') in text(reply)
    key = VirtualKey.objects.get()
    route, plan = Route.objects.get(), Plan.objects.get()
    assert (route.name, route.model, route.upstream) == ("gpt-4o-mini", "gpt-4o-mini", upstream)
    assert key.default_plan == plan
    assert (plan.cache_enabled, plan.backend, plan.compression_engine) == (True, None, None)
    assert key.tenant.slug == "default"

    again = text(client.get("/start"))
    assert secret[1] not in again
    assert key.prefix in again
    assert "Waiting for the first request" in text(client.get("/start/requests"))
    assert "default" in {each.slug for each in Tenant.objects.all()}


@pytest.mark.django_db
def test_without_the_token_nothing_is_shown_or_made(token: str, provider: str) -> None:
    open_setup(token)  # somebody else
    guesses = (
        Client().get("/start"),
        Client().get("/start", {"token": token}),  # used
        Client().get("/start", {"token": token[:-1]}),
        Client().get("/start", {"token": "x" * 10_000}),
        Client().post("/start", fields(provider)),
        Client().post(f"/start?token={token}", fields(provider)),
        Client().get("/start/"),
    )
    shown = {re.sub(r"csrf\w+", "", text(reply)) for reply in guesses}
    assert [reply.status_code for reply in guesses] == [404] * len(guesses)
    assert len(shown) == 1  # of a wrong, a used and no token alike
    assert "<form" not in shown.pop()
    assert Client().get("/start/requests").status_code == 404
    assert not User.objects.exists()
    assert not Upstream.objects.exists()


@pytest.mark.django_db
def test_a_new_start_voids_the_former_token_and_who_claimed_it(token: str, provider: str) -> None:
    client = open_setup(token)
    unused = setup_token.issue_setup_token()
    newest = setup_token.issue_setup_token()
    assert Client().get("/start", {"token": unused}).status_code == 404
    assert client.get("/start").status_code == 404
    assert client.post("/start", fields(provider)).status_code == 404
    assert not User.objects.exists()
    open_setup(newest)


@pytest.mark.django_db
def test_a_token_ends_after_its_time(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 3590 < cache.ttl("first-run.digest") <= setup_token.SETUP_TOKEN_SECONDS
    client = open_setup(token)
    cache.delete("first-run.digest")  # as Redis does then
    assert client.get("/start").status_code == 404


@pytest.mark.django_db
def test_a_browser_that_loads_ahead_does_not_use_the_token_up(token: str) -> None:
    ahead = Client().get("/start", {"token": token}, headers={"sec-purpose": "prefetch;prerender"})
    assert ahead.status_code == 404
    assert Client().head("/start", {"token": token}).status_code == 405
    client = open_setup(token)
    assert client.get("/start", {"token": token}).status_code == 302  # their own link once more


@pytest.mark.django_db
def test_with_a_staff_account_the_token_opens_nothing(token: str) -> None:
    claimed = open_setup(token)
    User.objects.create_user("boss", is_staff=True)
    newest = setup_token.issue_setup_token()
    for reply in (claimed.get("/start"), Client().get("/start", {"token": newest})):
        assert reply.status_code == 404


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def compare(left: str, right: str) -> bool:
        compared.append(left)
        return constant_time_compare(left, right)

    monkeypatch.setattr(setup_token, "constant_time_compare", compare)
    token = setup_token.issue_setup_token()
    assert setup_token.claim_setup(f"{token}x") is None
    claim = setup_token.claim_setup(token)
    assert claim is not None
    assert claim == compared[-1]
    assert token not in str(cache.get("first-run.digest"))


def test_of_many_that_claim_at_once_one_succeeds() -> None:
    token = setup_token.issue_setup_token()
    claims = run_at_once(lambda: setup_token.claim_setup(token))
    assert sum(claim is not None for claim in claims) == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_submits_at_once_one_makes_the_account() -> None:
    # What is locked; migrations make it, and tests that empty the tables take it away.
    Revision.objects.get_or_create(pk=1)

    def create() -> str:
        try:
            return service.create_first_account(username="maria", password=PASSWORD).username
        except service.AlreadySetUp:
            return ""

    assert sorted(run_at_once(create, threads=3)) == ["", "", "maria"]
    assert User.objects.count() == 1


def run_at_once(work: Any, *, threads: int = 8) -> list[Any]:
    barrier, done = Barrier(threads), []

    def run() -> None:
        barrier.wait()
        try:
            done.append(work())
        finally:
            connections.close_all()

    started = [Thread(target=run) for _ in range(threads)]
    for each in started:
        each.start()
    for each in started:
        each.join()
    return done


@pytest.mark.django_db
def test_a_refused_account_loses_nothing_and_echoes_no_secret(token: str, provider: str) -> None:
    client = open_setup(token)
    reply = client.post("/start", fields(provider, password="maria123"))
    assert reply.status_code == 400
    assert "too similar to the username" in text(reply)
    assert f'value="{provider}"' in text(reply)
    assert 'value="maria"' in text(reply)
    assert KEY not in text(reply)
    assert "maria123" not in text(reply)
    assert "Kept as you typed it" in text(reply)
    assert KEY not in str(dict(client.session))
    assert not User.objects.exists()
    # The key need not be typed again.
    reply = client.post("/start", fields(provider, provider_key=""), follow=True)
    assert "lists 2 models" in text(reply)
    assert encryption.decrypt(Upstream.objects.get().encrypted_key) == KEY
    assert "first_run_provider_key" not in client.session


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"base_url": ""}, "Type the server’s address"),
        ({"base_url": "ftp://x"}, "Must start with https://"),
        ({"provider": "openai"}, "choose “Another address"),
        ({"provider": "openai", "base_url": "http://[::1]/v1"}, "choose “Another address"),
        (
            {"provider": "openai", "base_url": "", "provider_key": ""},
            "Type your key of this provider.",
        ),
        ({"provider_key": "two words"}, "paste it in one piece"),
        ({"provider": "nobody"}, "Select a valid choice"),
        ({"base_url": "https://x.example/" + "v" * 600}, "at most 500 characters"),
    ],
)
def test_a_refused_provider_is_told_by_field_and_the_account_is_made(
    token: str, provider: str, changed: dict[str, str], said: str
) -> None:
    client = open_setup(token)
    reply = client.post("/start", fields(provider, **changed))
    assert reply.status_code == 400
    assert said in text(reply)
    assert KEY not in text(reply)
    assert User.objects.count() == 1
    assert not Upstream.objects.exists()
    # As the account now, without its fields.
    assert 'name="username"' not in text(reply)
    assert client.post("/start", fields(provider), follow=True).status_code == 200
    assert Upstream.objects.get().base_url == provider


@pytest.mark.django_db
def test_a_wrong_key_is_told_and_what_was_typed_stays(token: str, provider: str) -> None:
    client = open_setup(token)
    reply = client.post("/start", fields(provider, provider_key="sk-wrong"), follow=True)
    assert "refuses the key (401)" in text(reply)
    assert f'value="{provider}"' in text(reply)
    assert re.search(r'<option value="own-server"[^>]* selected', text(reply))
    assert "sk-wrong" not in text(reply)
    reply = client.post("/start", fields(provider), follow=True)
    assert "lists 2 models" in text(reply)
    assert Upstream.objects.count() == 1


@pytest.mark.django_db
def test_a_provider_that_is_down_is_told_and_can_be_passed_over(token: str) -> None:
    client = open_setup(token)
    reply = client.post("/start", fields("http://127.0.0.1:9/v1"), follow=True)
    assert 'role="alert"' in text(reply)
    assert "127.0.0.1:9" in text(reply)
    reply = client.get("/start", {"unlisted": "1"})
    assert '<input type="text" name="model"' in text(reply)
    assert client.post("/start", {"model": "@cf/llama 3"}).status_code == 200
    assert Route.objects.values_list("name", "model").get() == ("cf/llama-3", "@cf/llama 3")


@pytest.mark.django_db
def test_the_provider_can_be_changed_before_the_model_is_chosen(token: str, provider: str) -> None:
    client = open_setup(token)
    client.post("/start", fields(provider, provider="own-server"))
    reply = client.get("/start", {"provider": "change"})
    assert f'value="{provider}"' in text(reply)
    client.post("/start", fields("", provider="mistral"))
    upstream = Upstream.objects.get()
    assert (upstream.name, upstream.provider) == ("mistral", "mistral")
    assert upstream.base_url == "https://api.mistral.ai/v1"
    assert not upstream.allow_private
    client.post("/start", fields("", provider="ollama", provider_key=""))
    upstream.refresh_from_db()
    assert (upstream.name, upstream.allow_private) == ("ollama", True)


@pytest.mark.django_db
@pytest.mark.parametrize("model", ["", "a\x07b", "m" * 300])
def test_a_model_that_cannot_be_is_refused(token: str, provider: str, model: str) -> None:
    client = open_setup(token)
    client.post("/start", fields(provider))
    assert client.post("/start", {"model": model}).status_code == 400
    assert not Route.objects.exists()
    assert not VirtualKey.objects.exists()


@pytest.mark.django_db
def test_it_shows_answers_and_failures_and_then_it_is_gone(token: str, provider: str) -> None:
    client = open_setup(token)
    client.post("/start", fields(provider))
    client.post("/start", {"model": "gpt-4o-mini"})
    key = VirtualKey.objects.get()
    record(key, outcome="upstream_error", status=502, error_code="upstream_auth_failed")
    assert "The provider refuses its key" in text(client.get("/start/requests"))
    record(key, tier="miss", upstream="own-server")
    assert "Answered by own-server" in text(client.get("/start/requests"))
    assert client.get("/start").status_code == 200
    record(key, tier="exact", tokens_saved=29)
    assert "29 tokens saved" in text(client.get("/start/requests"))
    assert "It works." in text(client.get("/start/requests"))
    for _ in range(2):
        reply = client.get("/start")
        assert (reply.status_code, reply.headers["location"]) == (302, "/dashboard")
    assert client.post("/start", {"model": "another"}).headers["location"] == "/dashboard"
    assert VirtualKey.objects.count() == 1


def record(key: VirtualKey, **fields: Any) -> None:
    event = make_event(key=key.name, key_id=key.pk, tenant_id=key.tenant_id, **fields)
    with connections["default"].cursor() as cursor:
        cursor.execute(str(INSERT_EVENTS_SQL, "utf-8"), [orjson.dumps([event], default=str)])


@pytest.mark.django_db
def test_superusers_of_the_platform_can_take_it_up_again_and_nobody_else(provider: str) -> None:
    boss = User.objects.create_superuser("boss")
    staff = User.objects.create_user("staff", is_staff=True)
    bound = User.objects.create_superuser("bound")
    Membership.objects.create(user=bound, tenant=Tenant.objects.create(slug="acme"))
    for user, status in ((boss, 200), (staff, 404), (bound, 404)):
        client = Client()
        client.force_login(user)
        assert client.get("/start").status_code == status
    client.force_login(boss)
    page = text(client.get("/start"))
    assert 'name="username"' not in page
    client.post("/start", fields(provider))
    assert 'name="model"' in text(client.get("/start"))
    assert User.objects.count() == 3


@pytest.mark.django_db
def test_forms_are_protected_against_other_sites(token: str, provider: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.get("/start", {"token": token})
    assert client.post("/start", fields(provider)).status_code == 403
    found = re.search(r'csrfmiddlewaretoken" value="(\w+)"', text(client.get("/start")))
    assert found
    sent = fields(provider, csrfmiddlewaretoken=found[1])
    assert client.post("/start", sent).status_code == 302


@pytest.mark.django_db
def test_no_page_is_kept_by_a_cache_and_the_policy_is_strict(token: str) -> None:
    client = open_setup(token)
    for path in ("/start", f"/start?token={token}"):
        headers = client.get(path).headers
        assert "no-store" in headers["cache-control"]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "same-origin"


@pytest.mark.django_db
def test_another_host_is_refused(token: str, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["gateway.example"]
    assert Client().get("/start", {"token": token}).status_code == 400
    assert not cache.get(f"first-run.claimed.{cache.get('first-run.digest')}")
    assert CLAIM_ENTRY not in Client().session


def test_the_proposed_model_is_a_cheap_one_that_chats(db: None) -> None:
    assert service.choose_model(("babbage", "gpt-4o-mini"), provider="openai") == "gpt-4o-mini"
    assert service.choose_model(("b", "a"), provider="nobody") == "b"
    assert service.choose_model((), provider="openai") == ""
