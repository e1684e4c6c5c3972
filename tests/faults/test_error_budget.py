"""Two workers, a provider whose answers change:
the semantic tier goes off on both, without Redis too, and every call is accounted for."""

import time
from collections.abc import Callable, Iterator
from decimal import Decimal

import httpx
import psycopg
import pytest
import redis
from django.conf import settings

from tests.support.gateways import Gateway, running_gateway
from tests.support.upstream import MockUpstream, completion, running_upstream

PLAN = "budgeted"
BUDGET = {"backend": "pgvector_semantic", "max_error_rate": 0.01, "sample_rate": 1.0}
SOON = 30.0
TOPICS = (
    "card",
    "loan",
    "visa",
    "desk",
    "lamp",
    "tent",
    "boat",
    "song",
    "coat",
    "ring",
    "fork",
    "shoe",
)


@pytest.fixture(scope="module")
def upstream() -> Iterator[MockUpstream]:
    with running_upstream() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(upstream, tmp_path_factory.mktemp("budget"), workers=2) as running:
        assert (
            running.api(
                "POST", "/token-saving/plans", json={"plan_name": PLAN, "cache": BUDGET}
            ).status_code
            == 201
        )
        running.wait_plan(PLAN)
        yield running


def tier(gateway: Gateway, question: str) -> str:
    return str(gateway.chat(question, token_saving_plan_id=PLAN).headers["x-tokenthrift-cache"])


def asked(topic: str) -> str:
    return f"What is the price of a new {topic}?"


def budget(gateway: Gateway) -> dict[str, object]:
    found: dict[str, object] = gateway.api("GET", f"/token-saving/plans/{PLAN}/stats").json()[
        "detail"
    ]["error_budget"]
    return found


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_wrong_answers_turn_the_tier_off_on_both_workers_and_everything_adds_up(
    gateway: Gateway, upstream: MockUpstream
) -> None:
    upstream.says = completion("It costs 10 dollars.")
    for topic in TOPICS:
        assert tier(gateway, asked(topic)) == "miss"
    time.sleep(0.5)
    assert tier(gateway, asked("card").lower().rstrip("?")) == "semantic"
    eventually(lambda: budget(gateway)["samples"] == 1)
    assert budget(gateway)["wrong"] == 0

    upstream.says = completion("It costs 99 dollars.")  # what the cache cannot see
    for topic in TOPICS[1:6]:
        tier(gateway, asked(topic).lower().rstrip("?"))
    eventually(lambda: budget(gateway)["semantic_tier"] == "off")
    time.sleep(2)  # the promise: on every worker
    tiers = {
        tier(gateway, f"{asked(topic).lower()} {'!' * number}")
        for topic in TOPICS[7:11]
        for number in (1, 2, 3)
    }
    assert tiers == {"miss"}
    assert tier(gateway, asked("fork")) == "exact"
    assert httpx.get(f"{gateway.url}/readyz").json()["semantic_tier"] == "off for 1 plan"
    assert (
        'tokenthrift_semantic_tier_off{plan="budgeted"} 1.0' in gateway.api("GET", "/metrics").text
    )

    with redis.Redis.from_url(settings.REDIS_URL) as store:
        store.flushdb()
    assert budget(gateway)["semantic_tier"] == "off"
    assert tier(gateway, asked("ring").lower() + " ???") == "miss"
    reconcile(gateway, upstream)

    assert (
        gateway.api("POST", f"/token-saving/plans/{PLAN}/semantic-tier/on").json()["semantic_tier"]
        == "on"
    )
    time.sleep(2)
    assert tier(gateway, asked("shoe").lower().rstrip("?")) == "semantic"


def reconcile(gateway: Gateway, upstream: MockUpstream) -> None:
    """I2, I3 and I4 of the invariants, samples included."""
    with psycopg.connect(gateway.environment["DATABASE_URL"]) as connection:

        def row() -> tuple[int, int, Decimal, int]:
            query = (
                "SELECT sum(attempts), sum(prompt_tokens + completion_tokens), sum(billed_cost + "
                "spent_cost), count(*) FILTER (WHERE tier IN ('exact', 'semantic') "
                "AND attempts > 0) FROM stats_requestevent"
            )
            found = connection.execute(query).fetchone()
            connection.rollback()
            assert found is not None
            return found

        eventually(lambda: row()[0] == len(upstream.requests))
        _, tokens, dollars, paid_hits = row()
        price = connection.execute(
            "SELECT input, output FROM plans_modelprice WHERE provider = 'openai' "
            "AND model = 'gpt-4o-mini'"
        ).fetchone()
    assert paid_hits == 0
    assert tokens == 29 * len(upstream.requests)
    assert price is not None
    assert dollars == len(upstream.requests) * (19 * price[0] + 10 * price[1]) / 1_000_000


def test_a_judge_s_calls_add_up_too(gateway: Gateway, upstream: MockUpstream) -> None:
    """The provider answers both the sample and the judge's question with the judge's word."""
    cache = BUDGET | {"judge_model": "smart/balanced"}
    assert (
        gateway.api(
            "POST", "/token-saving/plans", json={"plan_name": "judged", "cache": cache}
        ).status_code
        == 201
    )
    gateway.wait_plan("judged")
    upstream.says = completion("It costs 10 dollars.")
    gateway.chat(asked("sofa"), token_saving_plan_id="judged")
    time.sleep(0.5)
    upstream.says = completion("DIFFERENT")
    reply = gateway.chat(asked("sofa").lower().rstrip("?"), token_saving_plan_id="judged")
    assert reply.headers["x-tokenthrift-cache"] == "semantic"

    def shown() -> tuple[int, ...]:
        found = gateway.api("GET", "/token-saving/plans/judged/stats").json()["detail"][
            "error_budget"
        ]
        return tuple(
            found[name]
            for name in ("samples", "wrong", "sampling_calls", "judge_calls", "judge_failures")
        )

    # Calls are counted with the roll-ups, a second after their verdict.
    eventually(lambda: shown() == (1, 1, 1, 1, 0))
    assert 'tokenthrift_judged_total{plan="judged"' in gateway.api("GET", "/metrics").text
    reconcile(gateway, upstream)
