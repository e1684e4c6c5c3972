"""Expired answers over HTTP, two workers and real stores:
one call renews, all who counted agree, a provider that fails is stood in for."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.gateways import ROUTE, Gateway, running_gateway
from tests.support.upstream import MockUpstream, completion

EVENTS = """
SELECT coalesce(sum(attempts), 0), coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0), sum(billed_cost),
  coalesce(sum(tokens_saved), 0), count(*) FILTER (WHERE tier = 'exact' AND attempts > 0 AND NOT stale),
  (SELECT count(*) FROM stats_upstreamattempt)
FROM stats_requestevent WHERE plan = %s
"""  # noqa: E501 -- SQL is laid out as it is read
PRICE = (
    "SELECT input, output FROM plans_modelprice WHERE provider = 'openai' AND model = 'gpt-4o-mini'"
)


EXPIRED_SECONDS = 3.5  # after the time to live, also where storing took a second


@pytest.fixture(scope="module")
def gateway(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(upstream, tmp_path_factory.mktemp("two"), workers=2) as running:
        yield running


@pytest.fixture
def healthy(upstream: MockUpstream) -> Iterator[MockUpstream]:
    upstream.says = completion("old")
    yield upstream
    upstream.status, upstream.pause, upstream.body = 200, 0.0, b""


def plan(gateway: Gateway, **cache: Any) -> str:
    name = f"stale-{uuid.uuid4().hex[:8]}"
    made = gateway.api(
        "POST",
        "/token-saving/plans",
        json={"plan_name": name, "cache": {"backend": None, "ttl": 2} | cache},
    )
    assert made.status_code == 201, made.text
    gateway.wait_plan(name)
    return name


def text(reply: httpx.Response) -> str:
    said: str = reply.json()["choices"][0]["message"]["content"]
    return said


def test_under_load_one_call_renews_each_answer_and_all_who_counted_agree(
    gateway: Gateway, healthy: MockUpstream
) -> None:
    name, questions, begun = (
        plan(gateway, stale_while_revalidate=600),
        [uuid.uuid4().hex for _ in range(3)],
        len(healthy.requests),
    )
    replies = [gateway.chat(question, token_saving_plan_id=name) for question in questions]
    time.sleep(EXPIRED_SECONDS)
    healthy.says, healthy.pause = completion("new"), 1.0

    def ask(number: int) -> httpx.Response:
        return gateway.chat(questions[number % 3], stream=False, token_saving_plan_id=name)

    with ThreadPoolExecutor(8) as pool:
        stale = list(pool.map(ask, range(24)))
    assert Counter(
        text(reply) for reply in stale if "x-tokenthrift-stale" in reply.headers
    ).keys() == {"old"}
    assert sum(reply.headers.get("x-tokenthrift-stale") == "revalidating" for reply in stale) >= 8
    assert len(healthy.requests) - begun == 6  # each question once, and once again
    time.sleep(2.0)
    fresh = [ask(number) for number in range(3)]
    assert [text(reply) for reply in fresh] == ["new"] * 3
    replies += stale + fresh
    time.sleep(1.5)
    wait_for(gateway, name, len(replies))
    attempts, prompt, made, billed, saved, paid_hits, unknown = row(gateway, EVENTS, name)
    served = {reply.headers["x-request-id"] for reply in replies}
    calls = len(healthy.requests) - begun
    assert len(served) == len(replies)  # I1, with wait_for
    assert (attempts, unknown) == (calls, 0)  # I2
    assert (prompt, made) == (19 * calls, 10 * calls)  # I3
    given, answered = row(gateway, PRICE)
    assert billed == (given * 19 + answered * 10) * calls / Decimal(1_000_000)
    assert paid_hits == 0  # I4
    assert saved == sum(int(reply.headers["x-tokenthrift-tokens-saved"]) for reply in replies)
    told = gateway.stats(name, requests=len(replies))  # I5
    assert told["tokens_saved"] == saved
    assert told["detail"]["hits"]["stale"] == sum(
        "x-tokenthrift-stale" in reply.headers for reply in replies
    )


def wait_for(gateway: Gateway, name: str, requests: int) -> None:
    """Until so many events of the plan are in the database, and no more."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if counted(gateway, name) >= requests:
            break
        time.sleep(0.1)
    assert counted(gateway, name) == requests


def counted(gateway: Gateway, name: str) -> int:
    return int(
        row(
            gateway,
            "SELECT count(*) FROM stats_requestevent WHERE plan = %s AND status = 200",
            name,
        )[0]
    )


def row(gateway: Gateway, query: str, *values: str) -> tuple[Any, ...]:
    with psycopg.connect(gateway.environment["DATABASE_URL"]) as connection:
        return tuple(connection.execute(query.encode(), values or None).fetchall()[0])


def test_the_client_does_not_wait_for_the_new_answer(
    gateway: Gateway, healthy: MockUpstream
) -> None:
    name, question = plan(gateway, stale_while_revalidate=600), uuid.uuid4().hex
    gateway.chat(question, token_saving_plan_id=name)
    time.sleep(EXPIRED_SECONDS)
    healthy.pause = 5.0
    body = {
        "model": ROUTE,
        "messages": [{"role": "user", "content": question}],
        "token_saving_plan_id": name,
    }
    begun = time.monotonic()
    # one connection
    with httpx.Client(
        headers={"authorization": f"Bearer {gateway.virtual_key}"}, timeout=30
    ) as client:
        replies = [client.post(f"{gateway.url}/v1/chat/completions", json=body) for _ in range(3)]
    assert time.monotonic() - begun < 4
    assert [reply.headers["x-tokenthrift-stale"] for reply in replies] == ["revalidating"] * 3
    assert int(replies[0].headers["age"]) >= 2


def test_without_the_provider_expired_answers_are_served_and_new_questions_fail(
    gateway: Gateway, healthy: MockUpstream
) -> None:
    name, question = plan(gateway, stale_if_error=600), uuid.uuid4().hex
    gateway.chat(question, token_saving_plan_id=name)
    time.sleep(EXPIRED_SECONDS)
    for status in (503, 429):
        healthy.status, healthy.body = status, b'{"error": {"message": "no", "type": "x"}}'
        replies = [
            gateway.chat(question, token_saving_plan_id=name, stream=stream)
            for stream in (False, True, False, False)
        ]
        assert [reply.status_code for reply in replies] == [200] * 4
        assert {reply.headers["x-tokenthrift-stale"] for reply in replies} == {"error"}
        assert text(replies[0]) == "old"
        assert "[DONE]" in replies[1].text
        assert gateway.chat(uuid.uuid4().hex, token_saving_plan_id=name).status_code == status
        assert (
            gateway.chat(question, token_saving_plan_id=name, cache={"s-maxage": 1}).status_code
            == status
        )
    healthy.status, healthy.says = 200, completion("new")
    assert text(gateway.chat(question, token_saving_plan_id=name)) == "new"


def test_what_was_forgotten_never_stands_in(gateway: Gateway, healthy: MockUpstream) -> None:
    name, question = plan(gateway, stale_if_error=600, stale_while_revalidate=600), uuid.uuid4().hex
    gateway.chat(question, token_saving_plan_id=name, cache={"tags": ["prices"]})
    assert (
        gateway.api(
            "POST", f"/token-saving/plans/{name}/invalidate", json={"tags": ["prices"]}
        ).status_code
        == 200
    )
    time.sleep(EXPIRED_SECONDS)
    healthy.status, healthy.body = 503, b'{"error": {"message": "no", "type": "x"}}'
    assert {gateway.chat(question, token_saving_plan_id=name).status_code for _ in range(4)} == {
        503
    }


def test_an_answer_forgotten_while_it_is_renewed_is_renewed_again(
    gateway: Gateway, healthy: MockUpstream
) -> None:
    name, question = plan(gateway, stale_while_revalidate=600), uuid.uuid4().hex
    gateway.chat(question, token_saving_plan_id=name)
    time.sleep(EXPIRED_SECONDS)
    healthy.pause = 1.0
    renewing = threading.Thread(
        target=gateway.chat, args=(question,), kwargs={"token_saving_plan_id": name}
    )
    renewing.start()
    renewing.join()
    gateway.api("POST", f"/token-saving/plans/{name}/invalidate", json={"all": True})
    healthy.pause = 0.0
    time.sleep(2.0)
    healthy.says = completion("new")
    assert text(gateway.chat(question, token_saving_plan_id=name)) == "new"
