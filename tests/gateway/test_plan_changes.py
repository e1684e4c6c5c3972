"""An edit reaches every worker within two seconds;
a request in flight finishes on the version it began with."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import redis
from django.conf import settings

from tests.support.gateways import ROUTE, Gateway, running_gateway
from tests.support.upstream import MockUpstream

PROMISED = 2.0
REPEATS = 12  # fresh connections, so that both workers are asked


@pytest.fixture(scope="module")
def gateway(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(upstream, tmp_path_factory.mktemp("two"), workers=2) as running:
        yield running


def everywhere(works: Callable[[], bool], seconds: float = PROMISED) -> bool:
    """Whether, once the promised time has passed, it works on fresh connections again and again."""
    time.sleep(seconds)
    return all(works() for _ in range(REPEATS))


def reason(gateway: Gateway, plan: str) -> str:
    return str(
        gateway.chat(uuid.uuid4().hex, token_saving_plan_id=plan).headers.get(
            "x-tokenthrift-bypass-reason", ""
        )
    )


def test_a_plan_is_known_changed_and_forgotten_on_every_worker(gateway: Gateway) -> None:
    assert (
        gateway.api(
            "POST", "/token-saving/plans", json={"plan_name": "edited", "cache": {"backend": None}}
        ).status_code
        == 201
    )
    assert everywhere(lambda: reason(gateway, "edited") == "")
    assert (
        gateway.api("PATCH", "/token-saving/plans/edited", json={"mode": "off"}).status_code == 200
    )
    assert everywhere(lambda: reason(gateway, "edited") == "plan-off")
    assert gateway.api("DELETE", "/token-saving/plans/edited").status_code == 204
    assert everywhere(lambda: reason(gateway, "edited") == "unknown-plan")


DEFAULT = """
from plans.models import Plan, VirtualKey
for key in VirtualKey.objects.all():
    key.default_plan = Plan.objects.filter(name={name!r}).first()
    key.save()
"""


def test_a_client_that_names_no_plan_is_under_its_keys_default(
    gateway: Gateway, upstream: MockUpstream
) -> None:
    for name in ("by-default", "by-header"):
        plan = {"plan_name": name, "cache": {"backend": None}}
        assert gateway.api("POST", "/token-saving/plans", json=plan).status_code == 201
    gateway.manage("shell", "--verbosity", "0", "-c", DEFAULT.format(name="by-default"))
    try:
        assert everywhere(lambda: applied(gateway) == "by-default")
        assert applied(gateway, header="by-header") == "by-header"
        assert applied(gateway, header="none") == ""
        assert applied(gateway, metadata={"token_saving_plan": "none"}, header="by-header") == ""
        assert applied(gateway, token_saving_plan_id="nobody") == ""
        sent = upstream.asked[-3:]
        assert not any(b"token-saving" in name.lower() for asked in sent for name in asked.headers)
        assert not any("metadata" in asked.body for asked in sent)
    finally:
        gateway.manage("shell", "--verbosity", "0", "-c", DEFAULT.format(name=""))
        time.sleep(PROMISED)


def applied(gateway: Gateway, *, header: str = "", **fields: Any) -> str:
    """The plan that a new question is under, "" for none."""
    asked = {"model": ROUTE, "messages": [{"role": "user", "content": uuid.uuid4().hex}]} | fields
    reply = httpx.post(
        f"{gateway.url}/v1/chat/completions",
        json=asked,
        headers={"authorization": f"Bearer {gateway.virtual_key}", "x-token-saving-plan": header},
        timeout=30,
    )
    assert reply.status_code == 200, reply.text
    return str(reply.headers.get("x-tokenthrift-plan", ""))


def test_an_entry_that_an_admin_deletes_is_served_by_no_worker_any_more(
    gateway: Gateway, upstream: MockUpstream
) -> None:
    """Each worker keeps it in memory after so many hits; Redis tells them all that it is gone."""
    assert (
        gateway.api(
            "POST",
            "/token-saving/plans",
            json={"plan_name": "wrong-answer", "cache": {"backend": None}},
        ).status_code
        == 201
    )
    gateway.wait_plan("wrong-answer")
    question = f"What is the wrong answer to {uuid.uuid4().hex}?"

    def tier() -> str:
        return str(
            gateway.chat(question, token_saving_plan_id="wrong-answer").headers[
                "x-tokenthrift-cache"
            ]
        )

    assert [tier() for _ in range(REPEATS)] == ["miss"] + ["exact"] * (REPEATS - 1)
    with redis.Redis.from_url(settings.REDIS_URL) as store:
        deleted = store.delete(*store.keys(f"{gateway.environment['TOKENTHRIFT_INSTANCE']}*"))
    assert deleted >= 1
    time.sleep(0.5)
    calls = len(upstream.requests)
    assert [tier() for _ in range(REPEATS)] == ["miss"] + ["exact"] * (REPEATS - 1)
    assert len(upstream.requests) == calls + 1


def test_a_change_that_is_refused_changes_nothing(gateway: Gateway) -> None:
    gateway.api(
        "POST",
        "/token-saving/plans",
        json={"plan_name": "kept", "cache": {"backend": None, "ttl": 60}},
    )
    before = gateway.api("GET", "/token-saving/plans/kept").json()
    refused = gateway.api(
        "PATCH", "/token-saving/plans/kept", json={"cache": {"ttl": 120, "similarity_threshold": 7}}
    )
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "cache.similarity_threshold"
    assert gateway.api("GET", "/token-saving/plans/kept").json() == before


def test_a_revoked_key_is_refused_on_every_worker(gateway: Gateway) -> None:
    secret = gateway.manage("create_key", "--tenant", "demo", "--name", "leaver")
    assert everywhere(lambda: gateway.chat(key=secret).status_code == 200)
    gateway.manage("revoke_key", secret.partition("-")[0] + "-" + secret.partition("-")[2][:6])
    assert everywhere(lambda: gateway.chat(key=secret).status_code == 401)


def test_tenants_share_neither_plans_nor_answers(gateway: Gateway) -> None:
    other = gateway.manage("create_key", "--tenant", "other", "--create-tenant")
    gateway.api("POST", "/token-saving/plans", json={"plan_name": "shared"})
    gateway.api("POST", "/token-saving/plans?tenant=demo", json={"plan_name": "private"})
    time.sleep(PROMISED)
    question = uuid.uuid4().hex
    assert (
        gateway.chat(question, token_saving_plan_id="shared").headers["x-tokenthrift-cache"]
        == "miss"
    )
    time.sleep(0.2)
    assert (
        gateway.chat(question, token_saving_plan_id="shared").headers["x-tokenthrift-cache"]
        == "exact"
    )
    assert (
        gateway.chat(question, key=other, token_saving_plan_id="shared").headers[
            "x-tokenthrift-cache"
        ]
        == "miss"
    )
    answer = gateway.chat(question, key=other, token_saving_plan_id="private")
    assert answer.headers["x-tokenthrift-bypass-reason"] == "unknown-plan"


def test_a_request_in_flight_finishes_on_the_plan_it_began_with(
    gateway: Gateway, upstream: MockUpstream
) -> None:
    gateway.api("POST", "/token-saving/plans", json={"plan_name": "brief"})
    time.sleep(PROMISED)
    upstream.pause = 1.0
    answers: list[httpx.Response] = []
    running = threading.Thread(
        target=lambda: answers.append(
            gateway.chat("slow one", stream=True, token_saving_plan_id="brief")
        )
    )
    running.start()
    time.sleep(0.5)
    gateway.api("DELETE", "/token-saving/plans/brief")
    running.join()
    upstream.pause = 0.0
    assert answers[0].headers["x-tokenthrift-plan"] == "brief"
    assert "[DONE]" in answers[0].text


def test_both_workers_count_into_one_set_of_numbers(gateway: Gateway) -> None:
    gateway.api(
        "POST", "/token-saving/plans", json={"plan_name": "counted", "cache": {"backend": None}}
    )
    time.sleep(PROMISED)
    for _ in range(20):
        gateway.chat("the same", token_saving_plan_id="counted")
    stats = gateway.stats("counted", requests=20)
    assert stats["total_requests"] == 20
    assert stats["cache_hits"] >= 18  # the first on either worker may still be under way
    metrics = gateway.api("GET", "/metrics").text
    lines = [
        line
        for line in metrics.splitlines()
        if line.startswith("litellm_request_total") and 'plan="counted"' in line
    ]
    assert sum(float(line.rpartition(" ")[2]) for line in lines) == 20
    assert ROUTE in metrics
