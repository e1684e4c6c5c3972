"""Invitations by link and new passwords by mail: once, for a while, telling strangers nothing."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.invitations import service
from accounts.models import Identity, Invitation
from accounts.password_reset import views
from plans.access import PLATFORM_ADMIN, TENANT_ADMIN, VIEWER
from plans.models import Membership, Tenant
from tests.support.mailbox import Mailbox, running_mailbox
from tests.support.people import person, session

pytestmark = pytest.mark.django_db
ADD = "/admin/accounts/invitation/add/"
PASSWORD = "correct-horse-battery"
ACCEPT = {"username": "nina", "email": "", "password1": PASSWORD, "password2": PASSWORD}


@pytest.fixture
def boss(db: None) -> User:
    return person("boss", PLATFORM_ADMIN)


@pytest.fixture
def mailbox(settings: Settings) -> Iterator[Mailbox]:
    with running_mailbox() as running:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", urlsplit(running.url).port
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.DEFAULT_FROM_EMAIL = "Tokenthrift <gateway@example.org>"
        yield running
    cache.delete_pattern("reset-*")  # type: ignore[attr-defined]  # of django-redis


def invite(client: Client, **fields: Any) -> str:
    """The path of the link that the page shows."""
    made = client.post(ADD, {"role": "viewer", "tenant": "", "email": "", "days": "7"} | fields)
    assert made.status_code == 200, made
    assert "link" in (made.context or {}), made.content.decode()
    return str(urlsplit(made.context["link"]).path)


def test_a_link_makes_an_account_of_its_role_once(boss: User, acme: Tenant) -> None:
    link = invite(session(boss), role="tenant-admin", tenant=str(acme.pk))
    stranger = Client()
    page = stranger.get(link).content.decode()
    assert "Tenant admin" in page
    assert "acme" in page
    assert stranger.post(link, ACCEPT).status_code == 200
    nina = User.objects.get(username="nina")
    assert [group.name for group in nina.groups.all()] == [TENANT_ADMIN]
    assert Membership.objects.get(user=nina).tenant == acme
    assert (nina.is_staff, nina.is_superuser) == (True, False)
    assert stranger.get("/dashboard/").status_code == 302  # nobody is logged in by a link
    done = stranger.post("/admin/login/", {"username": "nina", "password": PASSWORD})
    assert done.status_code == 302
    again = Client()
    assert again.get(link).status_code == 404
    assert again.post(link, ACCEPT | {"username": "second"}).status_code == 404
    row = Invitation.objects.get()
    assert (row.account, row.describe_state(timezone.now())) == (nina, "used")
    assert link.rpartition("/")[2] not in row.digest


@pytest.mark.django_db(transaction=True)
def test_of_two_who_accept_at_once_one_gets_an_account() -> None:
    boss = User.objects.create(username="root", is_staff=True, is_superuser=True)
    _, token = service.create_invitation(by=boss, role="viewer", tenant=None)

    def accept(number: int) -> bool:
        try:
            return service.accept_invitation(token, user=User(username=f"n{number}")) is not None
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(accept, range(4))) == 1
    assert User.objects.count() == 2


@pytest.mark.parametrize("how", ["expired", "withdrawn", "disabled", "demoted", "switched off"])
def test_a_dead_link_looks_like_none(boss: User, how: str, settings: Settings) -> None:
    client = session(boss)
    link = invite(client)
    if how == "expired":
        Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    elif how == "withdrawn":
        chosen = {
            "action": "withdraw_invitations",
            "_selected_action": [Invitation.objects.get().pk],
        }
        client.post("/admin/accounts/invitation/", chosen)
    elif how == "disabled":
        User.objects.filter(pk=boss.pk).update(is_active=False)
    elif how == "demoted":
        boss.groups.clear()
    else:
        settings.LOCAL_LOGIN = False
    dead, never = Client().get(link), Client().get("/account/invitation/" + "A" * 43)
    assert (dead.status_code, dead.content) == (404, never.content)
    assert Client().post(link, ACCEPT).status_code == 404
    assert not User.objects.filter(username="nina").exists()


def test_nobody_invites_to_more_than_they_have(boss: User, acme: Tenant) -> None:
    for group, tenant in ((VIEWER, None), (TENANT_ADMIN, acme)):
        client = session(person(f"a {group}", group, tenant))
        assert client.get(ADD).status_code in {403, 404}
        assert client.post(ADD, {"role": "viewer", "days": "7"}).status_code in {403, 404}
    boss.groups.get().permissions.remove(*boss.groups.get().permissions.filter(codename="add_plan"))
    viewer = person("adder", VIEWER)
    viewer.user_permissions.set(boss.groups.get().permissions.filter(codename="add_user"))
    with pytest.raises(ValidationError, match="may do more than you"):
        service.create_invitation(by=viewer, role="platform-admin", tenant=None)
    assert service.create_invitation(by=viewer, role="viewer", tenant=None)
    assert not Invitation.objects.filter(role="platform-admin").exists()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"role": "tenant-admin"}, "needs a tenant"),
        ({"role": "superuser"}, "not one of the available choices"),
        ({"days": "31"}, "less than or equal to 30"),
        ({"email": "nobody"}, "valid email address"),
        ({"tenant": "999999"}, "not one of the available choices"),
    ],
)
def test_a_wrong_form_says_what_is_accepted(boss: User, fields: dict[str, str], said: str) -> None:
    form = {"role": "viewer", "tenant": "", "email": "", "days": "7"} | fields
    assert said in session(boss).post(ADD, form).content.decode()
    assert not Invitation.objects.exists()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"password2": "another"}, "didn’t match"),
        ({"password1": "12345678", "password2": "12345678"}, "too common"),
        ({"username": "BOSS"}, "has this name already"),
        ({"username": "a b"}, "valid username"),
    ],
)
def test_a_wrong_account_form_leaves_the_link_good(
    boss: User, fields: dict[str, str], said: str
) -> None:
    link = invite(session(boss))
    assert said in Client().post(link, ACCEPT | fields).content.decode()
    assert Client().post(link, ACCEPT).status_code == 200
    assert User.objects.filter(username="nina").exists()


def test_the_link_is_mailed_where_a_server_is_set(boss: User, mailbox: Mailbox) -> None:
    link = invite(session(boss), email="nina@example.org")
    (message,) = mailbox.wait()
    assert message["to"] == "nina@example.org"
    assert message["from"] == "Tokenthrift <gateway@example.org>"
    assert link in message.get_content()
    assert "boss invites you" in message.get_content()


def test_a_mail_server_that_refuses_leaves_the_link(
    boss: User, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox.refuses = True
    link = invite(session(boss), email="nina@example.org")
    assert Client().get(link).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_new_password_by_mail(mailbox: Mailbox, settings: Settings) -> None:
    user = _local("nina", "nina@example.org")
    client, other = Client(), Client()
    other.post("/admin/login/", {"username": "nina", "password": PASSWORD})
    assert other.get("/dashboard/").status_code == 200
    assert "/account/reset" in client.get("/admin/login/").content.decode()
    client.post("/account/reset", {"email": "Nina@Example.org"})
    (message,) = mailbox.wait()
    link = re.search(r"http://testserver(/account/reset/\S+)", message.get_content())
    assert link
    page = client.get(link[1], follow=True)
    form = {"new_password1": "a-better-password-9", "new_password2": "a-better-password-9"}
    done = client.post(page.request["PATH_INFO"], form)
    assert done["location"] == "/account/reset/done"
    assert "is set" in client.get("/account/reset/done").content.decode()
    assert other.get("/dashboard/").status_code == 302  # the session of the old password
    user.refresh_from_db()
    assert user.check_password("a-better-password-9")
    assert "was used" in Client().get(link[1], follow=True).content.decode()


@pytest.mark.django_db(transaction=True)
def test_nobody_learns_whether_there_is_an_account(mailbox: Mailbox, settings: Settings) -> None:
    _local("nina", "nina@example.org")
    bound = _local("oidc", "oidc@example.org")
    settings.OIDC_ISSUER = "https://idp.example.org"
    Identity.objects.create(user=bound, issuer=settings.OIDC_ISSUER, subject="o")
    inactive = _local("gone", "gone@example.org")
    User.objects.filter(pk=inactive.pk).update(is_active=False)
    unusable = _local("unusable", "unusable@example.org")
    unusable.set_unusable_password()
    unusable.save()
    replies = set()
    for name in ("nobody", "oidc", "gone", "unusable", "nina"):
        client = Client()
        reply = client.post("/account/reset", {"email": f"{name}@example.org"})
        replies.add((reply.status_code, reply["location"]))
    assert replies == {(302, "/account/reset/sent")}
    assert [message["to"] for message in mailbox.wait()] == ["nina@example.org"]


@pytest.mark.django_db(transaction=True)
def test_mails_are_few(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    _local("nina", "nina@example.org")
    monkeypatch.setattr(views, "MAX_MAILS", 2)
    for _ in range(4):
        reply = Client().post("/account/reset", {"email": "nina@example.org"})
        assert reply["location"] == "/account/reset/sent"
    monkeypatch.setattr(views, "MAX_REQUESTS", 4)
    _local("otto", "otto@example.org")
    Client().post("/account/reset", {"email": "otto@example.org"})
    mailbox.wait(2)
    time.sleep(0.5)  # what came too many would come now
    assert len(mailbox.messages) == 2


def test_without_a_mail_server_there_are_no_such_pages(db: None) -> None:
    client = Client()
    for path in ("", "/sent", "/done", "/MQ/set-password"):
        assert client.get(f"/account/reset{path}").status_code == 404
    assert "/account/reset" not in client.get("/admin/login/").content.decode()


def _local(name: str, email: str) -> User:
    user: User = User.objects.create_user(name, email, PASSWORD, is_staff=True, is_superuser=True)
    return user
