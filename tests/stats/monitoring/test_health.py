"""What the probes say, to whom, and what they cost."""

import asyncio
from typing import Any

import pytest
from django.test import AsyncClient

from stats.monitoring import health
from stats.monitoring.health import GatewayProbes


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_state", health._HealthState())


def attach(**said: Any) -> None:
    health.attach_gateway(GatewayProbes(**({"loaded": lambda: True, "lag": lambda: 0.0} | said)))


async def details(client: AsyncClient, **headers: str) -> Any:
    reply = await client.get("/readyz", {"detail": "1"}, headers=headers)
    assert reply.status_code == 200
    return reply.json()


async def test_the_plain_probe_asks_no_service(
    async_client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def asked() -> dict[str, str]:
        raise AssertionError("a service was asked")

    monkeypatch.setattr(health, "_check_services", asked)
    for loaded, status in ((False, 503), (True, 200)):
        attach(loaded=lambda loaded=loaded: loaded)
        reply = await async_client.get("/readyz", {"detail": "0"})
        assert reply.status_code == status
        assert list(reply.json()) == ["status"]


async def test_details_name_the_state_of_each_part_and_what_it_means(
    async_client: AsyncClient, database_url: str
) -> None:
    attach(
        lag=lambda: 95.0,
        off=lambda: 2,
        age=lambda: 40.0,
        failing=lambda: {"embedder": True, "pgvector_semantic": False},
    )
    body = await details(async_client)
    states = {part: said["state"] for part, said in body["parts"].items()}
    assert states == {
        "configuration": "old",
        "database": "ok",
        "redis": "ok",
        "spool": "behind",
        "semantic_tier": "off for 2",
        "embedder": "failing",
        "pgvector_semantic": "ok",
    }
    assert (body["status"], body["spool_lag_seconds"], body["configuration_age_seconds"]) == (
        "ready",
        95.0,
        40.0,
    )
    for said in body["parts"].values():
        assert (said["means"] == health.NO_IMPACT) == (said["state"] == "ok")


async def test_since_holds_while_the_state_does(
    async_client: AsyncClient, database_url: str
) -> None:
    memory = health.StateHistory()
    first = memory.find_state_start("redis", "ok")
    await asyncio.sleep(0.01)
    assert memory.find_state_start("redis", "ok") == first
    later = memory.find_state_start("redis", "slow")
    assert later > first
    await asyncio.sleep(0.01)
    assert memory.find_state_start("redis", "ok") > later


async def test_details_are_for_operators(
    async_client: AsyncClient, settings: Any, database_url: str
) -> None:
    attach()
    settings.METRICS_TOKEN = "a-token"
    for headers in ({}, {"authorization": "Bearer wrong"}):
        assert (
            await async_client.get("/readyz", {"detail": "1"}, headers=headers)
        ).status_code == 401
    assert (await details(async_client, authorization="Bearer a-token"))["status"] == "ready"
    settings.METRICS_TOKEN = ""
    reply = await async_client.get(
        "/readyz", {"detail": "1"}, headers={"x-forwarded-for": "203.0.113.9"}
    )
    assert reply.status_code == 403
    assert (await async_client.get("/readyz")).status_code == 200


async def test_details_hold_no_address_and_no_secret(
    async_client: AsyncClient, settings: Any, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    attach()
    settings.REDIS_URL = "redis://:hush@127.0.0.1:1/1"
    monkeypatch.setattr("stats.database.build_conninfo", lambda: "postgres://u:hush@127.0.0.1:1/x")
    body = await details(async_client)
    assert body["parts"]["redis"]["state"] == body["parts"]["database"]["state"] == "unreachable"
    assert "hush" not in str(body)
    assert "127.0.0.1" not in str(body)
