"""GET /token-saving/plans/{plan}/tuning: what other thresholds would have meant,
by the plan's own requests."""

import json
import time
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from plans.models import Plan, Tenant
from plans.strictness import get_operating_points
from stats.models.requests import RequestEvent
from stats.quality.threshold_tuning import THRESHOLDS
from tests.stats.api.test_stats import hit
from tests.support.events import make_event
from tests.support.management import ONE, Manager, manager, refused
from tests.support.recorded import store

pytestmark = pytest.mark.django_db
TUNING = f"{ONE}/tuning"


@pytest.fixture
def plan(platform: Manager) -> Plan:
    platform.create(cache={"match": "cosine", "similarity_threshold": 0.88})
    return Plan.objects.get()


def seen(who: Manager, query: str = "") -> dict[str, Any]:
    reply = who.call("GET", TUNING + query)
    assert reply.status_code == 200, reply.content
    found: dict[str, Any] = json.loads(reply.content)
    return found


def at(found: dict[str, Any], threshold: float) -> dict[str, Any]:
    (row,) = [row for row in found["thresholds"] if row["threshold"] == threshold]
    return dict(row)


def test_a_threshold_by_name_is_the_one_in_force(platform: Manager) -> None:
    platform.create(cache={"strictness": "balanced", "max_error_rate": 0.05})
    number = get_operating_points().points["balanced"].threshold
    rows = seen(platform)["thresholds"]
    assert [row["threshold"] for row in rows if row["in_force"]] == [number]
    assert at({"thresholds": rows}, 0.85)["in_force"] is False


def test_without_traffic_nothing_is_claimed(platform: Manager, plan: Plan) -> None:
    found = seen(platform)
    assert (found["object"], found["number"], found["requests"], found["days"]) == (
        "tuning",
        "cosine",
        0,
        30,
    )
    assert [row["threshold"] for row in found["thresholds"]] == sorted({*THRESHOLDS, 0.88})
    assert [row["threshold"] for row in found["thresholds"] if row["in_force"]] == [0.88]
    for row in found["thresholds"]:
        assert (
            row["hit_rate"],
            row["saved_usd"],
            row["wrong_rate"],
            row["wrong_low"],
            row["wrong_high"],
        ) == (0, None, None, None, None)
        assert (row["samples"], row["note"]) == (0, "no evidence yet")


def test_hits_misses_and_money_at_each_threshold(platform: Manager, plan: Plan) -> None:
    of = {"plan_id": plan.pk}
    price = Decimal("0.000030")
    store(
        hit("exact", **of),
        hit("semantic", similarity=0.96, **of),
        hit("semantic", similarity=0.91, **of),
        make_event(similarity=0.83, **of),  # below the threshold in force: no rule was asked
        # Objected to: no hit at any threshold.
        make_event(similarity=0.93, reason="negation", **of),
        make_event(similarity=0.60, **of),
        make_event(
            shadow=True, would="semantic", reason="shadow", similarity=0.97, billed_cost=price, **of
        ),
        make_event(shadow=True, would="exact", reason="shadow", **of),
        make_event(similarity=0.99, status=502, outcome="upstream_error", **of),
        make_event(similarity=0.99, plan_id=plan.pk + 1),
    )
    found = seen(platform)
    assert (found["requests"], found["exact_hits"], found["measured"]) == (8, 2, 6)
    rows = {
        row["threshold"]: (row["semantic_hits"], row["unjudged"], row["hit_rate"])
        for row in found["thresholds"]
    }
    assert rows == {
        0.75: (4, 1, 0.75),
        0.80: (4, 1, 0.75),
        0.85: (3, 0, 0.625),
        0.88: (3, 0, 0.625),
        0.90: (3, 0, 0.625),
        0.95: (2, 0, 0.5),
        0.97: (1, 0, 0.375),
        0.99: (0, 0, 0.25),
    }
    assert Decimal(at(found, 0.80)["saved_usd"]) == 3 * price + Decimal("0.000027")
    assert Decimal(at(found, 0.95)["saved_usd"]) == 2 * price
    assert at(found, 0.99)["saved_usd"] is None


def test_the_rate_of_wrong_hits_is_that_of_the_samples_with_its_interval(
    platform: Manager, plan: Plan
) -> None:
    of = {"plan_id": plan.pk}
    store(
        *[hit("semantic", similarity=0.96, sample="right", **of) for _ in range(9)],
        hit("semantic", similarity=0.91, sample="wrong", **of),
        hit("semantic", similarity=0.91, sample="unclear", **of),
        hit("semantic", similarity=0.92, **of),
    )
    RequestEvent.objects.filter(similarity=0.92).update(wrong=True)
    row = at(seen(platform), 0.90)
    assert (row["samples"], row["wrong_rate"], row["reported_wrong"], row["note"]) == (
        11,
        0.1,
        1,
        "",
    )
    # Wilson's interval by hand: of 1 in 11 from below, of 2 in 11 from above.
    assert (row["wrong_low"], row["wrong_high"]) == (
        pytest.approx(0.0162, abs=2e-4),
        pytest.approx(0.4770, abs=2e-4),
    )
    strict = at(seen(platform), 0.95)
    assert (
        strict["samples"],
        strict["wrong_rate"],
        strict["wrong_low"],
        strict["reported_wrong"],
    ) == (9, 0.0, 0.0, 0)
    assert strict["wrong_high"] > 0.2  # nine right ones prove little
    assert at(seen(platform), 0.97)["note"] == "no evidence yet"


def test_under_match_verified_the_number_is_the_score(platform: Manager, plan: Plan) -> None:
    Plan.objects.update(match="verified")
    store(
        hit("semantic", similarity=0.75, score=0.96, plan_id=plan.pk),
        hit("semantic", similarity=0.99, plan_id=plan.pk),
    )
    found = seen(platform)
    assert (found["number"], found["measured"], at(found, 0.95)["semantic_hits"]) == ("score", 1, 1)


def test_only_the_period_asked_for(platform: Manager, plan: Plan) -> None:
    store(make_event(plan_id=plan.pk), make_event(plan_id=plan.pk, at=time.time() - 10 * 86400))
    assert (seen(platform)["requests"], seen(platform, "?days=7")["requests"]) == (2, 1)
    for bad in ("0", "366", "x", "-1", "1e3", "٣"):
        refused(platform.call("GET", f"{TUNING}?days={bad}"), 400, param="days")


def test_a_tenant_sees_its_own_requests_only(platform: Manager, plan: Plan, acme: Tenant) -> None:
    store(
        make_event(plan_id=plan.pk, tenant_id=acme.pk),
        make_event(plan_id=plan.pk, tenant_id=acme.pk + 1),
    )
    assert (seen(platform)["requests"], seen(manager(acme))["requests"]) == (2, 1)
    Plan.objects.update(tenant=Tenant.objects.create(slug="rival"))
    refused(manager(acme).call("GET", TUNING), 404, param="plan", code="plan_not_found")


def test_it_takes_an_admin_key_and_is_documented(
    client: Client, plan: Plan, platform: Manager
) -> None:
    assert client.get(TUNING).status_code == 401
    schema = client.get(
        "/api/schema", headers={"accept": "application/vnd.oai.openapi+json"}
    ).json()
    assert (
        schema["paths"]["/token-saving/plans/{plan}/tuning"]["get"]["operationId"] == "plan_tuning"
    )
    found = seen(platform)
    for name, value in (("Tuning", found), ("TuningRow", found["thresholds"][0])):
        assert set(schema["components"]["schemas"][name]["properties"]) == set(value)
