"""/metrics and the probes."""

import asyncio
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import AsyncClient, Client
from prometheus_client import REGISTRY, Histogram
from prometheus_client.parser import text_string_to_metric_families

from gateway_project.embedded import processes
from stats.monitoring import buffered_histogram, health, metrics
from tests.support.events import make_event

GUIDE = {
    "litellm_tokens_total",
    "litellm_request_total",
    "litellm_request_duration_seconds_count",
    "litellm_cost_total",
}
WHO = {"tenant": "acme", "plan": "desk", "route": "smart/balanced"}
WORKER = """
from stats.monitoring import metrics
from tests.support.events import make_event
for _ in range(3):
    metrics.observe_event(make_event())
metrics.publish_metrics()
print(metrics.render_exposition()[0].decode())
"""


def value(name: str, **labels: str) -> float:
    metrics.publish_metrics()
    return REGISTRY.get_sample_value(name, labels) or 0.0


def moved(name: str, *events: Any, **labels: str) -> float:
    before = value(name, **labels)
    for event in events:
        metrics.observe_event(event)
    return value(name, **labels) - before


def test_the_guide_s_four_names_are_exposed(client: Client) -> None:
    metrics.observe_event(make_event())
    families = text_string_to_metric_families(client.get("/metrics").content.decode())
    assert {sample.name for family in families for sample in family.samples} >= GUIDE


@pytest.mark.parametrize(
    ("stage", "kind", "miss", "hit"),
    [
        ("asked", "input", 120, 120),
        ("asked", "output", 20, 20),
        ("sent", "input", 100, 0),
        ("sent", "output", 20, 0),
        ("served", "input", 120, 120),
        ("served", "output", 20, 20),
    ],
)
def test_tokens_show_before_and_after(stage: str, kind: str, miss: int, hit: int) -> None:
    stored = make_event(tier="exact", attempts=0, prompt_tokens=0, completion_tokens=0)
    for name in ("litellm_tokens_total", "tokenthrift_tokens_total"):
        assert moved(name, make_event(), stage=stage, type=kind, **WHO) == miss
        assert moved(name, stored, stage=stage, type=kind, **WHO) == hit


def test_money_requests_failures_and_times_are_counted() -> None:
    event = make_event(failures=("embedder",), duration_ms=250)
    assert moved("tokenthrift_cost_usd_total", event, kind="would", **WHO) == pytest.approx(0.00003)
    assert moved("litellm_cost_total", event, **WHO) == pytest.approx(0.000027)
    assert moved("litellm_request_total", event, status="200", **WHO) == 1
    assert moved("tokenthrift_requests_total", event, tier="miss", outcome="ok", **WHO) == 1
    assert moved("tokenthrift_tool_failures_total", event, tool="embedder") == 1
    assert moved("tokenthrift_cache_lookups_total", event, tier="miss") == 1
    assert moved("tokenthrift_request_duration_seconds_sum", event, tier="miss") == pytest.approx(
        0.25
    )
    assert (
        moved(
            "tokenthrift_unpriced_requests_total",
            make_event(would_cost=None),
            route="smart/balanced",
        )
        == 1
    )


def test_a_request_for_an_unknown_plan_is_counted_and_its_name_is_no_label(client: Client) -> None:
    event = make_event(plan_id=None, plan="a-strangers-name", reason="unknown-plan", tier="bypass")
    assert moved("tokenthrift_unknown_plan_requests_total", event, tenant="acme") == 1
    assert moved("tokenthrift_unknown_plan_requests_total", make_event(), tenant="acme") == 0
    assert "a-strangers-name" not in client.get("/metrics").content.decode()


def test_many_requests_at_once_fall_into_the_same_buckets_as_one_by_one() -> None:
    """Our own sums against what the library's own `observe` makes of the same times,
    bounds included."""
    times = [0.0, 0.0004, 0.001, 0.0011, 0.005, 0.3, 1.0, 119.0, 120.0, 121.0, 1e6]
    reference = Histogram("reference", "", buckets=buffered_histogram.BUCKETS, registry=None)
    before = {bound: bucket(bound) for bound in (*buffered_histogram.BUCKETS, math.inf)}
    for seconds in times:
        reference.observe(seconds)
        metrics.observe_event(make_event(tier="miss", duration_ms=seconds * 1000))
    metrics.publish_metrics()
    (family,) = reference.collect()
    expected = {
        float(sample.labels["le"]): sample.value
        for sample in family.samples
        if sample.name == "reference_bucket"
    }
    assert {bound: bucket(bound) - before[bound] for bound in before} == expected


def bucket(bound: float) -> float:
    label = "+Inf" if bound == math.inf else str(float(bound))
    return (
        REGISTRY.get_sample_value(
            "tokenthrift_request_duration_seconds_bucket", {"tier": "miss", "le": label}
        )
        or 0.0
    )


def test_a_refused_request_asks_for_no_tokens() -> None:
    refused = make_event(
        tier="bypass",
        status=502,
        outcome="upstream_error",
        prompt_tokens=0,
        completion_tokens=0,
        served_tokens=0,
    )
    assert moved("litellm_tokens_total", refused, stage="asked", type="input", **WHO) == 0


def test_a_client_s_own_words_never_become_a_label(client: Client) -> None:
    canary = "canary-51c2"
    metrics.observe_event(
        make_event(
            plan_id=None,
            plan=canary,
            tenant_id=None,
            tenant=canary,
            upstream="",
            route=canary,
            note=canary,
            key=canary,
        )
    )
    body = client.get("/metrics").content.decode()
    assert canary not in body
    assert 'plan="none"' in body


def test_metrics_need_the_token_when_there_is_one(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = "a-token"
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/metrics", headers={"authorization": "Bearer a-token"}).status_code == 200


@pytest.mark.parametrize(
    "peer",
    [{"REMOTE_ADDR": "10.0.0.7"}, {"REMOTE_ADDR": ""}, {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}],
)
def test_without_a_token_metrics_are_for_this_machine(
    client: Client, settings: Any, peer: dict[str, str]
) -> None:
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", **peer).status_code == 403  # type: ignore[arg-type]


def test_several_workers_add_up(tmp_path: Path) -> None:
    run = [sys.executable, "-c", WORKER]
    for _ in range(2):
        text = subprocess.run(
            run,
            env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    families = text_string_to_metric_families(text)
    counts = [
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == "litellm_request_total"
    ]
    assert counts == [6.0]


def test_a_live_process_says_so(client: Client) -> None:
    for path in ("/livez", "/livez/"):
        assert client.get(path).json() == {"status": "alive"}


@pytest.fixture
def fresh_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_state", health._HealthState())


async def test_readiness_follows_the_configuration(
    fresh_probe: None, async_client: AsyncClient, database_url: str
) -> None:
    assert (await async_client.get("/readyz")).status_code == 503
    health.attach_gateway(health.GatewayProbes(loaded=lambda: True, lag=lambda: 1.23))
    for path in ("/readyz", "/healthz"):
        response = await async_client.get(path)
        assert response.status_code == 200
        assert response.json() == {
            "status": "ready",
            "configuration": "loaded",
            "database": "ok",
            "redis": "ok",
            "spool_lag_seconds": 1.2,
            "semantic_tier": "on",
        }


async def test_dead_services_are_named_without_a_secret_and_the_gateway_stays_ready(
    fresh_probe: None, async_client: AsyncClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    health.attach_gateway(health.GatewayProbes(loaded=lambda: True, lag=lambda: 0.0))
    settings.REDIS_URL = f"redis://:hush@127.0.0.1:{processes.find_free_port()}/1"
    monkeypatch.setattr(
        "stats.database.build_conninfo",
        lambda: f"postgres://u:hush@127.0.0.1:{processes.find_free_port()}/x",
    )
    response = await async_client.get("/readyz")
    assert response.status_code == 200
    assert (response.json()["database"], response.json()["redis"]) == ("unreachable", "unreachable")
    assert b"hush" not in response.content


async def test_services_that_hang_hold_a_probe_up_for_a_second_at_most(
    fresh_probe: None, async_client: AsyncClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings.REDIS_URL = f"redis://127.0.0.1:{port}/1"
    monkeypatch.setattr(
        "stats.database.build_conninfo",
        lambda: f"postgres://u:x@127.0.0.1:{port}/x?sslmode=disable",
    )
    begin = asyncio.get_running_loop().time()
    body = (await async_client.get("/readyz")).json()
    assert asyncio.get_running_loop().time() - begin < 1
    assert body["database"] == "slow"
    assert body["redis"] in {"slow", "unreachable"}
    server.close()
