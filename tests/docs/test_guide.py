"""The guide's own calls, to the letter, by curl and the official SDK,
against real server processes."""

import json
import re
import subprocess
import time
from typing import Any

import pytest

from tests.support.gateways import Gateway
from tests.support.upstream import MockUpstream

# Step 1 of the guide, but for the host.
GUIDE = """curl -X POST {url}/token-saving/plans \\
-H "Authorization: Bearer $ADMIN_KEY" \\
-H "Content-Type: application/json" \\
-d '{{
"plan_name": "support-bot-cache",
"compression": {{
"engine": "text_rank",
"max_input_tokens": 4096
}},
"cache": {{
"backend": "redis_semantic",
"similarity_threshold": 0.85,
"ttl": 3600
}}
}}'"""


def shell(gateway: Gateway, command: str) -> tuple[int, Any]:
    """Run a command with ADMIN_KEY in the environment; the status and the JSON answered."""
    shown = command.replace("curl ", 'curl -sS -w "\\n%{http_code}" ', 1)
    done = subprocess.run(
        ["bash", "-c", shown],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={"ADMIN_KEY": gateway.admin_key, "PATH": "/usr/bin:/bin"},
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


@pytest.fixture(scope="module")
def plan(gateway: Gateway) -> dict[str, Any]:
    status, made = shell(gateway, GUIDE.format(url=gateway.url))
    assert status == 201, made
    gateway.wait_plan("support-bot-cache")
    return dict(made)


def test_step_1_creates_the_plan(plan: dict[str, Any]) -> None:
    assert plan["plan_name"] == "support-bot-cache"
    assert plan["mode"] == "active"
    assert plan["compression"] == {
        "engine": "text_rank",
        "max_input_tokens": 4096,
        "language": "english",
        "min_sentences": 1,
        "focus": "question",
        "when": "always",
        "deadline_ms": None,
    }
    half = {"exact": True, "backend": "redis_semantic", "similarity_threshold": 0.85, "ttl": 3600}
    assert {name: plan["cache"][name] for name in half} == half


def long_history() -> list[Any]:
    """System text and 300 messages of user and assistant, some 12,000 tokens."""
    history: list[Any] = [{"role": "system", "content": "You help."}]
    for number in range(150):
        history += [
            {
                "role": "user",
                "content": (
                    f"My parcel number {number} has not come yet, and I have been waiting for it "
                    "since last week. What is next?"
                ),
            },
            {
                "role": "assistant",
                "content": (
                    f"I am sorry. Parcel {number} left our warehouse in Leeds and should be with "
                    "you within two days."
                ),
            },
        ]
    return history


def test_steps_2_and_3_and_the_opt_out(
    gateway: Gateway, upstream: MockUpstream, plan: dict[str, Any]
) -> None:
    client, history = gateway.sdk, long_history()
    conversation_history = [*history, {"role": "user", "content": "How do I return a parcel?"}]
    upstream.requests.clear()

    # Step 2: hundreds of messages, compressed to the plan's budget.
    response = client.chat.completions.create(
        model="smart/balanced",
        messages=conversation_history,
        extra_body={"token_saving_plan_id": "support-bot-cache"},
    )
    assert response.choices[0].message.content == "Pay by card."
    sent = upstream.requests[-1]["messages"]
    assert 10 < len(sent) < len(conversation_history)
    assert (sent[0], sent[-1]) == (conversation_history[0], conversation_history[-1])
    assert "token_saving_plan_id" not in upstream.requests[-1]

    # The same again, then reworded: the exact and the semantic tier.
    time.sleep(0.4)
    client.chat.completions.create(
        model="smart/balanced",
        messages=conversation_history,
        extra_body={"token_saving_plan_id": "support-bot-cache"},
    )
    reworded = [*history, {"role": "user", "content": "How can I return a parcel?"}]
    client.chat.completions.create(
        model="smart/balanced",
        messages=reworded,
        extra_body={"token_saving_plan_id": "support-bot-cache"},
    )
    assert len(upstream.requests) == 1

    # Opt out per request.
    client.chat.completions.create(
        model="smart/balanced",
        messages=conversation_history,
        extra_body={"token_saving_plan_id": "support-bot-cache", "cache": {"no-store": True}},
    )
    assert len(upstream.requests) == 2

    # Step 3: measure the impact.
    gateway.stats("support-bot-cache", requests=4)
    status, stats = shell(
        gateway,
        (
            f'curl {gateway.url}/token-saving/plans/support-bot-cache/stats -H "Authorization: '
            'Bearer $ADMIN_KEY"'
        ),
    )
    assert status == 200
    assert [name for name in stats if name != "detail"] == [
        "total_requests",
        "cache_hits",
        "cache_hit_rate",
        "tokens_saved",
        "cost_saved_usd",
    ]
    assert (stats["total_requests"], stats["cache_hits"], stats["cache_hit_rate"]) == (4, 2, 0.5)
    assert stats["tokens_saved"] > 4 * 4000
    assert stats["cost_saved_usd"] > 0
    metrics = gateway.api("GET", "/metrics").text
    for name in (
        "litellm_tokens_total",
        "litellm_request_total",
        "litellm_request_duration_seconds",
        "litellm_cost_total",
    ):
        assert re.search(rf"^{name}", metrics, re.MULTILINE), name
