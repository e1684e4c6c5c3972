"""Which plan applies: what the request says, then the defaults of key, tenant and route."""

from dataclasses import replace

import pytest

from plans.snapshot import KeySnapshot, PlanSnapshot
from proxy.core.config import ConfigSnapshot
from proxy.core.plan_resolution import ResolvedPlan, resolve_plan

OURS = PlanSnapshot(id=1, name="ours", version=1, tenant_id=7)
SHARED = PlanSnapshot(id=2, name="shared", version=1)
OFF = PlanSnapshot(id=3, name="off", version=1, mode="off")
THEIRS = PlanSnapshot(id=4, name="theirs", version=1, tenant_id=8)
DIRECTORY = ConfigSnapshot(
    plans={(plan.tenant_id, plan.name): plan for plan in (OURS, SHARED, OFF, THEIRS)}
)
KEY = KeySnapshot(id=1, name="k", digest="d", tenant_id=7, tenant="acme")


def resolve(
    *, asked: str | None = None, key: int | None = None, tenant: int | None = None, route: int = 0
) -> ResolvedPlan:
    caller = replace(KEY, default_plan_id=key, tenant_plan_id=tenant)
    return resolve_plan(DIRECTORY, caller, asked=asked, route_plan_id=route or None)


def test_the_request_comes_first_then_key_tenant_and_route() -> None:
    assert resolve(asked="ours", key=2, tenant=2, route=2) == ResolvedPlan(OURS, "", "request")
    assert resolve(key=1, tenant=2, route=2) == ResolvedPlan(OURS, "", "key")
    assert resolve(tenant=1, route=2) == ResolvedPlan(OURS, "", "tenant")
    assert resolve(route=2) == ResolvedPlan(SHARED, "", "route")
    assert resolve() == ResolvedPlan(None, "no-plan", None)


@pytest.mark.parametrize("asked", ["none", "None", "NONE", ""])
def test_a_request_can_go_without_any_default(asked: str) -> None:
    found = resolve(asked=asked, key=1, tenant=2, route=2)
    assert found == ResolvedPlan(None, "opted-out", "request")


@pytest.mark.parametrize("asked", ["nobody", "theirs", "Ours", " ours"])
def test_a_wrong_name_does_not_fall_back_to_a_default(asked: str) -> None:
    assert resolve(asked=asked, key=1).reason == "unknown-plan"


def test_a_default_that_is_off_ends_the_search() -> None:
    assert resolve(key=3, tenant=1) == ResolvedPlan(OFF, "plan-off", "key")


@pytest.mark.parametrize("gone", [4, 99])
def test_another_tenants_plan_and_a_deleted_one_are_nobodys_default(gone: int) -> None:
    assert resolve(key=gone, tenant=gone, route=gone) == ResolvedPlan()
    assert resolve(key=gone, tenant=1).level == "tenant"
