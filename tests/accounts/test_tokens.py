"""Personal tokens of the management API: never more than their person, and often less."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import ApiToken
from accounts.tokens import service, wrong_tokens
from accounts.tokens.scopes import list_resources, name_resource
from plans.access import PLATFORM_ADMIN, TENANT_ADMIN, VIEWER
from plans.models import Plan, Tenant
from tests.support.management import ONE, PLANS, Manager, refused
from tests.support.people import person, session

pytestmark = pytest.mark.django_db
ADD = "/admin/accounts/apitoken/add/"
LIST = "/admin/accounts/apitoken/"


@pytest.fixture(autouse=True)
def none_counted() -> Iterator[None]:
    yield
    cache.delete_pattern("wrong-token*")  # type: ignore[attr-defined]  # of django-redis


@pytest.fixture
def boss(db: None) -> User:
    return person("boss", PLATFORM_ADMIN)


def token(user: User, *, access: str = "write", **fields: Any) -> Manager:
    return Manager(secret_of(user, access=access, **fields))


def secret_of(user: User, *, access: str = "write", **fields: Any) -> str:
    made = service.create_token(user=user, name="ci", access=access, **{"days": 30, **fields})
    return made[1]


def test_a_token_does_what_its_person_may(boss: User, acme: Tenant) -> None:
    assert token(boss).create()["tenant"] is None
    tenants = person("tina", TENANT_ADMIN, acme)
    assert token(tenants).create(plan_name="theirs")["tenant"] == "acme"
    refused(
        token(tenants).call("GET", f"{PLANS}?tenant=rival"),
        404,
        param="tenant",
        code="tenant_not_found",
    )
    viewer = token(person("vera", VIEWER, acme))
    refused(viewer.call("POST", PLANS, {"plan_name": "x"}), 403, code="permission_denied")
    assert viewer.call("GET", "/token-saving/stats").status_code == 200


def test_it_follows_its_person_s_role_at_once(boss: User) -> None:
    caller = token(boss)
    assert caller.call("GET", PLANS).status_code == 200
    boss.groups.set([Group.objects.get(name=VIEWER)])
    refused(caller.call("GET", PLANS), 403, code="permission_denied")
    assert caller.call("GET", "/token-saving/stats").status_code == 200


@pytest.mark.parametrize("lost", ["is_active", "is_staff"])
def test_the_token_of_a_disabled_person_is_dead(boss: User, lost: str) -> None:
    caller = token(boss)
    assert caller.call("GET", PLANS).status_code == 200
    User.objects.filter(pk=boss.pk).update(**{lost: False})
    refused(caller.call("GET", PLANS), 401, code="invalid_api_key")


def test_a_revoked_or_expired_token_is_refused_at_once(boss: User) -> None:
    revoked, expired = token(boss), token(boss)
    rows = list(ApiToken.objects.order_by("pk"))
    service.revoke_token(rows[0])
    ApiToken.objects.filter(pk=rows[1].pk).update(expires_at=timezone.now())
    for caller in (revoked, expired):
        refused(caller.call("GET", PLANS), 401, code="invalid_api_key")


def test_a_reading_token_changes_nothing(boss: User) -> None:
    token(boss).create()
    reader = token(boss, access="read")
    assert reader.call("GET", ONE).status_code == 200
    # Asking what would happen is reading.
    chat = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert reader.call("POST", f"{ONE}/preview", chat).status_code != 403
    for method, path in (
        ("POST", PLANS),
        ("PATCH", ONE),
        ("DELETE", ONE),
        ("POST", f"{ONE}/invalidate"),
        ("POST", f"{ONE}/semantic-tier/on"),
    ):
        said = refused(reader.call(method, path, {}), 403, code="permission_denied")
        assert "may only read" in said
    assert Plan.objects.count() == 1


def test_a_token_reaches_its_resources_alone(boss: User) -> None:
    token(boss).create()
    caller = token(boss, resources=["stats"])
    assert caller.call("GET", "/token-saving/stats").status_code == 200
    assert caller.call("GET", f"{ONE}/stats").status_code == 200
    assert caller.call("GET", f"{ONE}/stats/").status_code == 200
    for path in (PLANS, ONE, f"{ONE}/entries", "/token-saving/cache-engines"):
        assert "not for" in refused(caller.call("GET", path), 403, code="permission_denied")


def test_every_path_of_the_api_is_a_resource() -> None:
    assert {"plans", "stats", "entries", "resolve"} <= set(list_resources())
    assert name_resource("/token-saving/plans/stats") == "plans"  # a plan of that name
    assert name_resource("/token-saving/plans/stats/stats") == "stats"
    assert name_resource("/dashboard/") == ""


def test_the_last_use_is_noted(boss: User) -> None:
    secret = secret_of(boss)
    Manager(secret).call("GET", PLANS)
    row = ApiToken.objects.get()
    assert row.used_at is not None
    assert row.used_at > timezone.now() - timedelta(seconds=10)
    assert row.used_from == "127.0.0.1"
    assert secret not in {row.digest, row.prefix}


def test_a_token_opens_no_page(boss: User) -> None:
    client = Client(headers={"authorization": f"Bearer {secret_of(boss)}"})
    for path in ("/admin/plans/plan/", "/dashboard/", LIST):
        assert client.get(path).status_code == 302


def test_wrong_tokens_are_refused_unread_in_the_end(
    boss: User, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(wrong_tokens, "MAX_REPEATS", 3)
    monkeypatch.setattr(wrong_tokens, "MAX_WRONG_TOKENS", 6)
    wrong = Manager("ttp-" + "A" * 43)
    for _ in range(3):
        refused(wrong.call("GET", PLANS), 401, code="invalid_api_key")
    with django_assert_num_queries(0):
        reply = wrong.call("GET", PLANS)
    refused(reply, 429, code="rate_limited")
    assert int(reply["Retry-After"]) == wrong_tokens.WINDOW_SECONDS
    right = token(boss)
    assert right.call("GET", PLANS).status_code == 200  # one broken job stops nobody else
    for letter in "BCD":
        Manager("ttp-" + letter * 43).call("GET", PLANS)
    refused(Manager("ttp-" + "E" * 43).call("GET", PLANS), 429, code="rate_limited")


def test_without_redis_tokens_work(
    boss: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from redis.exceptions import ConnectionError as RedisDown

    def down(*_: Any, **__: Any) -> None:
        raise RedisDown

    for name in ("get_many", "add", "incr"):
        monkeypatch.setattr(cache, name, down, raising=False)
    assert token(boss).call("GET", PLANS).status_code == 200
    refused(Manager("ttp-" + "A" * 43).call("GET", PLANS), 401, code="invalid_api_key")


def test_a_person_makes_sees_and_revokes_their_own(acme: Tenant) -> None:
    tina, other = person("tina", TENANT_ADMIN, acme), person("otto", TENANT_ADMIN, acme)
    client = session(tina)
    form = {"name": "grafana", "access": "read", "resources": ["stats"], "days": "7"}
    made = client.post(ADD, form)
    assert made.status_code == 200
    secret = made.context["secret"]
    assert made.content.decode().count(secret) == 1
    assert secret not in client.get(LIST).content.decode()
    assert Manager(secret).call("GET", "/token-saving/stats").status_code == 200
    row = ApiToken.objects.get()
    assert (row.user, row.access, row.resources) == (tina, "read", ["stats"])
    assert row.expires_at - timezone.now() < timedelta(days=7)
    assert "grafana" not in session(other).get(LIST).content.decode()
    assert session(other).get(f"{LIST}{row.pk}/change/").status_code == 404
    chosen = {"action": "revoke_tokens", "_selected_action": [row.pk]}
    assert session(other).post(LIST, chosen | {"sure": "yes"}).status_code == 302
    assert ApiToken.objects.get().revoked_at is None
    assert "Revoke this token?" in client.post(LIST, chosen).content.decode()
    client.post(LIST, chosen | {"sure": "yes"})
    assert Manager(secret).call("GET", "/token-saving/stats").status_code == 401
    assert client.get(f"{LIST}{row.pk}/change/").status_code == 200


def test_a_viewer_has_tokens_too_and_a_stranger_none(acme: Tenant, client: Client) -> None:
    assert session(person("vera", VIEWER, acme)).get(ADD).status_code == 200
    assert client.get(ADD).status_code == 302


def test_who_manages_people_sees_their_tokens_but_no_superuser_s(boss: User) -> None:
    root = User.objects.create(username="root", is_staff=True, is_superuser=True)
    for name, user in (("of-vera", person("vera", VIEWER)), ("of-root", root)):
        service.create_token(user=user, name=name, access="read", days=1)
    page = session(boss).get(LIST).content.decode()
    assert "of-vera" in page
    assert "of-root" not in page
    assert "of-root" in session(root).get(LIST).content.decode()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("days", "366", "365 days are the most"),
        ("days", "0", "greater than or equal to 1"),
        ("days", "soon", "Enter a whole number"),
        ("access", "admin", "not one of the available choices"),
        ("resources", ["everything"], "not one of the available choices"),
        ("name", "", "required"),
    ],
)
def test_a_wrong_form_says_what_is_accepted(boss: User, field: str, value: Any, said: str) -> None:
    form = {"name": "x", "access": "read", "resources": [], "days": "7"} | {field: value}
    assert said in session(boss).post(ADD, form).content.decode()
    assert not ApiToken.objects.exists()


def test_a_person_has_so_many_tokens_at_most(boss: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_TOKENS", 1)
    token(boss)
    assert session(boss).get(ADD).status_code == 302
    with pytest.raises(CommandError, match="are the most: revoke one"):
        call_command("create_token", "boss")


def test_the_command_prints_the_token(boss: User, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("create_token", "boss", "--write", "--resource", "plans", "--days", "3")
    printed = capsys.readouterr()
    secret = printed.out.strip()
    assert "shown this once" in printed.err
    assert secret not in printed.err
    assert Manager(secret).create()["plan_name"] == "plan"
    for wrong, said in (
        (("nobody",), "no active account"),
        (("boss", "--days", "366"), "1 to 365 days"),
        (("boss", "--resource", "moon"), "There is no moon"),
    ):
        with pytest.raises(CommandError, match=said):
            call_command("create_token", *wrong)


def test_the_document_of_the_api_has_the_scheme(client: Client) -> None:
    schema = client.get("/api/schema", headers={"accept": "application/vnd.oai.openapi+json"})
    document = schema.json()
    assert document["components"]["securitySchemes"]["personalToken"]["scheme"] == "bearer"
    assert {"personalToken": []} in document["paths"][PLANS]["get"]["security"]
