"""Two people at one form: what the first saved is never overwritten
without the second having seen it."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core import signing
from django.test import Client
from django.utils.html import strip_tags

from plans import services
from plans.api_errors import VersionConflict
from plans.forms.edit_conflicts import SIGNING_SALT
from plans.forms.model_forms import PlanForm
from plans.models import ModelPrice, Plan, Tenant
from plans.records import compute_row_version, get_row_history
from plans.services import issue_virtual_key
from proxy.upstreams import encryption
from proxy.upstreams.services import put_route, put_upstream
from tests.plans.admin.test_plans import PLAN

pytestmark = pytest.mark.django_db

TOKEN = re.compile(r'name="opened_with"[^>]*value="([^"]+)"|value="([^"]+)"[^>]*name="opened_with"')


def person(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser(name))
    return client


@pytest.fixture
def ann(db: None) -> Client:
    return person("ann")


@pytest.fixture
def bob(db: None) -> Client:
    return person("bob")


def token(page: Any) -> str:
    """What the page says that it was opened with."""
    found = TOKEN.search(page.content.decode())
    assert found, "the page has no hidden field"
    return found[1] or found[2]


def opened(client: Client, address: str, values: dict[str, str]) -> dict[str, str]:
    """What a browser would send of the page if nothing was typed."""
    return values | {"opened_with": token(client.get(address))}


def shown(reply: Any) -> str:
    return " ".join(strip_tags(reply.content.decode()).split())


@pytest.fixture
def plan(ann: Client) -> Plan:
    ann.post("/admin/plans/plan/add/", PLAN)
    return Plan.objects.get()


@pytest.fixture
def address(plan: Plan) -> str:
    return f"/admin/plans/plan/{plan.pk}/change/"


def test_the_second_keeps_what_the_first_saved(
    ann: Client, bob: Client, plan: Plan, address: str
) -> None:
    first, second = opened(ann, address, PLAN), opened(bob, address, PLAN)
    assert ann.post(address, first | {"ttl": "1800"}).status_code == 302

    reply = bob.post(address, second | {"similarity_threshold": "0.9"})
    assert reply.status_code == 200
    assert "ann changed faq while you had it open." in shown(reply)
    assert "Time to live (seconds): 3600 became 1800; it is in the form now." in shown(reply)
    plan.refresh_from_db()
    assert (plan.ttl, plan.similarity_threshold) == (1800, 0.85)

    form = reply.context["adminform"].form
    assert (form["ttl"].value(), form["similarity_threshold"].value()) == ("1800", "0.9")
    again = PLAN | {"ttl": "1800", "similarity_threshold": "0.9", "opened_with": token(reply)}
    assert bob.post(address, again).status_code == 302
    plan.refresh_from_db()
    assert (plan.ttl, plan.similarity_threshold) == (1800, 0.9)


def test_a_field_that_both_changed_keeps_what_was_typed_and_says_so(
    ann: Client, bob: Client, plan: Plan, address: str
) -> None:
    first, second = opened(ann, address, PLAN), opened(bob, address, PLAN)
    ann.post(address, first | {"ttl": "1800"})
    reply = bob.post(address, second | {"ttl": "60"})
    assert "You changed it too: saving again puts yours in its place." in shown(reply)
    assert reply.context["adminform"].form["ttl"].value() == "60"
    assert bob.post(address, PLAN | {"ttl": "60", "opened_with": token(reply)}).status_code == 302
    plan.refresh_from_db()
    assert plan.ttl == 60


def test_boxes_and_choices_are_taken_over(
    ann: Client, bob: Client, plan: Plan, address: str
) -> None:
    first, second = opened(ann, address, PLAN), opened(bob, address, PLAN)
    unticked = {name: value for name, value in first.items() if name != "exact"}
    assert ann.post(address, unticked | {"mode": "shadow"}).status_code == 302
    reply = bob.post(address, second | {"ttl": "60"})
    form = reply.context["adminform"].form
    assert (form["exact"].value(), form["mode"].value()) == (False, "shadow")
    assert "Reuse answers of identical requests: yes became no" in shown(reply)


def test_the_same_change_twice_is_no_conflict(ann: Client, bob: Client, address: str) -> None:
    first, second = opened(ann, address, PLAN), opened(bob, address, PLAN)
    assert ann.post(address, first | {"ttl": "60"}).status_code == 302
    assert bob.post(address, second | {"ttl": "60"}).status_code == 302


def test_a_change_between_the_question_and_the_answer_is_seen(
    ann: Client, bob: Client, plan: Plan, address: str
) -> None:
    """A risky change is asked about first; the page that asks carries
    what the form was opened with."""
    risky = opened(bob, address, PLAN) | {"context": "last_message"}
    question = bob.post(address, risky)
    kept = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', question.content.decode()))
    assert "opened_with" in kept
    assert ann.post(address, opened(ann, address, PLAN) | {"ttl": "1800"}).status_code == 302
    assert "ann changed faq" in shown(bob.post(address, risky | {"_reason": "chats are short"}))
    plan.refresh_from_db()
    assert (plan.ttl, plan.context) == (1800, "window")


def test_a_broken_or_foreign_token_saves_nothing(ann: Client, plan: Plan, address: str) -> None:
    ann.post("/admin/plans/plan/add/", PLAN | {"name": "other"})
    other = f"/admin/plans/plan/{Plan.objects.get(name='other').pk}/change/"
    for wrong in ("nonsense", token(ann.get(other))):
        reply = ann.post(address, PLAN | {"ttl": "60", "opened_with": wrong})
        assert "Open it again and repeat your change." in shown(reply)
    plan.refresh_from_db()
    assert plan.ttl == 3600


def test_a_preset_is_compared_with_what_is_saved(ann: Client, plan: Plan, address: str) -> None:
    """The form shows settings that nobody saved yet; the token is of those that are."""
    page = ann.get(f"{address}?preset=careful")
    posted = PLAN | {"ttl": "60", "opened_with": token(page)}
    assert ann.post(address, posted).status_code == 302


@pytest.fixture
def rows(db: None) -> dict[str, tuple[Any, dict[str, str], dict[str, str]]]:
    """Of each other form: a row, what its page sends, and a change of somebody else's."""
    tenant = Tenant.objects.create(slug="acme")
    upstream = put_upstream(
        name="one", base_url="https://api.example.com/v1", provider_key="sk-secret"
    )
    key, _ = issue_virtual_key(tenant=tenant, name="web")
    price = ModelPrice.objects.create(provider="acme", model="m", input=1, output=2)
    limits = {
        "connect_timeout": "5.0",
        "read_timeout": str(upstream.read_timeout),
        "stream_usage": "on",
    }
    return {
        "plans/tenant": (
            tenant,
            {"slug": "acme", "name": "", "max_entries": "", "max_bytes": ""},
            {"max_entries": "5"},
        ),
        "proxy/upstream": (
            upstream,
            {
                "name": "one",
                "provider": "openai",
                "base_url": "https://api.example.com/v1",
                **limits,
            },
            {"base_url": "https://api.example.org/v1"},
        ),
        "proxy/route": (
            put_route(name="smart", upstream=upstream, model="m"),
            {"name": "smart", "upstream": str(upstream.pk), "model": "m", "enabled": "on"},
            {"model": "n"},
        ),
        "plans/virtualkey": (
            key,
            {"name": "web", "routes": "", "expires_at_0": "", "expires_at_1": ""},
            {"routes": "smart"},
        ),
        "plans/modelprice": (
            price,
            {
                "provider": "acme",
                "model": "m",
                "input": "1.000000",
                "output": "2.000000",
                "cached_input": "",
                "cache_write": "",
            },
            {"output": "3"},
        ),
    }


@pytest.mark.parametrize(
    "kind",
    ["plans/tenant", "proxy/upstream", "proxy/route", "plans/virtualkey", "plans/modelprice"],
)
def test_every_form_is_guarded(ann: Client, bob: Client, rows: Any, kind: str) -> None:
    row, values, change = rows[kind]
    address = f"/admin/{kind}/{row.pk}/change/"
    first, second = opened(ann, address, values), opened(bob, address, values)
    assert ann.post(address, first | change).status_code == 302, "the first change"
    reply = bob.post(address, second | {"name": values.get("name", "") + "2"})
    assert reply.status_code == 200
    assert f"became {next(iter(change.values()))}" in shown(reply)
    unchanged = type(row).objects.get(pk=row.pk)
    field, value = next(iter(change.items()))
    assert value in str(getattr(unchanged, field))


def test_a_provider_key_that_somebody_replaced_is_not_replaced_unseen(
    ann: Client, bob: Client, rows: Any
) -> None:
    """No page shows the key, so only the fact can be told."""
    upstream, values, _ = rows["proxy/upstream"]
    address = f"/admin/proxy/upstream/{upstream.pk}/change/"
    first, second, third = (opened(who, address, values) for who in (ann, bob, bob))
    assert ann.post(address, first | {"provider_key": "sk-ann"}).status_code == 302

    reply = bob.post(address, second | {"provider_key": "sk-bob"})
    assert "Provider key: somebody replaced it." in shown(reply)
    upstream.refresh_from_db()
    assert encryption.decrypt(upstream.encrypted_key) == "sk-ann"

    assert bob.post(address, third | {"read_timeout": "60"}).status_code == 302, "keeps the key"
    upstream.refresh_from_db()
    assert (encryption.decrypt(upstream.encrypted_key), upstream.read_timeout) == ("sk-ann", 60)
    again = opened(bob, address, values | {"read_timeout": "60"}) | {"provider_key": "sk-bob"}
    assert bob.post(address, again).status_code == 302
    upstream.refresh_from_db()
    assert encryption.decrypt(upstream.encrypted_key) == "sk-bob"


def test_a_row_that_somebody_deleted_is_not_made_again(plan: Plan) -> None:
    stale = Plan.objects.get()
    plan.delete()
    form = PlanForm(PLAN | {"ttl": "60"}, instance=stale)
    assert "Somebody deleted this" in str(form.errors)
    with pytest.raises(VersionConflict):
        services.update_row(stale, read_version=compute_row_version(stale), columns=["ttl"])
    assert not Plan.objects.exists()


def test_a_price_saved_as_it_was_still_follows_the_list(ann: Client, rows: Any) -> None:
    price, values, _ = rows["plans/modelprice"]
    address = f"/admin/plans/modelprice/{price.pk}/change/"
    assert ann.post(address, opened(ann, address, values)).status_code == 302
    price.refresh_from_db()
    assert not price.edited
    assert ann.post(address, opened(ann, address, values) | {"output": "3"}).status_code == 302
    price.refresh_from_db()
    assert price.edited


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        ("proxy/upstream", "Base url"),
        ("proxy/route", "Model"),
        ("plans/virtualkey", "Routes"),
        ("plans/modelprice", "Output"),
    ],
)
def test_a_way_back_is_asked_about_again_when_the_row_changed(
    ann: Client, bob: Client, rows: Any, kind: str, label: str
) -> None:
    row, values, change = rows[kind]
    address = f"/admin/{kind}/{row.pk}/change/"
    field = next(iter(change))
    other = {"name": "other"} if "name" in values else {"input": "7"}
    assert ann.post(address, opened(ann, address, values) | other).status_code == 302
    note = list(get_row_history(row))[-1]
    back = f"/admin/{kind}/{row.pk}/history/{note.history_id}/revert/"
    asked = token(bob.get(back))
    assert ann.post(address, opened(ann, address, values | other) | change).status_code == 302

    reply = bob.post(back, {"_reason": "a slip", "opened_with": asked})
    assert reply.status_code == 409
    assert "ann changed " in shown(reply)
    assert f"{label}: " in shown(reply)
    assert label in {each.label for each in reply.context["changes"]}, "the table is a new one"
    row.refresh_from_db()
    assert change[field] in str(getattr(row, field))
    again = {"_reason": "a slip all the same", "opened_with": token(reply)}
    assert bob.post(back, again).status_code == 302
    row.refresh_from_db()
    assert change[field] not in str(getattr(row, field))


def test_a_plan_goes_back_over_what_was_seen_alone(
    ann: Client, bob: Client, plan: Plan, address: str
) -> None:
    ann.post(address, opened(ann, address, PLAN) | {"ttl": "60"})
    note = list(get_row_history(plan))[-1]
    back = f"/admin/plans/plan/{plan.pk}/history/{note.history_id}/revert/"
    asked = token(bob.get(back))
    ann.post(address, opened(ann, address, PLAN) | {"ttl": "60", "similarity_threshold": "0.9"})
    reply = bob.post(back, {"_reason": "hits", "opened_with": asked})
    assert reply.status_code == 409
    assert "Similarity threshold: 0.85 became 0.9." in shown(reply)
    for wrong in ("nonsense", asked[:-1]):
        refused = bob.post(back, {"_reason": "hits", "opened_with": wrong})
        assert "Open it again" in shown(refused)
    plan.refresh_from_db()
    assert (plan.ttl, plan.similarity_threshold) == (60, 0.9)
    assert bob.post(back, {"_reason": "hits", "opened_with": token(reply)}).status_code == 302
    plan.refresh_from_db()
    assert (plan.ttl, plan.similarity_threshold) == (3600, 0.85)


def shown_values(page: Any) -> dict[str, Any]:
    """What a browser would send of the form of this page, several values of one name included."""
    form = page.context["adminform"].form
    values = {
        bound.html_name: bound.value()
        for bound in form
        if bound.name != "password" and bound.value() not in (None, False)
    }
    inlines = page.context["inline_admin_formsets"]
    return values | {
        bound.html_name: bound.value()
        for inline in inlines
        for bound in inline.formset.management_form
    }


def test_a_right_that_was_taken_away_does_not_come_back_with_another_s_page(
    ann: Client, bob: Client
) -> None:
    boss, staff = Group.objects.create(name="boss"), Group.objects.create(name="staff")
    cleo = User.objects.create_user("cleo", password="x")
    cleo.groups.set([boss, staff])
    address = f"/admin/auth/user/{cleo.pk}/change/"
    first, second = shown_values(ann.get(address)), shown_values(bob.get(address))
    assert "password" not in signing.loads(
        second["opened_with"], salt=f"{SIGNING_SALT}:auth.User:{cleo.pk}"
    )
    assert ann.post(address, first | {"groups": [str(staff.pk)]}).status_code == 302

    reply = bob.post(address, second | {"first_name": "Cleo"})
    assert reply.status_code == 200
    assert "Groups: boss, staff became staff; it is in the form now." in shown(reply)
    assert list(cleo.groups.all()) == [staff]
    assert bob.post(address, shown_values(reply)).status_code == 302
    cleo.refresh_from_db()
    assert (cleo.first_name, list(cleo.groups.all())) == ("Cleo", [staff])


def test_nor_does_a_group_s(ann: Client, bob: Client) -> None:
    rights = list(Permission.objects.order_by("pk")[:3])
    group = Group.objects.create(name="staff")
    group.permissions.set(rights[:2])
    address = f"/admin/auth/group/{group.pk}/change/"
    first, second = shown_values(ann.get(address)), shown_values(bob.get(address))
    assert ann.post(address, first | {"permissions": []}).status_code == 302
    reply = bob.post(address, second | {"permissions": [str(each.pk) for each in rights]})
    assert "You changed it too: saving again puts yours in its place." in shown(reply)
    assert not group.permissions.exists()
