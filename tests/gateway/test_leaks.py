"""No answer crosses a tenant: two of them ask the same and nearly the same at once,
through two workers, on every backend.

Elsewhere they got each other's: bifrost#5769, vllm-project/semantic-router#2134.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.gateways import ROUTE, Gateway, running_gateway
from tests.support.servers import QdrantServer
from tests.support.upstream import completion, running_upstream

TENANTS = ("acme", "globex")
AT_A_TIME = 8
TOPICS = """return a parcel|pay by card|change the password|close the account|get an invoice|cancel a subscription|track a delivery
change the delivery address|redeem a voucher|reach customer support|report a stolen card|activate a new card|change the language
delete the history|download a statement|add a second user|turn on notifications|exchange a damaged item|raise the limit|update the app"""
FORMS = (
    "How do I {}?",
    "how do i {}",
    "How can I {}?",
    "How do I {}, please?",
    "Hello, how do I {}?",
)
QUESTIONS = [form.format(topic) for topic in TOPICS.replace("\n", "|").split("|") for form in FORMS]
ROUNDS = 5  # 500 questions a tenant, 1,000 a backend


def signed(asked: dict[str, Any]) -> dict[str, Any]:
    """The upstream's answer carries the name of who asked; `user` is no part of the cache key."""
    return completion(f"signed:{asked['user']}: as you asked, {asked['messages'][-1]['content']}")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    qdrant = QdrantServer(tmp_path_factory.mktemp("qdrant"))
    folder = tmp_path_factory.mktemp("leaks")
    try:
        with (
            running_upstream() as upstream,
            running_gateway(upstream, folder, workers=2, QDRANT_URL=qdrant.url) as running,
        ):
            upstream.makes = signed
            yield running
    finally:
        qdrant.kill()


@pytest.fixture(scope="module")
def keys(gateway: Gateway) -> dict[str, str]:
    made = {
        name: gateway.manage("create_key", "--tenant", name, "--create-tenant") for name in TENANTS
    }
    gateway.let_others_follow()
    return made


@pytest.mark.parametrize("backend", ["pgvector_semantic", "redis_semantic", "qdrant_semantic"])
async def test_a_thousand_questions_of_two_tenants(
    gateway: Gateway, keys: dict[str, str], backend: str
) -> None:
    """One plan for both, so that nothing but the tenant tells their questions apart."""
    plan = f"leaks-{backend}"
    cache = {"backend": backend, "similarity_threshold": 0.8}
    made = gateway.api("POST", "/token-saving/plans", json={"plan_name": plan, "cache": cache})
    assert made.status_code == 201, made.text
    gateway.let_others_follow()

    random.seed(7)
    asked = [(tenant, question) for question in QUESTIONS * ROUNDS for tenant in TENANTS]
    random.shuffle(asked)
    waiting = iter(asked)
    tiers: Counter[tuple[str, str]] = Counter()

    async def client(http: httpx.AsyncClient) -> None:
        for number, (tenant, question) in enumerate(waiting):
            body = {
                "model": ROUTE,
                "messages": [{"role": "user", "content": question}],
                "user": tenant,
                "stream": number % 5 == 0,
            }
            headers = {"authorization": f"Bearer {keys[tenant]}"}
            reply = await http.post(
                "/v1/chat/completions", json=body | {"token_saving_plan_id": plan}, headers=headers
            )
            assert reply.status_code == 200, reply.text
            (other,) = set(TENANTS) - {tenant}
            assert f"signed:{tenant}" in reply.text
            assert f"signed:{other}" not in reply.text
            tiers[tenant, reply.headers["x-tokenthrift-cache"]] += 1

    async with httpx.AsyncClient(base_url=f"{gateway.url}", timeout=60) as http:
        await asyncio.gather(*(client(http) for _ in range(AT_A_TIME)))

    assert tiers.total() == len(asked) == 1000
    for tenant in TENANTS:  # both tiers had answers to give, to the wrong tenant too
        assert tiers[tenant, "exact"] > 50
        assert tiers[tenant, "semantic"] > 50
