"""What is noted of a changed plan, price, key, upstream and route, how it reads,
and the way back."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client

from plans import records, services
from plans.models import ModelPrice, Plan, Tenant, VirtualKey
from proxy.models import Route, Upstream
from proxy.upstreams.services import put_route, put_upstream
from tests.plans.admin.test_plans import PLAN, UPSTREAM
from tests.support.management import PLANS, Manager

pytestmark = pytest.mark.django_db
WIDER = PLAN | {"similarity_threshold": "0.8"}


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def plan(staff: Client) -> Plan:
    assert staff.post("/admin/plans/plan/add/", PLAN).status_code == 302
    return Plan.objects.get()


def told(plan: Any) -> list[tuple[str, str, Any, str | None]]:
    """Every note, the oldest first: kind, who, version, why."""
    notes = records.get_row_history(plan).order_by("history_id")
    return [
        (note.history_type, note.actor, getattr(note, "version", None), note.history_change_reason)
        for note in notes
    ]


def page(client: Client, path: str, status: int = 200) -> str:
    reply = client.get(path)
    assert reply.status_code == status
    return re.sub(r"\s+", " ", reply.content.decode())


# What is noted


def test_every_road_is_noted_with_who_and_why_and_the_version_of_the_database(
    staff: Client, plan: Plan, platform: Manager
) -> None:
    change = f"/admin/plans/plan/{plan.pk}/change/"
    staff.post(change, PLAN | {"ttl": "60"})
    assert (
        platform.call(
            "PATCH", f"{PLANS}/faq", {"cache": {"ttl": 30}, "reason": "Prices move."}
        ).status_code
        == 200
    )
    row = Plan.objects.get()
    row.ttl = 20
    row.save()
    assert told(plan) == [
        ("+", "root", 1, None),
        ("~", "root", 2, None),
        ("~", "Admin key test", 3, "Prices move."),
        ("~", "", 4, None),
    ]
    assert records.get_row_history(plan)[0].history_user is None


def test_what_changes_nothing_is_not_noted(staff: Client, plan: Plan, platform: Manager) -> None:
    staff.post(f"/admin/plans/plan/{plan.pk}/change/", PLAN)
    platform.call("PATCH", f"{PLANS}/faq", {"cache": {"ttl": 3600}})
    assert len(told(plan)) == 1


def test_a_row_from_before_is_noted_as_it_was_first(platform: Manager) -> None:
    plan = services.create_plan(owner=None, body={"plan_name": "faq"})
    Plan.history.all().delete()
    platform.call("PATCH", f"{PLANS}/faq", {"cache": {"ttl": 30}})
    assert told(plan) == [("+", "", 1, records.INITIAL_REASON), ("~", "Admin key test", 2, None)]
    assert records.get_row_history(plan)[1].ttl == 3600


@pytest.mark.parametrize("reason", ["", " ", 7, None, "x" * 501, "a\0b", "two\nlines"])
def test_a_reason_is_a_line_of_text(platform: Manager, reason: Any) -> None:
    platform.create()
    reply = platform.call("PATCH", f"{PLANS}/plan", {"cache": {"ttl": 30}, "reason": reason})
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "reason"
    assert Plan.objects.get().ttl == 3600


def test_no_secret_is_ever_noted(staff: Client) -> None:
    staff.post("/admin/proxy/upstream/add/", UPSTREAM | {"provider_key": "sk-canary"})
    key, _ = services.issue_virtual_key(tenant=Tenant.objects.create(slug="acme"), name="sdk")
    services.revoke_key(key=key)
    for model, secret in ((Upstream, "encrypted_key"), (VirtualKey, "digest")):
        assert secret not in {field.name for field in model.history.model._meta.get_fields()}
    assert [kind for kind, *_ in told(key)] == ["+", "~"]
    assert [kind for kind, *_ in told(Upstream.objects.get())] == ["+"]


def test_a_price_is_noted_once_somebody_changed_it_and_when_it_follows_the_list_again(
    staff: Client,
) -> None:
    services.seed_prices()
    assert not ModelPrice.history.exists()
    row = ModelPrice.objects.get(provider="openai", model="gpt-4o-mini")
    body = {
        "provider": "openai",
        "model": "gpt-4o-mini",
        "input": "9",
        "output": "9",
        "cached_input": "",
        "cache_write": "",
    }
    staff.post(f"/admin/plans/modelprice/{row.pk}/change/", body)
    staff.post(
        "/admin/plans/modelprice/", {"action": "follow_published", "_selected_action": [row.pk]}
    )
    assert [(kind, who, why) for kind, who, _, why in told(row)] == [
        ("+", "", records.INITIAL_REASON),
        ("~", "root", None),
        ("~", "root", services.PUBLISHED_PRICES_REASON),
    ]
    shown = page(staff, f"/admin/plans/modelprice/{row.pk}/history/")
    assert "<del>0.15</del></td><td><ins>9</ins>" in shown


def test_a_price_edited_past_the_pages_is_remembered_before_it_follows_the_list(
    staff: Client,
) -> None:
    services.seed_prices()
    row = ModelPrice.objects.get(provider="openai", model="gpt-4o-mini")
    ModelPrice.objects.filter(pk=row.pk).update(input=9, edited=True)  # by SQL
    staff.post(
        "/admin/plans/modelprice/", {"action": "follow_published", "_selected_action": [row.pk]}
    )
    after, before = records.get_row_history(row)
    assert (before.input, before.history_change_reason) == (9, records.INITIAL_REASON)
    assert (after.input, after.history_change_reason) == (
        row.input,
        services.PUBLISHED_PRICES_REASON,
    )


@pytest.mark.parametrize("page_name", ["history", "revert", "change"])
def test_a_preset_in_the_address_is_for_the_form_alone(
    staff: Client, plan: Plan, page_name: str
) -> None:
    services.change_plan(owner=None, name="faq", body={"cache": {"ttl": 77}})
    address = {
        "history": f"/admin/plans/plan/{plan.pk}/history/",
        "revert": revert_path(plan),
        "change": f"/admin/plans/plan/{plan.pk}/change/",
    }[page_name]
    shown = staff.get(f"{address}?preset=aggressive")
    assert shown.context["original"].ttl == (86_400 if page_name == "change" else 77)
    if page_name == "revert":
        assert "<del>77</del>" in shown.content.decode()


def test_a_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    Tenant.objects.create(slug="acme")
    monkeypatch.setattr("sys.argv", ["manage.py", "create_key"])
    call_command("create_key", "--tenant", "acme")
    assert VirtualKey.history.get().actor == "manage.py create_key"


# How it reads


def test_the_history_says_who_when_why_and_what_in_the_words_of_the_form(
    staff: Client, plan: Plan
) -> None:
    staff.post(
        f"/admin/plans/plan/{plan.pk}/change/",
        WIDER | {"match": "cosine", "_reason": "Paraphrases <b>missed</b>"},
    )
    shown = page(staff, f"/admin/plans/plan/{plan.pk}/history/")
    assert "Paraphrases &lt;b&gt;missed&lt;/b&gt;" in shown
    assert "by root" in shown
    assert "version 2" in shown
    assert (
        '<th scope="row">Similarity threshold</th><td><del>0.85</del></td><td><ins>0.8</ins>'
        in shown
    )
    assert (
        "<del>The verifier&#x27;s score</del></td><td><ins>The cosine of the embeddings</ins>"
        in shown
    )
    assert shown.count("Revert to this") == 1


def test_what_was_done_besides_stands_in_the_history(staff: Client, plan: Plan) -> None:
    staff.post(
        "/admin/plans/plan/",
        {"action": "forget_answers", "_selected_action": [plan.pk], "sure": "yes"},
    )
    assert "All answers forgotten." in page(staff, f"/admin/plans/plan/{plan.pk}/history/")


# The way back


def revert_path(row: Any, number: int = -1) -> str:
    """Of the first note."""
    note = list(records.get_row_history(row))[number]
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/history/{note.history_id}/revert/"  # noqa: E501 -- no blank to break it at


def test_a_revert_asks_with_the_difference_and_makes_a_new_version(
    staff: Client, plan: Plan
) -> None:
    staff.post(
        f"/admin/plans/plan/{plan.pk}/change/",
        WIDER | {"_reason": "more hits", "compression_engine": ""},
    )
    path = revert_path(plan)
    shown = page(staff, path)
    assert (
        '<th scope="row">Similarity threshold</th><td><del>0.8</del></td><td><ins>0.85</ins>'
        in shown
    )
    assert "<del>None</del></td><td><ins>TextRank" in shown
    assert staff.post(path, {"_reason": ""}).status_code == 400
    assert Plan.objects.get().version == 2
    assert staff.post(path, {"_reason": "wrong answers"}).status_code == 302
    plan.refresh_from_db()
    assert (plan.similarity_threshold, plan.compression_engine, plan.version) == (
        0.85,
        "text_rank",
        3,
    )
    assert told(plan)[-1] == ("~", "root", 3, "Back to version 1: wrong answers")
    assert "Nothing differs" in page(staff, path)
    assert staff.post(path, {"_reason": "again"}).status_code == 400


def test_what_the_system_cannot_honour_any_more_is_refused_by_the_fields_name(
    staff: Client, plan: Plan, settings: Any
) -> None:
    Plan.history.filter(id=plan.pk).update(backend="redis_semantic")
    settings.REDIS_SEMANTIC_URL = "redis://127.0.0.1:1/0"
    path = revert_path(plan)
    shown = page(staff, path)
    assert "<strong>Questions in other words</strong>" in shown
    assert "does not answer" in shown
    assert staff.post(path, {"_reason": "try"}).status_code == 400
    assert Plan.objects.get().backend == "pgvector_semantic"


def test_upstreams_and_routes_and_keys_go_back_and_the_provider_key_stays(staff: Client) -> None:
    staff.post("/admin/proxy/upstream/add/", UPSTREAM | {"provider_key": "sk-canary"})
    upstream = Upstream.objects.get()
    sealed = bytes(upstream.encrypted_key)
    staff.post(
        f"/admin/proxy/upstream/{upstream.pk}/change/",
        UPSTREAM | {"read_timeout": "60", "provider_key": ""},
    )
    route = put_route(name="smart", upstream=upstream, model="gpt-4o-mini")
    put_route(
        name="smart",
        upstream=put_upstream(name="other", base_url="https://other.example/v1"),
        model="own",
    )
    key, _ = services.issue_virtual_key(tenant=Tenant.objects.create(slug="acme"), name="sdk")
    staff.post(
        f"/admin/plans/virtualkey/{key.pk}/change/",
        {"name": "renamed", "routes": "smart", "expires_at_0": "", "expires_at_1": ""},
    )
    for row in (upstream, route, key):
        assert staff.post(revert_path(row), {"_reason": "a slip"}).status_code == 302
        row.refresh_from_db()
    assert (upstream.read_timeout, bytes(upstream.encrypted_key)) == (120, sealed)
    assert (Route.objects.get().model, route.upstream_id) == ("gpt-4o-mini", upstream.pk)
    assert (key.name, key.routes) == ("sdk", [])


def test_only_who_may_change_a_plan_reverts_it(plan: Plan) -> None:
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_plan"))
    client = Client()
    client.force_login(viewer)
    services.change_plan(owner=None, name="faq", body={"cache": {"ttl": 1}})
    assert "Revert to this" not in page(client, f"/admin/plans/plan/{plan.pk}/history/")
    assert client.get(revert_path(plan)).status_code == 403
    assert client.post(revert_path(plan), {"_reason": "x"}).status_code == 403


def test_a_note_of_another_row_is_not_found(staff: Client, plan: Plan) -> None:
    other = services.create_plan(owner=None, body={"plan_name": "other"})
    wrong = revert_path(other).replace(f"/{other.pk}/", f"/{plan.pk}/", 1)
    assert staff.get(wrong).status_code == 404


# Asked first


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"similarity_threshold": "0.8"}, "A lower threshold"),
        ({"match": "cosine"}, "The verifier is off"),
        ({"context": "last_message"}, "Less of the earlier chat"),
        ({"ttl": "7200"}, "Answers live longer"),
        ({"time_sensitive": "on"}, "old news"),
        ({"max_input_tokens": "1024"}, "More of long chats is left out"),
    ],
)
def test_a_change_that_could_serve_other_answers_asks_why(
    staff: Client, plan: Plan, fields: dict[str, str], says: str
) -> None:
    change = f"/admin/plans/plan/{plan.pk}/change/"
    reply = staff.post(change, PLAN | fields)
    shown = re.sub(r"\s+", " ", reply.content.decode())
    assert reply.status_code == 200
    assert says in shown
    assert Plan.objects.get().version == 1
    kept = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', shown))
    kept.pop("csrfmiddlewaretoken", None)
    assert kept == PLAN | fields
    assert "This field is required" in staff.post(change, kept | {"_reason": " "}).content.decode()
    assert staff.post(change, kept | {"_reason": "I looked at samples"}).status_code == 302
    assert told(plan)[-1] == ("~", "root", 2, "I looked at samples")


@pytest.mark.parametrize(
    "fields",
    [
        {"similarity_threshold": "0.9"},
        {"ttl": "60"},
        {"mode": "shadow", "similarity_threshold": "0.5"},
        {"scope": "key"},
        {"name": "new"},
    ],
)
def test_a_harmless_change_does_not_ask(staff: Client, plan: Plan, fields: dict[str, str]) -> None:
    assert staff.post(f"/admin/plans/plan/{plan.pk}/change/", PLAN | fields).status_code == 302
    assert Plan.objects.get().version == 2


def test_a_wrong_field_is_said_before_anything_is_asked(staff: Client, plan: Plan) -> None:
    reply = staff.post(f"/admin/plans/plan/{plan.pk}/change/", WIDER | {"ttl": "0"})
    assert "ttl" in reply.context["adminform"].form.errors
