"""GET /token-saving/plans/{plan}/stats over the real database."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from plans import key_secrets
from plans.models import AdminKey, Plan, Tenant
from stats.events import Event
from stats.models.requests import RequestEvent, SpoolCursor, UpstreamAttempt
from tests.support.events import make_event
from tests.support.recorded import store

pytestmark = pytest.mark.django_db
FIVE = ["total_requests", "cache_hits", "cache_hit_rate", "tokens_saved", "cost_saved_usd"]
Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def platform_key(settings: Any) -> str:
    settings.ADMIN_KEY = "tta-platform"
    return "tta-platform"


@pytest.fixture
def ask(client: Client, platform_key: str) -> Ask:
    def asked(
        plan: str, *, key: str = platform_key, status: int = 200, query: str = ""
    ) -> dict[str, Any]:
        response = client.get(
            f"/token-saving/plans/{plan}/stats{query}", headers={"authorization": f"Bearer {key}"}
        )
        assert response.status_code == status, response.content
        body: dict[str, Any] = response.json()
        return body

    return asked


@pytest.fixture
def desk() -> Plan:
    return Plan.objects.create(name="desk")


def key_of(tenant: Tenant, settings: Any) -> str:
    made = key_secrets.generate_key(key_secrets.ADMIN_KEY_KIND, pepper=settings.KEY_PEPPER)
    AdminKey.objects.create(name="theirs", prefix=made.prefix, digest=made.digest, tenant=tenant)
    return made.secret


def hit(tier: str, **changes: Any) -> Event:
    worth = {
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "tokens_saved": 140,
        "would_cost": Decimal("0.000030"),
        "billed_cost": Decimal(0),
    }
    return make_event(
        tier=tier,
        attempts=0,
        duration_ms=3.0,
        upstream_ms=0.0,
        overhead_ms=3.0,
        **(worth | changes),
    )


def test_a_plan_without_traffic_has_zeros_and_no_price(ask: Ask, desk: Plan) -> None:
    body = ask("desk")
    assert list(body) == [*FIVE, "detail"]
    assert [body[name] for name in FIVE] == [0, 0, 0.0, 0, None]
    assert body["detail"]["latency_ms"]["hit"] is None


def test_the_five_fields_and_the_detail_add_up(ask: Ask, desk: Plan) -> None:
    plan = {"plan_id": desk.pk}
    store(
        hit("exact", stale=True, **plan),
        hit("exact", reason="collapsed", **plan),
        hit("semantic", spent_cost=Decimal("0.000001"), **plan),
        make_event(
            engine="trim",
            failures=("exact", "embedder"),
            stream=True,
            cached_tokens=50,
            written_tokens=40,
            **plan,
        ),
        make_event(
            tier="bypass",
            reason="no-store",
            tokens_saved=0,
            billed_cost=Decimal("0.000030"),
            **plan,
        ),
        make_event(would_cost=None, billed_cost=None, estimated=True, reason="negation", **plan),
        make_event(status=502, outcome="upstream_error", **plan),
        make_event(status=200, outcome="client_closed", **plan),
        make_event(plan_id=None),
        make_event(plan_id=desk.pk + 1),
    )
    body = ask("desk")
    assert [body[name] for name in FIVE[:4]] == [6, 3, 0.5, 140 * 3 + 20 + 20]
    assert body["cost_saved_usd"] == pytest.approx(0.000030 * 3 - 0.000001 + 0.000003, abs=1e-12)
    detail = body["detail"]
    assert detail["hits"] == {"exact": 2, "semantic": 1, "collapsed": 1, "stale": 1}
    assert (detail["misses"], detail["miss_reasons"]) == (2, {"negation": 1})
    assert (detail["bypassed"], detail["bypass_reasons"]) == (1, {"no-store": 1})
    assert detail["tool_failures"] == {"exact": 1, "embedder": 1}
    counted = (
        "failed",
        "compressed_requests",
        "streamed_requests",
        "unpriced_requests",
        "estimated_requests",
        "outcome_unknown",
    )
    assert [detail[name] for name in counted] == [2, 1, 1, 1, 1, 0]
    tokens, cost = detail["tokens"], detail["cost_usd"]
    assert (tokens["cached"], tokens["written"]) == (50, 40)
    assert (
        tokens["saved_exact"] + tokens["saved_semantic"] + tokens["saved_compression"]
        == body["tokens_saved"]
    )
    parts = sum(Decimal(cost[f"saved_{how}"]) for how in ("exact", "semantic", "compression"))
    assert parts == Decimal(cost["would"]) - Decimal(cost["billed"]) - Decimal(cost["spent"])
    assert float(parts) == body["cost_saved_usd"]
    # A bucket's width.
    assert detail["latency_ms"]["exact"] == pytest.approx({"p50": 3.0, "p99": 3.0}, rel=0.06)
    assert detail["latency_ms"]["miss_added"] == pytest.approx({"p50": 10.0, "p99": 10.0}, rel=0.06)


def test_the_sums_are_those_of_the_events_to_the_last_digit(ask: Ask, desk: Plan) -> None:
    events = [
        make_event(
            plan_id=desk.pk,
            would_cost=Decimal(n) / 7_000_000,
            billed_cost=Decimal(n) / 9_000_000,
            spent_cost=Decimal("1e-12"),
        )
        for n in range(1, 200)
    ]
    store(*events)
    rows = RequestEvent.objects.all()
    body = ask("desk")
    assert Decimal(body["detail"]["cost_usd"]["would"]) == sum(row.would_cost or 0 for row in rows)
    assert body["tokens_saved"] == sum(event.tokens_saved for event in events)
    assert all(event.is_counted for event in events)


def test_a_saving_may_be_negative(ask: Ask, desk: Plan) -> None:
    store(
        make_event(
            plan_id=desk.pk,
            would_cost=Decimal("0.1"),
            billed_cost=Decimal("0.1"),
            spent_cost=Decimal("0.02"),
        )
    )
    assert ask("desk")["cost_saved_usd"] == -0.02


def test_a_tenant_sees_its_own_requests_under_a_plan_of_the_platform(
    ask: Ask, desk: Plan, settings: Any
) -> None:
    acme, rival = Tenant.objects.create(slug="acme"), Tenant.objects.create(slug="rival")
    store(
        make_event(plan_id=desk.pk, tenant_id=acme.pk),
        make_event(plan_id=desk.pk, tenant_id=rival.pk),
    )
    UpstreamAttempt.objects.create(
        event_id=uuid.uuid4(),
        at=datetime.now(UTC),
        tenant_id=rival.pk,
        plan_id=desk.pk,
        worker="gone",
    )
    assert ask("desk")["total_requests"] == 2
    assert ask("desk")["detail"]["outcome_unknown"] == 1
    theirs = ask("desk", key=key_of(acme, settings))
    assert (theirs["total_requests"], theirs["detail"]["outcome_unknown"]) == (1, 0)
    assert ask("desk", query="?tenant=acme")["total_requests"] == 1


def test_another_tenant_s_plan_does_not_exist(ask: Ask, settings: Any) -> None:
    acme, rival = Tenant.objects.create(slug="acme"), Tenant.objects.create(slug="rival")
    plan = Plan.objects.create(name="secret", tenant=acme)
    store(make_event(plan_id=plan.pk, tenant_id=acme.pk))
    assert (
        ask("secret", key=key_of(rival, settings), status=404)["error"]["code"] == "plan_not_found"
    )
    assert ask("secret", status=404)["error"]["code"] == "plan_not_found"
    assert ask("secret", key=key_of(acme, settings))["total_requests"] == 1


@pytest.mark.parametrize("name", ["nothing", "a%00b", "..%2f..", "x" * 300])
def test_an_unknown_plan_is_404_in_json(ask: Ask, name: str) -> None:
    assert ask(name, status=404)["error"]["type"] == "invalid_request_error"


def test_without_a_key_there_are_no_numbers(client: Client, desk: Plan) -> None:
    response = client.get("/token-saving/plans/desk/stats")
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "invalid_api_key"


def test_an_attempt_of_a_living_worker_is_in_flight_and_one_of_a_dead_worker_unknown(
    ask: Ask, desk: Plan
) -> None:
    now = datetime.now(UTC)
    SpoolCursor.objects.create(file="a", worker="alive", seen_at=now)
    SpoolCursor.objects.create(file="b", worker="lost", seen_at=now - timedelta(minutes=10))
    for worker in ("alive", "lost", "gone"):
        UpstreamAttempt.objects.create(
            event_id=uuid.uuid4(), at=now, plan_id=desk.pk, worker=worker
        )
    assert ask("desk")["detail"]["outcome_unknown"] == 2


def test_the_schema_documents_the_five_fields(client: Client) -> None:
    schema = client.get(
        "/api/schema", headers={"accept": "application/vnd.oai.openapi+json"}
    ).json()
    operation = schema["paths"]["/token-saving/plans/{plan}/stats"]["get"]
    assert operation["operationId"] == "plan_stats"
    assert list(schema["components"]["schemas"]["PlanStats"]["properties"]) == [*FIVE, "detail"]


def test_the_reply_has_the_documented_shape(ask: Ask, desk: Plan, client: Client) -> None:
    store(make_event(plan_id=desk.pk))
    schemas = client.get(
        "/api/schema", headers={"accept": "application/vnd.oai.openapi+json"}
    ).json()["components"]["schemas"]

    def agree(name: str, value: dict[str, Any]) -> None:
        assert set(schemas[name]["properties"]) == set(value), name

    body = ask("desk")
    agree("Detail", body["detail"])
    agree("Tokens", body["detail"]["tokens"])
    agree("Cost", body["detail"]["cost_usd"])
    agree("Latency", body["detail"]["latency_ms"])
    agree("Hits", body["detail"]["hits"])
