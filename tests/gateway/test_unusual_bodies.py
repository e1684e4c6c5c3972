"""Bodies unlike OpenAI's form that a provider may accept:
passed on as they are, and never read by what does not understand them."""

from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from tests.support.gateways import ROUTE, Gateway, running_gateway
from tests.support.upstream import MockUpstream

HELLO = {"role": "user", "content": "How do I pay by card, please? " * 40}
LIMITS = {
    "TOKENTHRIFT_MAX_MESSAGES": "2000",
    "TOKENTHRIFT_MAX_PARTS": "1000",
    "TOKENTHRIFT_MAX_JSON_VALUES": "50000",
}
UNUSUAL: dict[str, Any] = {
    "NUL in a result": {
        "messages": [HELLO, {"role": "tool", "tool_call_id": "a", "content": "\0\1\2binary"}]
    },
    "a role of a template": {"messages": [{"role": "observation", "content": "x"}, HELLO]},
    "parts that are texts": {"messages": [{"role": "user", "content": ["x", "y"]}]},
    "an odd call": {
        "messages": [
            HELLO,
            {"role": "assistant", "tool_calls": [{"id": "a", "function": [1]}]},
            HELLO,
        ]
    },
    "content that is an object": {"messages": [{"role": "user", "content": {"parts": ["x"]}}]},
    "a call that is a text": {
        "messages": [HELLO, {"role": "assistant", "content": None, "function_call": "f"}, HELLO]
    },
}
PLANS: dict[str, Any] = {
    "everything": {"cache": {}, "compression": {"engine": "trim", "max_input_tokens": 64}},
    "held": {
        "cache": {},
        "compression": {"engine": "trim", "max_input_tokens": 64},
        "holdout": 0.5,
    },
    "cut": {"compression": {"engine": "text_rank", "max_input_tokens": 64}},
}


@pytest.fixture(scope="module")
def gateway(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(
        upstream, tmp_path_factory.mktemp("unusual"), workers=1, **LIMITS
    ) as running:
        for name, settings in PLANS.items():
            made = running.api("POST", "/token-saving/plans", json={"plan_name": name, **settings})
            assert made.status_code == 201, made.text
            running.wait_plan(name)
        yield running


def post(gateway: Gateway, body: bytes) -> httpx.Response:
    headers = {"authorization": f"Bearer {gateway.virtual_key}"}
    return httpx.post(
        f"{gateway.url}/v1/chat/completions", content=body, headers=headers, timeout=60
    )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("plan", [None, *PLANS])
@pytest.mark.parametrize("case", UNUSUAL)
def test_it_reaches_the_provider_as_it_is(
    gateway: Gateway, upstream: MockUpstream, case: str, plan: str | None, stream: bool
) -> None:
    body = {"model": ROUTE, "seed": hash((case, plan, stream)) % 10_000, **UNUSUAL[case]}
    asked = (
        body
        | ({"token_saving_plan_id": plan} if plan else {})
        | ({"stream": True} if stream else {})
    )
    for _ in range(2):
        answer = post(gateway, orjson.dumps(asked))
        assert answer.status_code == 200, answer.text
    assert upstream.requests[-1]["messages"] == UNUSUAL[case]["messages"]
    if plan == "everything":
        assert answer.headers["x-tokenthrift-cache"] == "exact"


def test_numbers_beyond_64_bits_reach_the_provider_with_all_digits(
    gateway: Gateway, upstream: MockUpstream
) -> None:
    for plan in ("", ',"token_saving_plan_id":"everything"'):
        body = (
            b'{"model":"%b","messages":[{"role":"user","content":"x"}],'
            b'"seed":123456789012345678901234567890%b}'
        )
        assert post(gateway, body % (ROUTE.encode(), plan.encode())).status_code == 200
        assert upstream.requests[-1]["seed"] == pytest.approx(1.2345678901234568e29)


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [HELLO, *[{"role": "system", "content": ""}] * 2000]},
        {"messages": [{"role": "user"}] * 500_000},
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "a"}] * 1001}, HELLO]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * 1001}]},
        {"messages": [HELLO], "x": [[]] * 50_001},
        {"messages": [HELLO], "x": {str(number): 1 for number in range(50_001)}},
    ],
    ids=["messages", "many messages", "calls", "parts", "values", "keys"],
)
def test_what_is_too_much_is_413_and_names_the_limit(
    gateway: Gateway, upstream: MockUpstream, fields: dict[str, Any]
) -> None:
    calls = len(upstream.requests)
    answer = post(
        gateway, orjson.dumps({"model": ROUTE, "token_saving_plan_id": "everything", **fields})
    )
    assert answer.status_code == 413
    error = answer.json()["error"]
    assert error["code"] == "request_too_large"
    assert any(limit in error["message"] for limit in LIMITS.values())
    assert len(upstream.requests) == calls


def test_a_large_body_is_answered_cut_and_kept_like_any_other(
    gateway: Gateway, upstream: MockUpstream
) -> None:
    """It is read, keyed and written beside the event loop."""
    history = [
        {"role": role, "content": f"{number} " + "word: " * 200}
        for number in range(400)
        for role in ("user", "assistant")
    ]
    body = orjson.dumps(
        {
            "model": ROUTE,
            "token_saving_plan_id": "everything",
            "messages": [*history, {"role": "user", "content": "So?"}],
        }
    )
    assert len(body) > 500_000
    first, second = post(gateway, body), post(gateway, body)
    assert (first.status_code, first.headers["x-tokenthrift-cache"]) == (200, "miss")
    assert second.headers["x-tokenthrift-cache"] == "exact"
    assert len(orjson.dumps(upstream.requests[-1])) < len(body) // 2
    assert post(gateway, body.replace(b"So?", b"What?")).headers["x-tokenthrift-cache"] == "miss"


def test_none_of_it_was_a_fault(gateway: Gateway) -> None:
    assert 'status="500"' not in gateway.api("GET", "/metrics").text
    assert "Traceback" not in gateway.log.read_text()
