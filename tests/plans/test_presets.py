"""Presets: what they say and set, and what they do without what is not there;
clones, client snippets, the threshold's panel."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from plans import capabilities, presets, services
from plans.capabilities import EngineOption
from plans.client_snippets import KEY_VARIABLE
from plans.models import Plan, Tenant
from plans.strictness import get_operating_points
from proxy.upstreams.services import put_route, put_upstream
from stats.models.rollups import Rollup
from tests.plans.admin.test_plans import PLAN
from tests.support.management import PLANS, Manager, refused

pytestmark = pytest.mark.django_db
ADD = "/admin/plans/plan/add/"
DOCS = Path(__file__).parents[2]


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


class Without:
    """The running system, but for what a test takes away."""

    def __init__(
        self,
        *,
        backends: tuple[str, ...] = ("pgvector_semantic",),
        verifier: bool = True,
        compresses: bool = True,
    ) -> None:
        self.real = capabilities.get_capabilities()
        self.backends, self.verifier, self.compresses = backends, verifier, compresses

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def list_cache_engines(self) -> list[EngineOption]:
        return [
            replace(each, available=each.name in self.backends, reason="It is away.")
            for each in self.real.list_cache_engines()
        ]

    def find_verifier_problem(self) -> str | None:
        return None if self.verifier else "It is not prepared."

    def list_compression_engines(self) -> list[Any]:
        return [
            each
            for each in self.real.list_compression_engines()
            if self.compresses or each.name != "text_rank"
        ]


def page(client: Client, path: str) -> str:
    reply = client.get(path)
    assert reply.status_code == 200
    return re.sub(r"\s+", " ", reply.content.decode())


# What they say and set


def test_the_figures_are_those_of_the_documents() -> None:
    verifier, context = (
        (DOCS / "docs" / name).read_text("utf-8") for name in ("verifier.md", "context.md")
    )
    rules = [
        f"{100 * float(found[1]):.1f} %"
        for found in (
            re.search(rf"\| {name}, wrong / recall \| \S+ \| \S+ / \S+ \| (\S+) / ", verifier)
            for name in ("questions", "Quora")
        )
        if found
    ]
    assert len(rules) == 2
    balanced, aggressive = presets.PRESETS["balanced"], presets.PRESETS["aggressive"]
    for preset, threshold in ((balanced, 0.85), (aggressive, 0.80)):
        (point,) = [
            each for each in get_operating_points().all_points if each.threshold == threshold
        ]
        for name in ("questions", "Quora"):
            assert f"{100 * point.sets[name].wrong_share:.1f} %" in preset.measured
    assert (balanced.cache["similarity_threshold"], aggressive.cache["similarity_threshold"]) == (
        0.85,
        0.80,
    )
    assert "no wrong answer among 401" in context
    assert "none of 401" in balanced.measured
    assert "| locomo | .887 / .828 |" in (DOCS / "benchmarks" / "MEASUREMENTS.md").read_text(
        "utf-8"
    )
    notes = presets.fit_preset(balanced, capabilities=Without(verifier=False)).notes[0]
    assert all(figure in notes for figure in rules)


@pytest.mark.parametrize("name", sorted(presets.PRESETS))
def test_a_preset_is_made_over_the_api_and_in_the_form_alike(
    staff: Client, platform: Manager, name: str
) -> None:
    made = platform.create(preset=name)
    form = staff.get(f"{ADD}?preset={name}").context["adminform"].form
    plan = Plan.objects.get()
    for field in (
        "compression_engine",
        "max_input_tokens",
        "when",
        "backend",
        "similarity_threshold",
        "match",
        "max_error_rate",
        "ttl",
    ):
        if made["compression"] or field not in {"max_input_tokens", "when"}:
            assert form[field].value() == getattr(plan, field), field
    assert (made["cache"]["backend"] is None) == (name == "safe")
    assert (made["compression"] is None) == (name == "safe")


def test_what_a_body_says_itself_wins_over_the_preset(platform: Manager) -> None:
    made = platform.create(preset="aggressive", cache={"ttl": 5}, compression=None)
    assert (made["cache"]["ttl"], made["cache"]["similarity_threshold"], made["compression"]) == (
        5,
        0.8,
        None,
    )
    safe = platform.create(plan_name="safe", preset="safe", compression={"max_input_tokens": 500})
    assert (safe["compression"]["max_input_tokens"], safe["cache"]["backend"]) == (500, None)


@pytest.mark.parametrize("name", ["bold", "", 1, None, ["safe"]])
def test_another_preset_is_refused_with_the_names(platform: Manager, name: Any) -> None:
    reply = platform.call("POST", PLANS, {"plan_name": "x", "preset": name})
    assert "safe, balanced, aggressive" in refused(reply, 400, param="preset")


def test_presets_promise_only_what_runs() -> None:
    wanted = presets.PRESETS["aggressive"]

    def fitted(**without: Any) -> presets.FittedPreset:
        return presets.fit_preset(wanted, capabilities=Without(**without))

    assert not fitted().notes
    alone = fitted(backends=())
    assert (alone.cache["backend"], alone.cache["max_error_rate"]) == (None, None)
    assert "Identical requests only" in alone.notes[0]
    other = fitted(backends=("redis_semantic",))
    assert other.cache["backend"] == "redis_semantic"
    assert "It is away." in other.notes[0]
    unchecked = fitted(verifier=False)
    assert (unchecked.cache["match"], unchecked.cache["similarity_threshold"]) == ("cosine", 0.85)
    cut = fitted(compresses=False)
    assert cut.compression
    assert cut.compression["engine"] != "text_rank"
    assert "TextRank does not run" in cut.notes[0]


def test_a_preset_on_a_saved_plan_is_a_draft_with_its_difference(staff: Client) -> None:
    plan = services.create_plan(owner=None, body={"plan_name": "faq"})
    shown = page(staff, f"/admin/plans/plan/{plan.pk}/change/?preset=aggressive")
    assert "not saved yet" in shown
    assert (
        '<th scope="row">Similarity threshold</th><td><del>0.85</del></td><td><ins>0.8</ins>'
        in shown
    )
    assert 'name="similarity_threshold" value="0.8"' in shown
    assert Plan.objects.get().similarity_threshold == 0.85
    assert "not saved yet" not in page(
        staff, f"/admin/plans/plan/{plan.pk}/change/?preset=unheard-of"
    )


# Clones


def test_a_clone_is_a_form_and_nothing_is_saved(staff: Client) -> None:
    acme = Tenant.objects.create(slug="acme")
    plan = services.create_plan(owner=acme, body={"plan_name": "faq", "cache": {"ttl": 77}})
    services.create_plan(owner=acme, body={"plan_name": "faq-copy"})
    reply = staff.post("/admin/plans/plan/", {"action": "clone", "_selected_action": [plan.pk]})
    assert reply["Location"] == f"{ADD}?clone={plan.pk}"
    form = staff.get(reply["Location"]).context["adminform"].form
    assert [form[name].value() for name in ("name", "tenant", "ttl", "compression_engine")] == [
        "faq-copy-2",
        acme.pk,
        77,
        None,
    ]
    assert Plan.objects.count() == 2
    assert f"?clone={plan.pk}" in page(staff, f"/admin/plans/plan/{plan.pk}/change/")


def test_a_long_name_leaves_room_for_its_ending(staff: Client) -> None:
    plan = services.create_plan(owner=None, body={"plan_name": "x" * 64})
    form = staff.get(f"{ADD}?clone={plan.pk}").context["adminform"].form
    assert form["name"].value() == "x" * 59 + "-copy"


@pytest.mark.parametrize("number", ["0", "-1", "x", "9" * 30, "٣"])
def test_a_clone_of_nothing_is_an_empty_form(staff: Client, number: str) -> None:
    assert "name" not in staff.get(ADD, {"clone": number}).context["adminform"].form.initial


# Snippets, previews of drafts, the threshold


def test_the_snippets_name_plan_route_and_address_and_no_secret(staff: Client) -> None:
    put_route(
        name="smart/balanced",
        upstream=put_upstream(name="openai", base_url="https://api.openai.com/v1"),
        model="gpt-4o-mini",
    )
    acme = Tenant.objects.create(slug="acme")
    plan = services.create_plan(owner=acme, body={"plan_name": "faq"})
    shown = staff.get(f"/admin/plans/plan/{plan.pk}/change/").content.decode()
    made = staff.post(
        "/admin/plans/virtualkey/add/", {"name": "sdk", "tenant": acme.pk, "routes": ""}
    ).content.decode()
    secret = re.search(r"tt-[A-Za-z0-9_-]{43}", made)
    assert secret
    assert made.count(secret[0]) == 1
    for text in (shown, made):
        snippets = re.findall(r'<pre id="snippet-\w+" tabindex="0">(.*?)</pre>', text, re.DOTALL)
        assert len(snippets) == 3
        for snippet in snippets:
            assert "http://testserver/v1" in snippet
            assert "smart/balanced" in snippet
            assert "faq" in snippet
            assert KEY_VARIABLE in snippet


def test_a_draft_of_the_form_is_previewed_without_being_saved(staff: Client) -> None:
    plan = services.create_plan(owner=None, body={"plan_name": "faq"})
    path = f"/admin/plans/plan/{plan.pk}/preview/"
    assert f'formaction="{path}"' in page(staff, f"/admin/plans/plan/{plan.pk}/change/")
    form = staff.post(
        path, PLAN | {"max_input_tokens": "777", "compression_engine": "lsa", "_draft": "preview"}
    ).context["form"]
    assert not form.is_bound
    assert (form["max_input_tokens"].value(), form["engine"].value()) == (777, "lsa")
    assert (
        staff.post(path, PLAN | {"max_input_tokens": "many"})
        .context["form"]["max_input_tokens"]
        .value()
        == 4096
    )
    assert Plan.objects.get().max_input_tokens == 4096


def test_without_traffic_the_threshold_shows_public_figures_and_says_so(staff: Client) -> None:
    plan = services.create_plan(owner=None, body={"plan_name": "faq"})
    shown = page(staff, f"/admin/plans/plan/{plan.pk}/change/?preset=aggressive")
    assert "too few requests of its own" in shown
    assert "Saved: 0.85" in shown
    assert "<span data-drafted>0.8</span>" in shown
    assert shown.count("data-at=") == 5
    counts = get_operating_points().points["strict"].sets["questions"]
    assert f"{counts.right + counts.traps:,} pairs of everyday questions" in shown


# The list


def test_the_list_says_what_plans_do_and_what_they_saved_by_one_query(staff: Client) -> None:
    plans = [
        services.create_plan(owner=None, body={"plan_name": name, "preset": name})
        for name in presets.PRESETS
    ]
    services.create_plan(owner=None, body={"plan_name": "off", "mode": "off"})
    services.create_plan(
        owner=None,
        body={"plan_name": "watch", "mode": "shadow", "compression": None, "cache": {"ttl": 90}},
    )
    now = datetime.now(UTC)
    for days, saved in ((1, "1.5"), (3, "2.25"), (40, "100")):
        rollup(plans[0], now - timedelta(days=days), Decimal(saved))
    with CaptureQueriesContext(connection) as seen:
        shown = page(staff, "/admin/plans/plan/")
    # Two counts, the page, a filter.
    assert sum("plans_plan" in query["sql"] for query in seen) == 4
    assert sum("stats_rollup" in query["sql"] for query in seen) == 1
    assert "$3.75" in shown
    assert "Answers identical requests again, for 1 hour<" in shown
    assert "also questions in other words from 0.8 on, for 1 day<" in shown
    assert (
        "Only watches: answers identical requests again, also questions in other words from "
        "0.85 on, for 90 seconds<"
    ) in shown
    assert "Passes everything through" in shown


def rollup(plan: Plan, at: datetime, saved: Decimal) -> None:
    """A day on which the plan saved so much."""
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    row = {
        "tenant_id": 1,
        "plan_id": plan.pk,
        "key_id": 0,
        "route": "",
        "model": "",
        "kind": "counted",
        "tier": "exact",
    }
    counts = {"requests": 1, "priced": 1, "would_cost": saved, "first_at": at, "last_at": at}
    Rollup.objects.create(grain="day", cut="plan", at=day, **row, **counts)
