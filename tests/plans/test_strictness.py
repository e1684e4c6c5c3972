"""A threshold by its name: the same over API, form and files, in force for requests, with its
figures, and told where it may be a mistake."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from plans.change_risks import list_change_risks
from plans.import_export.formats import rows_to_csv
from plans.import_export.resources import PlanResource
from plans.models import Plan, Tenant
from plans.plan_warnings import describe_wide_rates, list_plan_warnings
from plans.snapshot import CacheSettings, PlanSnapshot
from plans.strictness import (
    QUESTION_SET_TITLES,
    STRICTNESS_NAMES,
    WRITTEN_TRAPS_SET,
    get_operating_points,
)
from plans.validation import PlanDraft
from proxy.engines.verifiers.weights import (
    USUAL_SCORE,
    verifier_id,
)
from proxy.runtime.config_loader import load_config_snapshot
from stats.formatting import percent
from tests.plans.admin.test_plans import PLAN, problems
from tests.support.management import ONE, PLANS, Manager, refused

ADD = "/admin/plans/plan/add/"
POINTS = get_operating_points().points
WIDE = POINTS["wide"]


def in_force() -> float:
    """What a worker reads."""
    [plan] = load_config_snapshot().plans.values()
    assert plan.cache is not None
    return plan.cache.threshold


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def text(client: Client, path: str) -> str:
    return re.sub(r"\s+", " ", client.get(path, follow=True).content.decode())


# The committed points


def test_the_points_were_measured_with_the_committed_weights() -> None:
    assert get_operating_points().verifier == verifier_id()


def test_a_wider_name_serves_more_of_everything_and_strict_is_the_usual_threshold() -> None:
    assert tuple(POINTS) == STRICTNESS_NAMES
    thresholds = [point.threshold for point in POINTS.values()]
    assert thresholds == sorted(thresholds, reverse=True)
    assert (
        thresholds[0]
        == USUAL_SCORE
        == CacheSettings.__dataclass_fields__["similarity_threshold"].default
    )
    for name in (*QUESTION_SET_TITLES, WRITTEN_TRAPS_SET):
        counts = [point.sets[name] for point in POINTS.values()]
        assert len({(each.right, each.traps) for each in counts}) == 1
        assert [each.right_served for each in counts] == sorted(
            each.right_served for each in counts
        )
        assert [each.traps_served for each in counts] == sorted(
            each.traps_served for each in counts
        )
        assert all(0 <= each.recall <= 1 and each.traps_served <= each.traps for each in counts)


def test_the_names_serve_as_many_near_traps_as_they_promise() -> None:
    """Of the written groups that judge; the shares that were chosen are of those that teach."""
    most = {"strict": 0.01, "balanced": 0.035, "wide": 0.06}
    for name, point in POINTS.items():
        assert point.written_trap_share <= most[name], name
        assert point.sets["fow-cache"].trap_share <= most[name], name
    assert POINTS["strict"].sets["questions"].wrong_share <= 0.01
    assert POINTS["balanced"].sets["fow-cache"].recall >= 0.62
    assert WIDE.sets["fow-cache"].recall >= 0.70


# Over the API


@pytest.mark.django_db
@pytest.mark.parametrize("name", STRICTNESS_NAMES)
def test_the_api_takes_gives_and_changes_it(platform: Manager, name: str) -> None:
    made = platform.create(cache={"strictness": name, "max_error_rate": 0.05})
    assert (made["cache"]["strictness"], made["cache"]["similarity_threshold"]) == (name, 0.85)
    assert in_force() == POINTS[made["cache"]["strictness"]].threshold
    body = {"cache": {"strictness": None, "similarity_threshold": 0.9}}
    changed = json.loads(platform.call("PATCH", ONE, body).content)
    assert changed["cache"]["strictness"] is None
    assert in_force() == 0.9


@pytest.mark.django_db
def test_a_new_plan_has_none_and_the_number_decides(platform: Manager) -> None:
    made = platform.create(cache={"similarity_threshold": 0.8})
    assert made["cache"]["strictness"] is None
    assert in_force() == 0.8


@pytest.mark.django_db
@pytest.mark.parametrize("value", ["loose", "Strict", "", 1, True, ["wide"], 0.85])
def test_another_name_is_refused_with_those_there_are(platform: Manager, value: object) -> None:
    reply = platform.call("POST", PLANS, {"plan_name": "faq", "cache": {"strictness": value}})
    said = refused(reply, 400, param="cache.strictness")
    assert "Must be one of: strict, balanced, wide. null is accepted too" in said
    assert not Plan.objects.exists()


@pytest.mark.django_db
def test_a_name_under_the_cosine_is_refused_whichever_came_last(platform: Manager) -> None:
    cosine = {"match": "cosine", "strictness": "strict"}
    reply = platform.call("POST", PLANS, {"plan_name": "faq", "cache": cosine})
    assert "needs match verified" in refused(reply, 400, param="cache.strictness")
    platform.create(cache={"strictness": "strict"})
    reply = platform.call("PATCH", ONE, {"cache": {"match": "cosine"}})
    assert "strict is a score of the verifier" in refused(reply, 400, param="cache.strictness")
    body = {"cache": {"match": "cosine", "strictness": None}}
    assert platform.call("PATCH", ONE, body).status_code == 200
    assert in_force() == 0.85


# What may be a mistake


@pytest.mark.django_db
def test_wide_without_a_budget_is_told_with_the_measured_rate_until_there_is_one(
    platform: Manager,
) -> None:
    made = platform.create(cache={"strictness": "wide"})
    [told] = made["notes"]
    assert "cache.strictness wide without an error budget" in told
    assert f"{WIDE.sets['Quora'].wrong_share:.1%}" in told
    assert f"{WIDE.sets['questions'].wrong_share:.1%}" in told
    assert "cache.max_error_rate" in told
    assert json.loads(platform.call("GET", ONE).content)["notes"] == [told]
    [listed] = json.loads(platform.call("GET", PLANS).content)["data"]
    assert listed["notes"] == [told]
    reply = platform.call("PATCH", ONE, {"cache": {"max_error_rate": 0.05}})
    assert "notes" not in json.loads(reply.content)


@pytest.mark.django_db
def test_a_number_that_a_name_replaces_is_told_beside_what_a_preset_could_not(
    platform: Manager,
) -> None:
    made = platform.create(preset="aggressive", cache={"strictness": "balanced"})
    number = POINTS["balanced"].threshold
    assert made["notes"][-1].startswith(
        f"cache.similarity_threshold 0.8 does nothing while cache.strictness is balanced, "
        f"which is {number:g}."
    )


@pytest.mark.parametrize(
    "harmless",
    [
        {"mode": "off"},
        {"cache": None},
        {"cache": CacheSettings(strictness="wide", backend=None)},
        {"cache": CacheSettings(strictness="wide", max_error_rate=0.05)},
        {"cache": CacheSettings(strictness="balanced")},
        {"cache": CacheSettings(similarity_threshold=0.5)},
    ],
)
def test_nothing_is_told_where_it_could_not_go_wrong_unseen(harmless: dict[str, Any]) -> None:
    risky = PlanSnapshot(id=1, name="a", version=1, cache=CacheSettings(strictness="wide"))
    assert len(list_plan_warnings(risky)) == 1
    assert list_plan_warnings(replace(risky, **harmless)) == []


def test_a_change_to_a_lower_threshold_is_asked_about_by_either_name_or_number() -> None:
    def ask(**fields: Any) -> PlanDraft:
        return PlanDraft(name="a", mode="active", compression=None, cache=CacheSettings(**fields))

    numbers, balanced, wide = ask(), ask(strictness="balanced"), ask(strictness="wide")
    for before, after in (
        (numbers, wide),
        (balanced, wide),
        (balanced, ask(similarity_threshold=0.6)),
    ):
        assert any("lower threshold" in risk for risk in list_change_risks(before, after))
    for before, after in ((wide, balanced), (wide, numbers), (numbers, ask(strictness="strict"))):
        assert list_change_risks(before, after) == []


# In the admin


def test_the_form_shows_each_name_with_its_figures(staff: Client) -> None:
    shown = text(staff, ADD)
    for point in POINTS.values():
        fow = point.sets["fow-cache"]
        told = f"finds {fow.recall:.0%} of hard rewordings, {fow.wrong_share:.1%} of what it serves"
        assert f"{point.name.capitalize()}: {told} is wrong" in shown
    assert "What was measured at each name" in shown
    assert all(title in shown for title in QUESTION_SET_TITLES.values())
    for point in POINTS.values():
        for counts in point.question_sets.values():
            shares = (counts.recall, counts.wrong_share, counts.trap_share)
            cells = "</td><td>".join(map(percent, shares)).replace("\N{NO-BREAK SPACE}", " ")
            assert f"<td>{cells}</td>" in shown


def test_the_form_saves_it_and_says_what_wide_without_a_budget_costs(staff: Client) -> None:
    reply = staff.post(ADD, PLAN | {"strictness": "wide"}, follow=True)
    assert describe_wide_rates() in reply.content.decode()
    assert in_force() == WIDE.threshold
    page = f"/admin/plans/plan/{Plan.objects.get().pk}/change/"
    assert describe_wide_rates() in text(staff, page)
    assert f"from {WIDE.threshold:g} on, wide" in text(staff, "/admin/plans/plan/")
    assert f"Saved: {WIDE.threshold:g}" in text(staff, page)
    reply = staff.post(page, PLAN | {"strictness": "", "max_error_rate": "0.05"}, follow=True)
    assert describe_wide_rates() not in reply.content.decode()
    assert in_force() == 0.85


def test_the_form_refuses_what_the_api_refuses(staff: Client) -> None:
    reply = staff.post(ADD, PLAN | {"match": "cosine", "strictness": "wide"})
    assert "needs match verified" in str(problems(reply)["strictness"])
    reply = staff.post(ADD, PLAN | {"strictness": "loose"})
    assert "strictness" in problems(reply)
    assert not Plan.objects.exists()


def test_the_dashboard_tells_it_to_those_who_may_change_the_plan(
    staff: Client, acme: Tenant
) -> None:
    Plan.objects.create(name="watched", strictness="wide", max_error_rate=0.05)
    assert "without an error budget" not in text(staff, "/dashboard/")
    Plan.objects.create(name="unwatched", strictness="wide", tenant=acme)
    shown = text(staff, "/dashboard/")
    assert "unwatched</a>: cache.strictness wide without an error budget" in shown
    assert describe_wide_rates() in shown


# In files


@pytest.mark.django_db
def test_a_file_carries_the_name_there_and_back_and_no_notes(platform: Manager) -> None:
    platform.create(cache={"strictness": "wide"})
    resource = PlanResource()
    [row] = resource.export_rows(Plan.objects.all())
    assert "notes" not in row
    assert row["cache"]["strictness"] == "wide"
    cells = resource.flatten_row(row)
    assert rows_to_csv(resource.columns, [cells])
    back = resource.unflatten_row({name: str(value or "") for name, value in cells.items()})
    assert back["cache"]["strictness"] == "wide"
    none = resource.unflatten_row({"cache": "on", "cache.strictness": ""})
    assert none["cache"] == {"strictness": None}
    [checked] = resource.check_rows([row], tenant=None)
    assert checked.is_unchanged
