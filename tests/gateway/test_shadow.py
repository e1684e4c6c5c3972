"""A plan in shadow over HTTP: the provider answers, the statistics say what would have been,
and turning it on finds the cache full."""

import time
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.stats.api.test_stats import FIVE
from tests.support.events import make_event
from tests.support.gateways import Gateway
from tests.support.recorded import store
from tests.support.upstream import MockUpstream, completion

BACKENDS = ["pgvector_semantic", "redis_semantic"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_shadow_counts_what_would_have_hit(
    gateway: Gateway, upstream: MockUpstream, backend: str
) -> None:
    plan = f"shadow-{uuid.uuid4().hex[:8]}"
    made = gateway.api(
        "POST",
        "/token-saving/plans",
        json={"plan_name": plan, "mode": "shadow", "cache": {"backend": backend}},
    )
    assert made.status_code == 201, made.text
    assert made.json()["mode"] == "shadow"
    gateway.wait_plan(plan)
    seen = []
    questions = [
        "How do I return a parcel?",
        "How do I return a parcel?",
        "How can I return a parcel?",
        "Who won the cup?",
    ]
    for number, question in enumerate(questions):
        upstream.says = completion(f"answer {number}")
        reply = gateway.chat(question, token_saving_plan_id=plan)
        assert reply.json() == completion(f"answer {number}")
        seen.append(
            (reply.headers["x-tokenthrift-cache"], reply.headers.get("x-tokenthrift-would"))
        )
        time.sleep(0.3)
    assert seen == [("miss", None), ("miss", "exact"), ("miss", "semantic"), ("miss", None)]

    stats = watched(gateway, plan, 4)
    assert [stats[name] for name in FIVE] == [0, 0, 0.0, 0, None]
    would = stats["detail"]["would_have"]
    assert {
        name: would[name] for name in ("requests", "exact", "semantic", "hit_rate", "tokens_saved")
    } == {
        "requests": 4,
        "exact": 1,
        "semantic": 1,
        "hit_rate": 0.5,
        "tokens_saved": 2 * 29,
    }
    assert float(would["cost_saved_usd"]) == pytest.approx(float(would["billed_usd"]) / 2)
    assert stats["detail"]["failed"] <= 1  # the look of `wait_plan`

    assert (
        gateway.api("PATCH", f"/token-saving/plans/{plan}", json={"mode": "active"}).status_code
        == 200
    )
    deadline = time.monotonic() + 5
    while (reply := gateway.chat(questions[0], token_saving_plan_id=plan)).headers[
        "x-tokenthrift-cache"
    ] != "exact":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert reply.json() == completion("answer 0")


def watched(gateway: Gateway, plan: str, requests: int) -> dict[str, Any]:
    """The plan's stats, once so many requests were watched."""
    deadline = time.monotonic() + 10
    while True:
        found: dict[str, Any] = gateway.api("GET", f"/token-saving/plans/{plan}/stats").json()
        if found["detail"]["would_have"]["requests"] >= requests:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


@pytest.mark.django_db
def test_the_dashboard_shows_a_plan_in_shadow(client: Client) -> None:
    client.force_login(User.objects.create_superuser("root"))
    assert "In shadow" not in client.get("/dashboard/").content.decode()
    store(
        make_event(
            shadow=True,
            would="exact",
            would_tokens=120,
            would_saved="0.5",
            billed_cost="0.5",
            would_cost="0.5",
            tokens_saved=0,
        )
    )
    store(make_event(shadow=True, tokens_saved=0, billed_cost="0.5", would_cost="0.5"))
    page = client.get("/dashboard/").content.decode()
    assert "Plans in shadow only watch" in page
    assert "Four steps to the first saving" not in page
    assert "120 tokens would have been saved, worth $0.50 of the $1.00 billed" in page
    store(make_event())
    page = client.get("/dashboard/").content.decode()
    assert "In shadow" in page
    assert "1 of 1 requests" not in page
    assert "0 of 1 requests" in page
