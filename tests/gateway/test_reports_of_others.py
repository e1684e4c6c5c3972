"""What users of other gateways reported of their semantic caches, asked of this one over HTTP.

Others of these stand beside what they test: agents in tests/pipeline/test_chain_agents.py, other
tenants in test_leaks.py, entries that cannot be cleared in test_entries_api.py, a cache that
suddenly answers everything (Portkey#1237) in test_error_budget.py.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateways import Gateway, running_gateway
from tests.support.upstream import MockUpstream, completion

PLAN = "rivals"


@pytest.fixture(scope="module")
def gateway(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(upstream, tmp_path_factory.mktemp("rivals")) as running:
        assert (
            running.api(
                "POST", "/token-saving/plans", json={"plan_name": PLAN, "cache": {}}
            ).status_code
            == 201
        )
        running.wait_plan(PLAN)
        yield running


def echo(asked: dict[str, Any]) -> dict[str, Any]:
    return completion(f"an answer to: {asked['messages'][-1]['content']}")


def ask(gateway: Gateway, question: str) -> tuple[str, str]:
    """Tier and answer. What was stored is there for whoever asks next."""
    reply = gateway.chat(question, token_saving_plan_id=PLAN)
    time.sleep(0.1)
    return reply.headers["x-tokenthrift-cache"], reply.json()["choices"][0]["message"]["content"]


def test_not_every_question_gets_the_same_answer(gateway: Gateway, upstream: MockUpstream) -> None:
    """litellm#12234."""
    upstream.makes = echo
    verbs = ("cancel", "renew", "print", "find", "change", "pay for")
    things = ("my subscription", "the boarding pass", "a hotel room", "the parking ticket")
    for question in (f"How do I {verb} {thing}?" for thing in things for verb in verbs):
        assert ask(gateway, question) == ("miss", f"an answer to: {question}")


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("How do I enable 2FA?", "How do I disable 2FA?"),
        (
            "How do I turn on two-factor authentication?",
            "How do I turn off two-factor authentication?",
        ),
        ("Can I fly from Oslo to Rome?", "Can I fly from Rome to Oslo?"),
        ("Is the pool open in winter?", "Is the pool not open in winter?"),
        ("What does a 5 GB plan cost?", "What does a 50 GB plan cost?"),
    ],
)
def test_the_opposite_question_gets_its_own_answer(
    gateway: Gateway, upstream: MockUpstream, stored: str, asked: str
) -> None:
    """vllm-project/semantic-router#2691."""
    upstream.makes = echo
    ask(gateway, stored)
    assert ask(gateway, asked) == ("miss", f"an answer to: {asked}")
    again = stored[0].lower() + stored[1:]  # a unit in other letters may be another unit: 5 Gb
    assert ask(gateway, again) == ("semantic", f"an answer to: {stored}")
