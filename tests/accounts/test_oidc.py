"""Log-in at a real OpenID provider, over HTTP: who gets in as what, and what lets nobody in."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from pytest_django import Settings

from accounts.models import Identity
from accounts.oidc import attempts, provider
from gateway_project.embedded import processes
from plans.access import PLATFORM_ADMIN, TENANT_ADMIN, VIEWER
from plans.models import Membership, Tenant
from tests.support.oidc_server import (
    CLIENT_ID,
    CLIENT_SECRET,
    Claims,
    OidcServer,
    running_oidc_server,
)

pytestmark = pytest.mark.django_db
ROLES = {
    "gateway-admins": "platform-admin",
    "acme-admins": "tenant-admin@acme",
    "acme-viewers": "viewer@acme",
    "rival-viewers": "viewer@rival",
    "auditors": "viewer",
    "CN=lost,OU=x": "viewer@nowhere",
}
Reply = Any


@pytest.fixture(scope="module")
def running() -> Iterator[OidcServer]:
    with running_oidc_server() as server:
        yield server


@pytest.fixture
def idp(running: OidcServer, settings: Settings) -> OidcServer:
    """The provider as at first, with three people, and the settings that lead to it."""
    fresh = OidcServer(issuer=running.issuer)
    vars(running).update({**vars(fresh), "keys": running.keys})
    running.people = {
        "alice": {
            "groups": ["gateway-admins", "lunch"],
            "preferred_username": "alice",
            "email": "alice@example.org",
            "email_verified": True,
            "given_name": "Alice",
        },
        "bob": {"groups": ["acme-admins", "acme-viewers"], "preferred_username": "bob"},
        "carol": {"groups": "auditors", "preferred_username": "carol"},
    }
    settings.OIDC_ISSUER = running.issuer
    settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = CLIENT_ID, CLIENT_SECRET
    settings.OIDC_ROLES = json.dumps(ROLES)
    settings.OIDC_ALLOW_PRIVATE = True
    provider.forget_providers()
    return running


@pytest.fixture
def browser() -> Client:
    return Client(raise_request_exception=False)


def sign_in_at_provider(browser: Client, name: str, *, path: str = "/sso/login") -> str:
    """Begin here, sign in there; where the provider sends the browser back to."""
    begun = browser.get(path)
    assert begun.status_code == 302, begun.content
    returned = httpx.post(begun["location"], data={"name": name}, follow_redirects=False)
    assert returned.status_code == 303
    return returned.headers["location"].removeprefix("http://testserver")


def log_in(browser: Client, name: str) -> Reply:
    return browser.get(sign_in_at_provider(browser, name))


def is_logged_in(browser: Client) -> bool:
    return bool(browser.get("/dashboard/").status_code == 200)


def test_an_admin_gets_in_and_sees_the_page_they_asked_for(
    idp: OidcServer, browser: Client
) -> None:
    page = browser.get("/admin/login/?next=/admin/plans/plan/").content.decode()
    assert 'href="/sso/login?next=%2Fadmin%2Fplans%2Fplan%2F"' in page
    path = "/sso/login?next=%2Fadmin%2Fplans%2Fplan%2F"
    done = browser.get(sign_in_at_provider(browser, "alice", path=path))
    assert (done.status_code, done["location"]) == (302, "/admin/plans/plan/")
    assert browser.get("/admin/plans/plan/").status_code == 200
    alice = User.objects.get(username="alice")
    assert [group.name for group in alice.groups.all()] == [PLATFORM_ADMIN]
    assert (alice.email, alice.first_name) == ("alice@example.org", "Alice")
    assert alice.is_staff
    assert not alice.is_superuser
    assert not alice.has_usable_password()
    assert Identity.objects.get(user=alice).subject == "id-of-alice"


def test_a_tenant_s_people_are_of_that_tenant(
    idp: OidcServer, browser: Client, acme: Tenant
) -> None:
    assert log_in(browser, "bob").status_code == 302
    bob = User.objects.get(username="bob")
    assert {group.name for group in bob.groups.all()} == {TENANT_ADMIN, VIEWER}
    assert Membership.objects.get(user=bob).tenant == acme
    assert browser.get("/admin/plans/plan/").status_code == 200
    assert browser.get("/admin/auth/user/").status_code == 404


def test_roles_are_taken_anew_at_each_log_in(
    idp: OidcServer, browser: Client, acme: Tenant
) -> None:
    log_in(browser, "alice")
    alice = User.objects.get(username="alice")
    User.objects.filter(pk=alice.pk).update(is_superuser=True)
    idp.people["alice"]["groups"] = ["acme-viewers"]
    assert log_in(browser, "alice").status_code == 302
    alice = User.objects.get(pk=alice.pk)
    assert [group.name for group in alice.groups.all()] == [VIEWER]
    assert alice.membership.tenant == acme
    assert not alice.is_superuser
    idp.people["alice"]["groups"] = ["auditors"]
    log_in(browser, "alice")
    assert not Membership.objects.filter(user=alice).exists()


def test_who_loses_every_role_loses_access_on_every_device(
    idp: OidcServer, browser: Client
) -> None:
    log_in(browser, "alice")
    assert browser.get("/dashboard/").status_code == 200
    alice = User.objects.get(username="alice")
    alice.user_permissions.add(Permission.objects.get(codename="view_entry_text"))
    own = Group.objects.create(name="of our own")
    alice.groups.add(own)
    idp.people["alice"]["groups"] = ["lunch"]
    elsewhere = Client()
    refused = log_in(elsewhere, "alice")
    assert refused.status_code == 403
    assert "has no role here" in refused.content.decode()
    assert not is_logged_in(elsewhere)
    assert browser.get("/dashboard/").status_code == 302  # to the log-in page
    assert browser.get("/token-saving/plans").status_code == 403
    assert list(User.objects.get(pk=alice.pk).groups.all()) == [own]


def test_a_disabled_account_ends_its_sessions_and_stays_out(
    idp: OidcServer, browser: Client
) -> None:
    log_in(browser, "alice")
    assert browser.get("/dashboard/").status_code == 200
    User.objects.update(is_active=False)
    assert browser.get("/dashboard/").status_code == 302
    refused = log_in(browser, "alice")
    assert refused.status_code == 403
    assert "disabled" in refused.content.decode()
    assert not is_logged_in(browser)


def test_a_removed_identity_or_issuer_ends_sessions(
    idp: OidcServer, browser: Client, settings: Settings
) -> None:
    log_in(browser, "alice")
    settings.OIDC_ISSUER = "https://other.example.org"
    assert browser.get("/dashboard/").status_code == 302
    settings.OIDC_ISSUER = idp.issuer
    log_in(browser, "alice")
    Identity.objects.all().delete()
    assert browser.get("/dashboard/").status_code == 302


@pytest.mark.parametrize("claims", [{"preferred_username": "root"}, {"email": "root@example.org"}])
def test_no_name_and_no_address_takes_over_an_account(
    idp: OidcServer, browser: Client, claims: Claims
) -> None:
    root = User.objects.create(
        username="root", email="root@example.org", is_staff=True, is_superuser=True
    )
    idp.people["mallory"] = {"groups": ["auditors"], "email_verified": True} | claims
    assert log_in(browser, "mallory").status_code == 302
    mallory = Identity.objects.get().user
    assert mallory != root
    assert mallory.username in {"root-2", "root@example.org"}
    assert int(browser.session["_auth_user_id"]) == mallory.pk


def test_one_subject_is_one_account_whatever_it_is_called(idp: OidcServer, browser: Client) -> None:
    log_in(browser, "alice")
    idp.people["alice"]["preferred_username"] = "alice.married"
    log_in(browser, "alice")
    assert User.objects.count() == Identity.objects.count() == 1


def _claim(**changed: Any) -> Callable[[OidcServer], None]:
    def change(idp: OidcServer) -> None:
        idp.change = lambda claims: {**claims, **changed}

    return change


def _sign(name: str) -> Callable[[OidcServer], None]:
    def change(idp: OidcServer) -> None:
        idp.sign = getattr(idp, name)

    return change


def _drop(name: str) -> Callable[[OidcServer], None]:
    def change(idp: OidcServer) -> None:
        idp.change = lambda claims: {key: claims[key] for key in claims if key != name}

    return change


@pytest.mark.parametrize(
    ("change", "logged"),
    [
        (_claim(iss="https://evil.example.org"), "'iss'"),
        (_claim(aud="another-client"), "'aud'"),
        (_claim(aud=["gateway", "another-client"]), "azp"),
        (_claim(aud=["gateway", "another-client"], azp="another-client"), "azp"),
        (_claim(exp=int(time.time()) - 3600), "ExpiredToken"),
        (_claim(iat=int(time.time()) + 3600), "in the future"),
        (_claim(nonce="another log-in's"), "nonce"),
        (_claim(at_hash="AAAA"), "at_hash"),
        (_claim(sub=""), "sub"),
        (_claim(sub=["id-of-alice"]), "sub"),
        (_drop("nonce"), "nonce"),
        (_drop("exp"), "exp"),
        (_drop("sub"), "sub"),
        (_sign("sign_none"), "none"),
        (_sign("sign_with_secret"), "HS256"),
        (_sign("sign_by_stranger"), "BadSignature"),
    ],
)
def test_a_token_that_proves_nothing_lets_nobody_in(
    idp: OidcServer,
    browser: Client,
    change: Callable[[OidcServer], None],
    logged: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    change(idp)
    with caplog.at_level(logging.WARNING, logger="accounts.oidc"):
        refused = log_in(browser, "alice")
    page = refused.content.decode()
    assert refused.status_code == 403
    assert "could not be verified" in page
    assert not is_logged_in(browser)
    assert User.objects.count() == 0
    assert logged in caplog.text
    reference = caplog.text.partition("reference ")[2][:8]
    assert f"Reference {reference}" in page


def test_a_reply_is_good_once_and_for_the_browser_that_began(
    idp: OidcServer, browser: Client
) -> None:
    reply = sign_in_at_provider(browser, "alice")
    stranger = Client()
    assert stranger.get(reply).status_code == 400
    kept = browser.cookies[attempts.COOKIE].value
    assert browser.get(reply).status_code == 302
    browser.get("/admin/")
    browser.logout()
    assert browser.get(reply).status_code == 400  # the attempt is over
    browser.cookies[attempts.COOKIE] = kept  # and who keeps it has no code for it
    assert browser.get(reply).status_code == 403
    assert not is_logged_in(browser)


@pytest.mark.parametrize("state", ["", "wrong", "é"])
def test_a_wrong_state_asks_the_provider_nothing(
    idp: OidcServer, browser: Client, state: str
) -> None:
    sign_in_at_provider(browser, "alice")
    before = len(idp.asked)
    assert browser.get("/sso/callback", {"code": "x", "state": state}).status_code == 400
    assert len(idp.asked) == before


def test_an_attempt_ends_after_ten_minutes(
    idp: OidcServer, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = sign_in_at_provider(browser, "alice")
    monkeypatch.setattr(attempts, "ATTEMPT_SECONDS", -1)
    refused = browser.get(reply)
    assert refused.status_code == 400
    assert "took too long" in refused.content.decode()


def test_a_reply_of_another_issuer_and_a_refusal_are_refused(
    idp: OidcServer, browser: Client
) -> None:
    reply = sign_in_at_provider(browser, "alice")
    mixed_up = reply.replace("iss=http", "iss=https")
    assert browser.get(mixed_up).status_code == 403
    assert log_in(browser, "nobody").status_code == 403  # error=access_denied
    assert not is_logged_in(browser)


def test_a_new_key_of_the_provider_is_found(idp: OidcServer, browser: Client) -> None:
    assert log_in(browser, "alice").status_code == 302
    idp.rotate()
    assert log_in(browser, "alice").status_code == 302
    assert idp.asked.count("/keys") == 2
    assert idp.asked.count("/.well-known/openid-configuration") == 1


def test_a_provider_that_is_down_or_frozen_gets_a_clear_page_in_time(
    idp: OidcServer, browser: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OIDC_ISSUER = f"http://127.0.0.1:{processes.find_free_port()}"
    down = browser.get("/sso/login")
    assert down.status_code == 503
    assert "does not answer" in down.content.decode()
    settings.OIDC_ISSUER = idp.issuer
    reply = sign_in_at_provider(browser, "alice")
    idp.pause = 3
    monkeypatch.setattr(provider, "LOGIN_SECONDS", 0.3)
    begun = time.monotonic()
    assert browser.get(reply).status_code == 503
    assert time.monotonic() - begun < 2
    assert not is_logged_in(browser)


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://evil.example.org"},
        {"token_endpoint": "ftp://127.0.0.1/token"},
        {"token_endpoint": None},
        {"jwks_uri": "http://idp.example.org/keys"},  # public and without TLS
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
def test_a_document_that_is_wrong_is_not_followed(
    idp: OidcServer, browser: Client, document: Claims
) -> None:
    idp.document = document
    assert browser.get("/sso/login").status_code == 503


def test_a_private_issuer_has_to_be_allowed(
    idp: OidcServer, browser: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.OIDC_ALLOW_PRIVATE = False
    assert browser.get("/sso/login").status_code == 503
    assert idp.asked == []
    assert "TOKENTHRIFT_OIDC_ALLOW_PRIVATE" in caplog.text
    # A public name that resolves to a private address.
    settings.OIDC_ISSUER = idp.issuer.replace("http://127.0.0.1", "https://localhost.localdomain")
    assert browser.get("/sso/login").status_code == 503
    assert idp.asked == []


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([], "no role here"),
        (["lunch"], "no role here"),
        ({"gateway-admins": True}, "no role here"),
        ([["gateway-admins"]], "no role here"),
        (["acme-viewers", "rival-viewers"], "more than one place"),
        (["acme-viewers", "auditors"], "more than one place"),
        (["CN=lost,OU=x"], "does not exist here"),
    ],
)
def test_claims_that_name_no_one_role_let_nobody_in(
    idp: OidcServer, browser: Client, rival: Tenant, groups: Any, said: str
) -> None:
    idp.people["dave"] = {"groups": groups}
    refused = log_in(browser, "dave")
    assert refused.status_code == 403
    assert said in refused.content.decode()
    assert User.objects.count() == 0


def test_roles_may_be_in_an_object_or_in_the_user_info(
    idp: OidcServer, browser: Client, settings: Settings
) -> None:
    settings.OIDC_ROLES_CLAIM = "realm_access.roles"
    idp.people["erin"] = {"realm_access": {"roles": ["auditors"]}, "preferred_username": "erin"}
    idp.in_user_info = ("realm_access",)
    assert log_in(browser, "erin").status_code == 302
    assert "/userinfo" in idp.asked
    idp.user_info_subject = "id-of-alice"
    assert log_in(browser, "erin").status_code == 403
    idp.asked.clear()
    settings.OIDC_ROLES_CLAIM = "https://example.org/roles"
    idp.people["erin"] = {"https://example.org/roles": ["gateway-admins"]}
    assert log_in(browser, "erin").status_code == 302
    assert "/userinfo" not in idp.asked


@pytest.mark.parametrize(
    ("proof", "status"),
    [
        (("alice@example.org", True), 302),
        (("alice@EXAMPLE.org", "true"), 302),
        (("alice@example.org", False), 403),
        (("alice@example.org", None), 403),
        (("alice@notexample.org", True), 403),
        (("alice@example.org@evil.example", True), 403),
        ((None, True), 403),
    ],
)
def test_only_verified_addresses_of_allowed_domains(
    idp: OidcServer, browser: Client, settings: Settings, proof: tuple[Any, Any], status: int
) -> None:
    settings.OIDC_EMAIL_DOMAINS = ["example.org"]
    idp.people["alice"] |= {"email": proof[0], "email_verified": proof[1]}
    assert log_in(browser, "alice").status_code == status


@pytest.mark.parametrize(
    "next_url", ["https://evil.example.org/", "//evil.example.org", "x" * 2000]
)
def test_a_log_in_leads_to_no_other_site(idp: OidcServer, browser: Client, next_url: str) -> None:
    reply = sign_in_at_provider(browser, "alice", path=f"/sso/login?next={next_url}")
    done = browser.get(reply)
    assert (done.status_code, done["location"]) == (302, "/dashboard")


def test_log_out_names_the_provider_s_own(idp: OidcServer, browser: Client) -> None:
    log_in(browser, "alice")
    page = browser.post("/admin/logout/").content.decode()
    assert f'href="{idp.issuer}/logout?client_id=gateway&amp;post_logout_redirect_uri=' in page
    assert not is_logged_in(browser)


def test_no_password_opens_a_provider_s_account(idp: OidcServer, browser: Client) -> None:
    log_in(browser, "alice")
    alice = User.objects.get(username="alice")
    alice.set_password("a password, by mistake")
    alice.save()
    local = Client()
    form = {"username": "alice", "password": "a password, by mistake"}
    assert local.post("/admin/login/", form).status_code == 200
    assert not is_logged_in(local)


def test_without_local_log_in_only_the_break_glass_account_has_a_password(
    idp: OidcServer, browser: Client, settings: Settings
) -> None:
    settings.LOCAL_LOGIN, settings.BREAK_GLASS = False, ["rescue"]
    for name in ("rescue", "local"):
        User.objects.create_superuser(name, password="a long password")
    assert "<details" in browser.get("/admin/login/").content.decode()
    form = {"username": "local", "password": "a long password"}
    assert browser.post("/admin/login/", form).status_code == 200
    assert not is_logged_in(browser)
    assert browser.post("/admin/login/", form | {"username": "rescue"}).status_code == 302
    assert is_logged_in(browser)


def test_without_a_provider_there_are_no_such_pages(browser: Client, db: None) -> None:
    assert browser.get("/sso/login").status_code == 404
    assert browser.get("/sso/callback").status_code == 404
    assert "/sso/" not in browser.get("/admin/login/").content.decode()
