"""Reports over the stats API: periods, series, groups, CSV; of one plan and of all; by whom."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from hypothesis import example, given
from hypothesis import strategies as st

from plans.access import PLATFORM_ADMIN, TENANT_ADMIN, VIEWER
from plans.models import Plan, Tenant, VirtualKey
from stats.reports import csv_export as csv_file
from stats.reports.rows import COUNT_COLUMNS, DOLLAR_COLUMNS
from tests.stats.api.test_stats import FIVE, hit
from tests.support.events import make_event
from tests.support.management import Manager, manager, refused
from tests.support.people import person, session
from tests.support.recorded import store

pytestmark = pytest.mark.django_db
ALL = "/token-saving/stats"
NOON = (datetime.now(UTC) - timedelta(days=3)).replace(hour=12, minute=0, second=0, microsecond=0)
DAY = f"{NOON:%Y-%m-%d}"


@pytest.fixture
def desk() -> Plan:
    plan = Plan.objects.create(name="desk")
    at = NOON.timestamp()
    store(
        hit("exact", plan_id=plan.pk, at=at, model="gpt-4o"),
        hit("semantic", plan_id=plan.pk, at=at + 3_700, spent_cost=Decimal("0.000001")),
        make_event(plan_id=plan.pk, at=at + 3_800),
        make_event(
            plan_id=plan.pk, at=at + 4 * 3_600, would_cost=None, billed_cost=None, model="mystery"
        ),
        make_event(
            plan_id=plan.pk, at=at, status=502, outcome="upstream_error", billed_cost=Decimal("0.5")
        ),
        make_event(plan_id=plan.pk, at=at, shadow=True, billed_cost=Decimal("0.25")),
        make_event(
            plan_id=plan.pk,
            at=at,
            tier="sample",
            would_cost=Decimal(0),
            billed_cost=Decimal(0),
            spent_cost=Decimal("0.000004"),
        ),
        make_event(plan_id=plan.pk, at=at - 86_400),
    )
    return plan


def ask(platform: Manager, path: str, query: str = "") -> dict[str, Any]:
    reply = platform.call("GET", path + query)
    assert reply.status_code == 200, reply.content
    assert reply["content-type"] == "application/json"
    body: dict[str, Any] = reply.json()
    return body


def table(platform: Manager, path: str, query: str) -> list[dict[str, str]]:
    reply = platform.call("GET", path + query)
    assert reply.status_code == 200, reply.content
    assert reply["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(reply.getvalue().decode(), newline="")))


def test_a_period_narrows_the_five_fields_and_says_itself(platform: Manager, desk: Plan) -> None:
    path = f"/token-saving/plans/{desk.name}/stats"
    assert ask(platform, path)["total_requests"] == 5
    assert ask(platform, path)["detail"]["period"] is None
    body = ask(platform, path, f"?from={DAY}T12:00:59Z&to={DAY}T13:00:00Z")
    assert list(body) == [*FIVE, "detail"]
    assert (body["total_requests"], body["cache_hits"]) == (1, 1)
    assert body["detail"]["period"] == {
        "from": f"{DAY}T12:00:00+00:00",
        "to": f"{DAY}T13:00:00+00:00",
    }
    assert (body["detail"]["series"], body["detail"]["groups"]) == (None, None)


def test_billed_served_and_saved_never_mix(platform: Manager, desk: Plan) -> None:
    """The failed request's bill, the watched one's and the sample's stand apart;
    a hit adds nothing to what was billed."""
    body = ask(platform, f"/token-saving/plans/{desk.name}/stats", f"?from={DAY}")
    cost = {name: Decimal(value) for name, value in body["detail"]["cost_usd"].items()}
    assert cost["billed"] == Decimal("0.000027")
    assert cost["would"] == 3 * Decimal("0.000030")
    assert (cost["spent"], cost["spent_samples"], cost["spent_embeddings"]) == (
        Decimal("0.000005"),
        Decimal("0.000004"),
        Decimal("0.000001"),
    )
    assert (
        cost["saved_exact"] + cost["saved_semantic"] + cost["saved_compression"]
        == cost["would"] - cost["billed"] - cost["spent"]
    )
    assert cost["billed_failed"] == Decimal("0.5")
    assert body["detail"]["would_have"]["billed_usd"] == "0.250000000000"
    assert body["detail"]["unpriced_models"] == {"mystery": 1}
    assert (body["detail"]["unpriced_requests"], body["total_requests"]) == (1, 4)


def test_series_and_groups_add_up_to_the_whole(platform: Manager, desk: Plan) -> None:
    body = ask(platform, ALL, f"?from={DAY}&granularity=hour")
    series = body["detail"]["series"]
    assert (series[0]["from"], series[0]["to"]) == (f"{DAY}T00:00:00Z", f"{DAY}T01:00:00Z")
    assert [row["requests"] for row in series if row["requests"]] == [1, 2, 1]
    assert sum(row["requests"] for row in series) == body["total_requests"]
    assert sum(Decimal(row["saved_usd"] or 0) for row in series) == sum(
        Decimal(body["detail"]["cost_usd"][f"saved_{how}"])
        for how in ("exact", "semantic", "compression")
    )
    groups = ask(platform, ALL, f"?from={DAY}&group_by=model")["detail"]["groups"]
    assert {row["name"]: row["requests"] for row in groups} == {
        "gpt-4o": 1,
        "gpt-4o-mini": 2,
        "mystery": 1,
    }
    assert next(row for row in groups if row["name"] == "mystery")["saved_usd"] is None
    both = ask(platform, ALL, f"?from={DAY}&group_by=model&granularity=day")["detail"]
    assert sum(row["requests"] for row in both["series"]) == 4
    assert {row["name"] for row in both["series"]} == {row["name"] for row in groups}


@pytest.mark.parametrize(
    "query", ["", "&granularity=hour", "&group_by=model", "&group_by=tier&granularity=day"]
)
def test_csv_is_the_json_in_rows(platform: Manager, desk: Plan, query: str) -> None:
    path = f"/token-saving/plans/{desk.name}/stats"
    query = f"?from={DAY}&to={DAY}{query}"  # else the last minute may turn between the two
    body, rows = ask(platform, path, query), table(platform, path, f"{query}&format=csv")
    detail = body["detail"]
    expected = detail["series"] if "granularity" in query else detail["groups"]
    if expected is None:
        (row,) = rows
        assert int(row["requests"]) == body["total_requests"]
        assert Decimal(row["saved_usd"]) == sum(
            Decimal(detail["cost_usd"][f"saved_{how}"])
            for how in ("exact", "semantic", "compression")
        )
    else:
        assert rows == [
            {name: "" if value is None else str(value) for name, value in row.items()}
            for row in expected
        ]


def test_csv_by_the_accept_header_is_rfc_4180(desk: Plan, settings: Any) -> None:
    settings.ADMIN_KEY = "a key of the operator's own making"
    headers = {"authorization": f"Bearer {settings.ADMIN_KEY}", "accept": "text/csv"}
    reply: Any = Client().get(f"{ALL}?from={DAY}&group_by=plan", headers=headers)
    assert reply.streaming
    text = reply.getvalue().decode()
    head, row, end = text.split("\r\n")
    assert head.split(",") == ["from", "to", "group", "name", *COUNT_COLUMNS, *DOLLAR_COLUMNS]
    assert row.startswith(f"{DAY}T00:00:00Z,")
    assert end == ""
    assert 'filename="stats-' in reply["content-disposition"]


def test_formulas_in_names_are_text(platform: Manager) -> None:
    store(
        make_event(model='=cmd|"/C calc"!A0', billed_cost=Decimal("0.1")),
        make_event(model="a,\r\nb"),
    )
    rows = table(platform, ALL, "?range=7d&group_by=model&format=csv")
    assert {row["name"] for row in rows} == {'\'=cmd|"/C calc"!A0', "a,\r\nb"}
    assert {row["group"] for row in rows} == {row["name"] for row in rows}
    assert min(Decimal(row["saved_usd"]) for row in rows) < 0  # a number keeps its sign


@example("\t=1")
@example("\tx")
@example("\r")
@example(" =cmd")
@given(st.text(max_size=8))
def test_no_cell_begins_a_formula_and_every_cell_comes_back(name: str) -> None:
    text = "".join(csv_file.iter_csv_lines(["name"], [{"name": name}]))
    if "\0" in name:
        return
    head, *found = csv.reader(io.StringIO(text, newline=""))
    value = found[0][0] if found and found[0] else ""
    assert head == ["name"]
    assert value in {name, f"'{name}"}
    assert not value.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert not value.lstrip().startswith(("=", "+", "-", "@"))


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("?from=2026-03-05&to=2026-03-04", "to"),
        ("?group_by=user", "group_by"),
        ("?granularity=week", "granularity"),
        ("?granlarity=day", "granlarity"),
        ("?plan=1%20OR%201", "plan"),
        ("?key=99999999999999999999", "key"),
        ("?model=%00", "model"),
        ("?format=xml", "format"),
        ("?range=90d&granularity=hour", "granularity"),
        ("?range=7d&range=30d", "range"),
    ],
)
@pytest.mark.parametrize("extra", ["", "&format=csv"])
def test_what_is_not_understood_is_refused_as_an_error_object(
    platform: Manager, query: str, param: str, extra: str
) -> None:
    if "format" in query and extra:
        return
    refused(platform.call("GET", ALL + query + extra), 400, param=param)


def test_the_path_names_the_plan(platform: Manager, desk: Plan) -> None:
    refused(
        platform.call("GET", f"/token-saving/plans/desk/stats?plan={desk.pk}"), 400, param="plan"
    )


def test_numbers_of_one_key_leave_out_what_is_not_kept_by_key(platform: Manager) -> None:
    acme = Tenant.objects.create(slug="acme")
    key = VirtualKey.objects.create(name="app", prefix="ttk", digest="d", tenant=acme)
    store(
        make_event(tenant_id=acme.pk, key_id=key.pk, reason="negation"),
        make_event(reason="negation"),
    )
    whole, one = ask(platform, ALL), ask(platform, ALL, f"?key={key.pk}")
    assert (whole["total_requests"], one["total_requests"]) == (2, 1)
    assert whole["detail"]["miss_reasons"] == {"negation": 2}
    assert whole["detail"]["latency_ms"]["miss"]
    assert (one["detail"]["miss_reasons"], one["detail"]["latency_ms"]["miss"]) == (None, None)


def callers(acme: Tenant) -> Iterator[Any]:
    yield manager(acme).client
    yield session(person("theirs", TENANT_ADMIN, acme))
    yield session(person("looks", VIEWER, acme))


def test_whoever_belongs_to_a_tenant_sees_its_numbers_alone(acme: Tenant) -> None:
    rival = Tenant.objects.create(slug="rival")
    shared, theirs = (
        Plan.objects.create(name="shared"),
        Plan.objects.create(name="theirs", tenant=rival),
    )
    key = VirtualKey.objects.create(name="app", prefix="ttk", digest="d", tenant=rival)
    store(
        make_event(tenant_id=acme.pk, tenant="acme", plan_id=shared.pk),
        make_event(
            tenant_id=rival.pk, tenant="rival", plan_id=shared.pk, key_id=key.pk, model="secret"
        ),
        make_event(tenant_id=rival.pk, tenant="rival", plan_id=theirs.pk, model="secret"),
    )
    for client in callers(acme):
        for path in (
            ALL,
            f"{ALL}?tenant=acme",
            "/token-saving/plans/shared/stats",
            f"{ALL}?plan={shared.pk}",
        ):
            assert client.get(path).json()["total_requests"] == 1, path
        for group in ("tenant", "plan", "key", "model"):
            reply = client.get(f"{ALL}?group_by={group}&granularity=day&range=7d")
            assert "secret" not in reply.content.decode()
            assert "rival" not in reply.content.decode()
            assert len(reply.json()["detail"]["groups"]) == 1
        for query in (
            "tenant=rival",
            f"plan={theirs.pk}",
            f"key={key.pk}",
            "tenant=nobody",
            "plan=999999",
        ):
            for form in ("", "&format=csv"):
                reply = client.get(f"{ALL}?{query}{form}")
                assert (reply.status_code, reply["content-type"]) == (404, "application/json"), (
                    query
                )
        assert client.get("/token-saving/plans/theirs/stats").status_code == 404
        assert client.get("/token-saving/plans/shared/stats?tenant=rival").status_code == 404


def test_the_platform_sees_all_or_one(platform: Manager, acme: Tenant) -> None:
    store(make_event(tenant_id=acme.pk), make_event(tenant_id=acme.pk + 1))
    for client in (
        platform.client,
        session(person("boss", PLATFORM_ADMIN)),
        session(person("looks", VIEWER)),
    ):
        assert client.get(ALL).json()["total_requests"] == 2
        assert client.get(f"{ALL}?tenant=acme").json()["total_requests"] == 1


def test_numbers_take_a_permission_and_a_viewer_has_no_other(acme: Tenant) -> None:
    viewer = session(person("looks", VIEWER, acme))
    assert viewer.get("/token-saving/plans").status_code == 403
    assert (
        viewer.post("/token-saving/plans", {}, content_type="application/json").status_code == 403
    )
    assert session(person("lost", TENANT_ADMIN)).get(ALL).status_code == 403
    user = person("plain", VIEWER)
    user.groups.clear()
    assert session(user).get(ALL).status_code == 403


def test_the_reply_is_the_documented_one(platform: Manager, desk: Plan, client: Client) -> None:
    schema = client.get(
        "/api/schema", headers={"accept": "application/vnd.oai.openapi+json"}
    ).json()
    operation = schema["paths"][ALL]["get"]
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert names == {
        "from",
        "to",
        "range",
        "granularity",
        "group_by",
        "tenant",
        "plan",
        "key",
        "route",
        "model",
        "format",
    }
    assert set(operation["responses"]["200"]["content"]) == {"application/json", "text/csv"}
    plan = {
        parameter["name"]
        for parameter in schema["paths"]["/token-saving/plans/{plan}/stats"]["get"]["parameters"]
    }
    assert plan == names
    rows = schema["components"]["schemas"]["Row"]
    detail = ask(platform, ALL, f"?from={DAY}&granularity=day&group_by=model")["detail"]
    assert list(detail["series"][0]) == list(detail["groups"][0]) == list(rows["properties"])
    assert set(detail) == set(schema["components"]["schemas"]["Detail"]["properties"])
    assert set(rows["properties"]) - set(rows["required"]) == {"group", "name"}
    assert json.dumps(detail)
