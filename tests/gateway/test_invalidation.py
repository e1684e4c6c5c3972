"""What is forgotten is served by no worker two seconds later:
from memory, Redis or PostgreSQL, under load, and after a flush of Redis."""

import threading
import time
import uuid
from collections.abc import Iterator, Sequence

import pytest
import redis
from django.conf import settings

from tests.support.gateways import PROMISED, Gateway, running_gateway
from tests.support.upstream import MockUpstream, completion

QUESTIONS = [
    phrase.format(thing)
    for thing in ("a parcel", "a printer", "shoes")
    for phrase in ("How do I return {}?", "How can I return {}?")
]


@pytest.fixture(scope="module")
def gateway(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(upstream, tmp_path_factory.mktemp("two"), workers=2) as running:
        yield running


@pytest.fixture
def plan(gateway: Gateway) -> str:
    name = f"forgets-{uuid.uuid4().hex[:8]}"
    made = gateway.api(
        "POST",
        "/token-saving/plans",
        json={"plan_name": name, "cache": {"backend": "pgvector_semantic"}},
    )
    assert made.status_code == 201, made.text
    gateway.wait_plan(name)
    return name


def answer(gateway: Gateway, plan: str, question: str, tags: Sequence[str] = ()) -> tuple[str, str]:
    """The tier and the text."""
    reply = gateway.chat(
        question, token_saving_plan_id=plan, cache={"tags": list(tags)} if tags else {}
    )
    return reply.headers["x-tokenthrift-cache"], reply.json()["choices"][0]["message"]["content"]


def invalidate(gateway: Gateway, plan: str, **body: object) -> None:
    assert (
        gateway.api("POST", f"/token-saving/plans/{plan}/invalidate", json=body).status_code == 200
    )


def test_under_load_no_old_answer_is_served_two_seconds_later(
    gateway: Gateway, upstream: MockUpstream, plan: str
) -> None:
    upstream.says, upstream.pause = completion("old"), 0.05
    seen: list[tuple[float, str, str]] = []
    stop = threading.Event()

    def load(offset: int) -> None:
        number = offset
        while not stop.is_set():
            began = time.monotonic()
            seen.append(
                (
                    began,
                    *answer(gateway, plan, QUESTIONS[number % len(QUESTIONS)], tags=["returns"]),
                )
            )
            number += 1

    threads = [threading.Thread(target=load, args=(offset,)) for offset in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(3)
    upstream.says = completion("new")
    invalidate(gateway, plan, tags=["returns"])
    forgotten = time.monotonic()
    time.sleep(PROMISED + 2)
    stop.set()
    for thread in threads:
        thread.join(30)
    upstream.pause = 0.0
    before = [(tier, text) for began, tier, text in seen if began < forgotten - 0.5]
    after = [(tier, text) for began, tier, text in seen if began > forgotten + PROMISED]
    assert {tier for tier, _ in before} >= {"exact", "semantic"}
    assert len(after) >= 6
    assert {text for _, text in after} == {"new"}
    assert {tier for tier, _ in after} <= {"exact", "semantic", "miss"}
    assert ("exact", "new") in after


def test_a_flushed_redis_brings_nothing_back(
    gateway: Gateway, upstream: MockUpstream, plan: str
) -> None:
    upstream.says = completion("old")
    assert answer(gateway, plan, QUESTIONS[0]) == ("miss", "old")
    time.sleep(0.3)
    assert answer(gateway, plan, QUESTIONS[1]) == ("semantic", "old")
    upstream.says = completion("new")
    invalidate(gateway, plan, all=True)
    with redis.Redis.from_url(settings.REDIS_URL) as store:
        for key in store.scan_iter(f"{gateway.environment['TOKENTHRIFT_INSTANCE']}*"):
            store.delete(key)
    time.sleep(PROMISED)
    assert answer(gateway, plan, QUESTIONS[1]) == ("miss", "new")
    time.sleep(0.3)
    for _ in range(6):
        assert (
            answer(gateway, plan, QUESTIONS[0])[1]
            == answer(gateway, plan, QUESTIONS[1])[1]
            == "new"
        )


def test_a_request_under_way_stores_nothing_that_is_served(
    gateway: Gateway, upstream: MockUpstream, plan: str
) -> None:
    upstream.says, upstream.pause = completion("old"), 1.5
    question = uuid.uuid4().hex
    running = threading.Thread(target=answer, args=(gateway, plan, question))
    running.start()
    time.sleep(0.5)
    invalidate(gateway, plan, all=True)
    running.join()
    upstream.says, upstream.pause = completion("new"), 0.0
    time.sleep(PROMISED)
    assert answer(gateway, plan, question) == ("miss", "new")


def test_only_what_carries_the_tag_is_forgotten(
    gateway: Gateway, upstream: MockUpstream, plan: str
) -> None:
    upstream.says = completion("old")
    tagged, other = uuid.uuid4().hex, uuid.uuid4().hex
    answer(gateway, plan, tagged, tags=["de", "prices"])
    answer(gateway, plan, other, tags=["de"])
    time.sleep(0.3)
    upstream.says = completion("new")
    invalidate(gateway, plan, tags=["prices"])
    time.sleep(PROMISED)
    assert answer(gateway, plan, tagged, tags=["de"]) == ("miss", "new")
    assert answer(gateway, plan, other, tags=["de"]) == ("exact", "old")


def test_a_tenant_forgets_under_a_plan_of_the_platforms_and_others_keep(
    gateway: Gateway, upstream: MockUpstream, plan: str
) -> None:
    upstream.says = completion("old")
    other = gateway.manage(
        "create_key", "--tenant", f"other-{uuid.uuid4().hex[:6]}", "--create-tenant"
    )
    time.sleep(PROMISED)
    question = uuid.uuid4().hex
    for key in (None, other):
        gateway.chat(question, key=key, token_saving_plan_id=plan)
    time.sleep(0.3)
    path = f"/token-saving/plans/{plan}/invalidate?tenant=demo"
    assert gateway.api("POST", path, json={"all": True}).json()["tenant"] == "demo"
    time.sleep(PROMISED)
    tiers = [
        gateway.chat(question, key=key, token_saving_plan_id=plan).headers["x-tokenthrift-cache"]
        for key in (None, other)
    ]
    assert tiers == ["miss", "exact"]
