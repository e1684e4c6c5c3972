"""Questions that look alike, asked of a running gateway:
none gets another's answer, and what says the same is served."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.gateways import Gateway
from tests.support.texts.question_pairs import DIFFERENT, NOT_UNDERSTOOD, SAME

TRIES = 5  # on a busy machine the embedder may be too late for a request, which is then a miss


@pytest.fixture(scope="module")
def plan(gateway: Gateway) -> str:
    made = gateway.api(
        "POST",
        "/token-saving/plans",
        json={"plan_name": "pairs", "cache": {"backend": "pgvector_semantic"}},
    )
    assert made.status_code == 201, made.text
    gateway.wait_plan("pairs")
    return "pairs"


def tier(gateway: Gateway, plan: str, question: str, namespace: str) -> str:
    reply = gateway.chat(question, token_saving_plan_id=plan, cache={"namespace": namespace})
    assert reply.status_code == 200, reply.text
    return str(reply.headers["x-tokenthrift-cache"])


def then(gateway: Gateway, plan: str, first: str, second: str) -> str:
    """What answers the second after the first, in an empty cache."""
    namespace = uuid.uuid4().hex
    tier(gateway, plan, first, namespace)
    return tier(gateway, plan, second, namespace)


def test_no_question_gets_the_answer_of_another_that_looks_like_it(
    gateway: Gateway, plan: str
) -> None:
    pairs = [
        both
        for pairs in DIFFERENT.values()
        for one, other in pairs
        for both in ((one, other), (other, one))
    ]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda pair: then(gateway, plan, *pair), pairs))
    assert [pair for pair, answered in zip(pairs, found, strict=True) if answered != "miss"] == []


@pytest.mark.parametrize("language", NOT_UNDERSTOOD)
def test_nor_does_a_shop_s_question_in_a_script_that_is_not_understood(
    gateway: Gateway, plan: str, language: str
) -> None:
    namespace = uuid.uuid4().hex
    assert {tier(gateway, plan, question, namespace) for question in NOT_UNDERSTOOD[language]} == {
        "miss"
    }


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_says_the_same_is_served(gateway: Gateway, plan: str, one: str, other: str) -> None:
    assert "semantic" in [
        then(gateway, plan, *pair) for pair in ((one, other), (other, one)) * TRIES
    ]
