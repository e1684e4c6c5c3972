"""The second factor of a local account: set up, asked after the password, lost and removed."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pyotp
import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Identity, SecondFactor
from accounts.second_factor import codes, pending_login, service
from plans.access import PLATFORM_ADMIN, VIEWER
from tests.support.people import person, session

pytestmark = pytest.mark.django_db
LOGIN, CODE, PAGE = "/admin/login/", "/account/code", "/account/second-factor"
PASSWORD = "a password of some length"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def alice(db: None) -> User:
    user = person("alice", PLATFORM_ADMIN)
    user.set_password(PASSWORD)
    user.save()
    return user


@pytest.fixture
def app(alice: User) -> Callable[[], str]:
    """Alice's app: each code it shows is of a later step than the one before."""
    device = service.begin_set_up(alice)
    secret = service.read_secret(device)
    SecondFactor.objects.update(confirmed_at=timezone.now())

    def show() -> str:
        SecondFactor.objects.filter(user=alice).update(last_step=0)
        return pyotp.TOTP(secret).now()

    return show


@pytest.fixture
def browser() -> Client:
    return Client(raise_request_exception=False)


def give_password(browser: Client, password: str = PASSWORD) -> Any:
    form = {"username": "alice", "password": password, "next": "/admin/plans/plan/"}
    return browser.post(LOGIN, form)


def is_in(browser: Client) -> bool:
    return bool(browser.get("/dashboard/").status_code == 200)


def test_without_one_the_password_is_enough(alice: User, browser: Client) -> None:
    done = give_password(browser)
    assert (done.status_code, done["location"]) == (302, "/admin/plans/plan/")
    assert is_in(browser)


def test_the_password_alone_opens_nothing(
    alice: User, app: Callable[[], str], browser: Client
) -> None:
    asked = give_password(browser)
    assert (asked.status_code, asked["location"]) == (302, CODE)
    for path in ("/admin/", "/dashboard/", "/admin/plans/plan/"):
        assert browser.get(path).status_code == 302
    assert browser.get("/token-saving/plans").status_code in {401, 403}
    assert "Code of your authenticator app" in browser.get(CODE).content.decode()
    done = browser.post(CODE, {"code": app()})
    assert (done.status_code, done["location"]) == (302, "/admin/plans/plan/")
    assert is_in(browser)
    assert pending_login.PENDING_KEY not in browser.session


def test_a_code_is_good_once(alice: User, app: Callable[[], str], browser: Client) -> None:
    code = app()
    give_password(browser)
    assert browser.post(CODE, {"code": code}).status_code == 302
    other = Client()
    give_password(other)
    refused = other.post(CODE, {"code": code})
    assert refused.status_code == 200
    assert "was used before" in refused.content.decode()
    assert not is_in(other)


@pytest.mark.django_db(transaction=True)
def test_of_two_requests_with_one_code_one_gets_in(alice: User) -> None:
    device = service.begin_set_up(alice)
    SecondFactor.objects.update(confirmed_at=timezone.now())
    code = pyotp.TOTP(service.read_secret(device)).now()

    def check(_: int) -> bool:
        try:
            return service.check_code(alice, code)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(check, range(4))) == 1


@pytest.mark.parametrize("typed", ["", "000000", "12345", "١٢٣٤٥٦", "x" * 500, "\x00", " " * 70])
def test_a_wrong_code_is_refused(
    alice: User, app: Callable[[], str], browser: Client, typed: str
) -> None:
    give_password(browser)
    assert browser.post(CODE, {"code": typed}).status_code == 200
    assert not is_in(browser)


def test_codes_of_the_steps_beside_are_taken_and_no_others() -> None:
    now, generator = 1_800_000_000.0, pyotp.TOTP(SECRET)
    step = int(now) // 30
    for apart in (-1, 0, 1):
        code = generator.generate_otp(step + apart)
        assert codes.find_step(SECRET, code, now=now, last_step=0) == step + apart
        assert codes.find_step(SECRET, code, now=now, last_step=step + apart) is None
    for apart in (-2, 2):
        assert (
            codes.find_step(SECRET, generator.generate_otp(step + apart), now=now, last_step=0)
            is None
        )
    spaced = f"{generator.generate_otp(step)[:3]} {generator.generate_otp(step)[3:]}"
    assert codes.find_step(SECRET, spaced, now=now, last_step=0) == step


def test_codes_are_those_of_the_rfc() -> None:
    """RFC 6238, appendix B, SHA-1; the last six of the eight digits."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for now, code in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        assert codes.find_step(secret, code, now=now, last_step=0) == now // 30


def test_wrong_codes_lock_the_log_in_like_wrong_passwords(
    alice: User, app: Callable[[], str], browser: Client
) -> None:
    give_password(browser)
    for _ in range(4):
        assert browser.post(CODE, {"code": "000000"}).status_code == 200
    assert browser.post(CODE, {"code": "000000"}).status_code == 429
    assert browser.post(CODE, {"code": app()}).status_code == 429
    assert not is_in(browser)
    assert give_password(Client()).status_code == 429


def test_wrong_codes_have_to_wait_wherever_they_come_from(
    alice: User, app: Callable[[], str]
) -> None:
    for _ in range(codes.FREE_FAILURES):
        assert not service.check_code(alice, "000000")
    with pytest.raises(service.TooManyCodes, match=r"try again in (30|29) seconds"):
        service.check_code(alice, app())
    SecondFactor.objects.update(failed_at=timezone.now() - timedelta(seconds=31))
    assert service.check_code(alice, app())
    assert SecondFactor.objects.get().failures == 0
    assert [codes.compute_wait(count) for count in (4, 5, 6, 12, 1000)] == [0, 30, 60, 3600, 3600]


def test_it_is_set_up_by_the_first_code(alice: User, browser: Client) -> None:
    give_password(browser)
    page = browser.get(PAGE)
    text = page.content.decode()
    assert "<svg" in text
    assert "style=" not in text[text.index("<svg") : text.index("</svg>")]
    device = SecondFactor.objects.get()
    secret = service.read_secret(device)
    assert secret.encode() not in bytes(device.sealed_secret)
    assert browser.get(PAGE).context["secret"] == page.context["secret"]
    assert "was used before" in browser.post(PAGE, {"code": "000000"}).content.decode()
    assert not service.has_second_factor(alice)
    done = browser.post(PAGE, {"code": pyotp.TOTP(secret).now()})
    recovery = done.context["codes"]
    assert len(set(recovery)) == codes.RECOVERY_CODES
    assert service.has_second_factor(alice)
    assert not set(recovery) & set(SecondFactor.objects.get().recovery_digests)
    after = browser.get(PAGE).content.decode()
    assert secret not in after
    assert "10 recovery codes left" in after


def test_a_recovery_code_stands_in_once(alice: User, browser: Client) -> None:
    device = service.begin_set_up(alice)
    recovery = service.confirm(alice, pyotp.TOTP(service.read_secret(device)).now())
    assert recovery
    typed = recovery[3].upper().replace("-", " ")
    give_password(browser)
    assert browser.post(CODE, {"code": typed}).status_code == 302
    assert is_in(browser)
    other = Client()
    give_password(other)
    assert other.post(CODE, {"code": typed}).status_code == 200
    assert len(SecondFactor.objects.get().recovery_digests) == codes.RECOVERY_CODES - 1


def test_removing_it_takes_a_code(alice: User, app: Callable[[], str], browser: Client) -> None:
    client = session(alice)
    assert client.post(PAGE, {"code": "000000"}).status_code == 200
    assert service.has_second_factor(alice)
    assert client.post(PAGE, {"code": app()}).status_code == 302
    assert not service.has_second_factor(alice)
    assert give_password(browser)["location"] == "/admin/plans/plan/"


def test_where_it_is_required_the_log_in_begins_with_setting_it_up(
    alice: User, browser: Client, settings: Settings
) -> None:
    settings.REQUIRE_SECOND_FACTOR = True
    asked = give_password(browser)
    assert asked["location"] == PAGE
    assert not is_in(browser)
    assert browser.get(CODE)["location"] == PAGE
    assert "asks every person" in browser.get(PAGE).content.decode()
    secret = service.read_secret(SecondFactor.objects.get())
    done = browser.post(PAGE, {"code": pyotp.TOTP(secret).now()})
    assert done.context["next_url"] == "/admin/plans/plan/"
    assert is_in(browser)


@pytest.mark.parametrize("how", ["late", "disabled", "password"])
def test_a_pending_log_in_ends(
    alice: User, app: Callable[[], str], browser: Client, how: str, monkeypatch: Any
) -> None:
    give_password(browser)
    if how == "late":
        monkeypatch.setattr(pending_login, "PENDING_SECONDS", -1)
    elif how == "disabled":
        User.objects.update(is_active=False)
    else:
        alice.set_password("another password of some length")
        alice.save()
    done = browser.post(CODE, {"code": app()})
    assert (done.status_code, done["location"]) == (302, LOGIN)
    assert not is_in(browser)


def test_strangers_see_no_page(browser: Client, db: None) -> None:
    for path in (CODE, PAGE):
        assert browser.get(path)["location"] == LOGIN
        assert browser.post(path, {"code": "000000"})["location"] == LOGIN


def test_people_of_an_identity_provider_have_theirs_there(alice: User) -> None:
    Identity.objects.create(user=alice, issuer="https://idp.example.org", subject="a")
    page = session(alice).get(PAGE)
    assert "identity provider" in page.content.decode()
    assert not SecondFactor.objects.exists()


def test_an_admin_removes_it_for_whom_they_may_change(alice: User) -> None:
    root = User.objects.create(username="root", is_staff=True, is_superuser=True)
    vera = person("vera", VIEWER)
    for user in (root, vera):
        service.begin_set_up(user)
    SecondFactor.objects.update(confirmed_at=timezone.now())
    chosen = {"action": "remove_second_factors", "_selected_action": [root.pk, vera.pk]}
    session(vera).post("/admin/auth/user/", chosen)
    assert SecondFactor.objects.count() == 2
    session(alice).post("/admin/auth/user/", chosen)
    assert [device.user for device in SecondFactor.objects.all()] == [root]
    call_command("remove_second_factor", "root")
    assert not SecondFactor.objects.exists()
    for name, said in (("root", "has no second factor"), ("nobody", "no account named")):
        with pytest.raises(CommandError, match=said):
            call_command("remove_second_factor", name)


def test_secrets_are_rotated_and_a_lost_key_leaves_the_recovery_codes(
    alice: User, settings: Settings
) -> None:
    device = service.begin_set_up(alice)
    secret = service.read_secret(device)
    recovery = service.confirm(alice, pyotp.TOTP(secret).now())
    assert recovery
    old, new = settings.ENCRYPTION_KEYS[0], Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [new, old]
    call_command("rotate_encryption_keys")
    settings.ENCRYPTION_KEYS = [new]
    assert service.read_secret(SecondFactor.objects.get()) == secret
    settings.ENCRYPTION_KEYS = [old]
    with pytest.raises(CommandError, match="opens the second factor of: alice"):
        call_command("rotate_encryption_keys")
    later = time.time() + 60
    assert not service.check_code(alice, pyotp.TOTP(secret).at(int(later)))
    assert service.check_code(alice, recovery[0])
