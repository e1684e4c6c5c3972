"""`manage.py recalibrate`: what it prints, what it changes, what it refuses."""

import io
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from plans.models import Plan, Tenant
from proxy.core.quality.cohort import derive_cohort
from proxy.runtime.semantic_indexes import find_scorer_id
from stats.models.recalibration import Recalibration
from tests.stats.quality.test_recalibration import sample, store_right
from tests.support.events import make_event
from tests.support.recorded import store


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("recalibrate", *arguments, stdout=out)
    return out.getvalue()


def run_json(*arguments: str) -> dict[str, Any]:
    (found,) = json.loads(run("--output", "json", *arguments))
    assert isinstance(found, dict)
    return found


@pytest.fixture
def desk(acme: Tenant) -> Plan:
    return Plan.objects.create(tenant=acme, name="desk", max_error_rate=0.01)


@pytest.fixture
def own_basis(desk: Plan) -> str:
    """The cohort as a worker of this configuration names it."""
    cache = desk.build_snapshot().cache
    assert cache is not None
    return derive_cohort(cache, find_scorer_id())


def test_it_finds_the_pairs_of_the_configured_scorer(desk: Plan, own_basis: str) -> None:
    store_right(desk, basis=own_basis)
    store(*(sample(desk, 0.9, "wrong") for _ in range(9)))  # of another scorer
    found = run_json()
    assert (found["plan"], found["tenant"], found["state"]) == ("desk", "acme", "shadow")
    assert (found["right"], found["wrong"], found["target"]) == (580, 0, 0.01)


def test_it_shows_both_thresholds_over_the_same_rows(desk: Plan, own_basis: str) -> None:
    store_right(desk, basis=own_basis)
    ask = {"plan_id": desk.pk, "tenant_id": desk.tenant_id, "key_id": 1}
    store(*(make_event(**ask, tier="semantic", score=0.9) for _ in range(2)))
    store(make_event(**ask, score=0.83), make_event(**ask, score=0.5))
    found = run_json()
    assert (found["now"]["threshold"], found["proposed"]["threshold"]) == (0.85, 0.81)
    assert (found["now"]["hit_rate"], found["proposed"]["hit_rate"]) == (0.5, 0.75)
    assert (found["now"]["pairs"], found["proposed"]["pairs"]) == (460, 580)
    assert found["proposed"]["wrong_rate"] == 0
    assert 0 < found["proposed"]["upper"] < found["now"]["upper"] < 0.01
    head, row, note = run().splitlines()
    assert head.split() == [
        *("Plan", "Pairs", "Right/wrong/unclear", "Now", "Proposed", "Hit", "rate", "proposed"),
        *("Wrong", "proposed", "State"),
    ]
    assert row.startswith("desk (acme)  580    580/0/0              0.85  0.81 ")
    assert row.endswith("shadow")
    assert note.strip() == "0 of 100 new pairs"


def test_a_dry_run_saves_nothing(desk: Plan, own_basis: str) -> None:
    store_right(desk, basis=own_basis)
    assert run_json("--dry-run")["state"] == "shadow"
    assert not Recalibration.objects.exists()


def test_nothing_is_applied_while_it_is_in_shadow(desk: Plan, own_basis: str) -> None:
    store_right(desk, basis=own_basis)
    assert run_json("--apply")["note"] == "0.81 is still in shadow: 0 of 100 new pairs"
    with pytest.raises(CommandError, match="--apply: nothing was applied"):
        run("--apply", "--plan", "desk")
    assert Plan.objects.get().version == 1


def test_what_held_is_applied_and_reverted(
    desk: Plan, own_basis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["manage.py", "recalibrate"])
    store_right(desk, basis=own_basis)
    run()
    Recalibration.objects.update(proposed_at=datetime.now(UTC) - timedelta(hours=1))
    store_right(desk, above=60, below=20, at=time.time(), basis=own_basis)
    assert "would set 0.81" in run("--apply", "--dry-run")
    assert Plan.objects.get().threshold == 0.85
    assert run_json("--apply")["done"] == "applied 0.81"
    plan = Plan.objects.get()
    assert (plan.threshold, plan.version) == (0.81, 2)
    assert plan.history.first().actor == "manage.py recalibrate"
    assert run("--revert", "--plan", "desk", "--dry-run") == "desk: would give back 0.85.\n"
    assert run("--revert", "--plan", "desk") == "desk: the threshold is 0.85 again.\n"
    with pytest.raises(CommandError, match="plan desk: no proposal was applied to it"):
        run("--revert", "--plan", "desk")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--plan", "disk"), "--plan: no plan with a semantic tier is named 'disk'. Plans: desk."),
        (("--tenant", "acne"), "--tenant: there is no tenant 'acne'. Tenants: acme."),
        (("--days", "0"), "argument --days: a whole number from 1 to 90, not '0'"),
        (("--days", "a month"), "argument --days: a whole number from 1 to 90, not 'a month'"),
        (("--output", "xml"), "argument --output: invalid choice: 'xml'"),
        (("--revert",), "--revert: name one plan with --plan"),
        (("--apply", "--revert"), "argument --revert: not allowed with argument --apply"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(
    desk: Plan, arguments: tuple[str, ...], says: str
) -> None:
    with pytest.raises(CommandError) as refused:
        run(*arguments)
    assert says in str(refused.value)


def test_plans_are_chosen_by_name_and_tenant(desk: Plan, rival: Tenant) -> None:
    Plan.objects.create(name="desk")
    Plan.objects.create(tenant=rival, name="other")
    Plan.objects.create(name="exact only", backend=None)

    def list_plans(*arguments: str) -> list[tuple[str, str | None]]:
        return [
            (each["plan"], each["tenant"])
            for each in json.loads(run("--output", "json", "--dry-run", *arguments))
        ]

    assert list_plans() == [("desk", "acme"), ("desk", None), ("other", "rival")]
    assert list_plans("--plan", "desk") == [("desk", "acme"), ("desk", None)]
    assert list_plans("--plan", "desk", "--tenant", "acme") == [("desk", "acme")]
    with pytest.raises(CommandError, match="with --tenant if several have the name"):
        run("--revert", "--plan", "desk")


def test_without_plans_it_says_so(db: None) -> None:
    assert run() == "No plan has a semantic tier.\n"
