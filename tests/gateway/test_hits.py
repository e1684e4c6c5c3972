"""Hits in both tiers and both shapes say what the provider said, field by field,
through the official SDK."""

import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from openai.types.chat import ChatCompletion

from tests.support.gateways import ROUTE, Gateway
from tests.support.upstream import MockUpstream, completion

TOOL_CALLS = [
    {
        "id": "call_1",
        "type": "function",
        "function": {"name": "refund", "arguments": '{"order": 7, "why": "late – sorry"}'},
    }
]
ANSWERS = {
    "text": completion('Pay by card, 🙂 or by "invoice".\n\n```\ncode\n```'),
    "refusal": completion(None, refusal="I can't help with that."),  # type: ignore[arg-type]  # what OpenAI sends
    "tool call": completion(None, tool_calls=TOOL_CALLS),  # type: ignore[arg-type]  # likewise, with tool_choice
}
REFUND: dict[str, Any] = {
    "type": "function",
    "function": {"name": "refund", "parameters": {"type": "object"}},
}
FIELDS: dict[str, dict[str, Any]] = {"tool call": {"tools": [REFUND], "tool_choice": "required"}}
BACKENDS = ["pgvector_semantic", "redis_semantic"]


@pytest.fixture(scope="module", params=BACKENDS)
def plan(gateway: Gateway, request: pytest.FixtureRequest) -> str:
    name = f"hits-{request.param}"
    made = gateway.api(
        "POST", "/token-saving/plans", json={"plan_name": name, "cache": {"backend": request.param}}
    )
    assert made.status_code == 201, made.text
    gateway.wait_plan(name)
    return name


def ask(
    gateway: Gateway, plan: str, question: str, *, stream: bool, namespace: str, kind: str = "text"
) -> tuple[dict[str, Any], str]:
    """The completion, put together from chunks when streamed, and the tier that served it."""
    messages: list[Any] = [{"role": "user", "content": question}]
    extra = {
        "token_saving_plan_id": plan,
        "cache": {"namespace": namespace},
        **FIELDS.get(kind, {}),
    }
    completions = gateway.sdk.chat.completions.with_raw_response
    if not stream:
        whole = completions.create(model=ROUTE, messages=messages, extra_body=extra)
        assert whole.headers["content-type"] == "application/json"
        return orjson.loads(whole.content), whole.headers["x-tokenthrift-cache"]
    raw = completions.create(
        model=ROUTE,
        messages=messages,
        extra_body=extra,
        stream=True,
        stream_options={"include_usage": True},
    )
    assert raw.headers["content-type"].startswith("text/event-stream")
    return put_together(
        [chunk.model_dump(exclude_unset=True) for chunk in raw.parse()]
    ), raw.headers["x-tokenthrift-cache"]


def put_together(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """A completion from chunks, written out by hand so as not to trust the code under test."""
    message: dict[str, Any] = {}
    finish: str | None = None
    calls: dict[int, dict[str, Any]] = {}
    for delta in (choice["delta"] for chunk in chunks for choice in chunk["choices"]):
        for name, value in delta.items():
            if name == "tool_calls":
                for call in value:
                    known = calls.setdefault(
                        call["index"],
                        {"id": "", "type": "", "function": {"name": "", "arguments": ""}},
                    )
                    known["id"] += call.get("id") or ""
                    known["type"] = call.get("type") or known["type"]
                    known["function"]["name"] += call["function"].get("name") or ""
                    known["function"]["arguments"] += call["function"].get("arguments") or ""
            elif name in ("content", "refusal") and value is not None:
                message[name] = (message.get(name) or "") + value
            elif value is not None:
                message[name] = value
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        finish = choice.get("finish_reason") or finish
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    head = {
        name: chunks[0][name]
        for name in ("id", "created", "model", "system_fingerprint", "service_tier")
    }
    return {**head, "message": message, "finish_reason": finish, "usage": chunks[-1]["usage"]}


def essence(whole: dict[str, Any]) -> dict[str, Any]:
    """What both shapes have in common: every field, less nulls and empty lists."""
    if "choices" in whole:
        (choice,) = whole["choices"]
        whole = {**whole, "message": choice["message"], "finish_reason": choice["finish_reason"]}
        del whole["choices"], whole["object"]
    message = {
        name: value for name, value in whole["message"].items() if value not in (None, [], "")
    }
    return {**whole, "message": message}


@pytest.mark.parametrize(
    "case", [(tier, streamed) for tier in ("exact", "semantic") for streamed in (False, True)]
)
@pytest.mark.parametrize("kind", ANSWERS)
def test_every_shape_of_a_hit_is_the_original(
    gateway: Gateway, upstream: MockUpstream, plan: str, kind: str, case: tuple[str, bool]
) -> None:
    tier, stored_as_stream = case
    if kind in FIELDS and tier == "semantic":
        tier = "exact"  # requests with tools are never answered by meaning
    namespace = uuid.uuid4().hex
    upstream.says = ANSWERS[kind]
    calls = len(upstream.requests)
    first, served = ask(
        gateway,
        plan,
        "How do I return a parcel?",
        stream=stored_as_stream,
        namespace=namespace,
        kind=kind,
    )
    assert served == "miss"
    assert essence(first) == essence(ANSWERS[kind])
    time.sleep(0.3)
    question = "How do I return a parcel?" if tier == "exact" else "How can I return a parcel?"
    for stream in (False, True):
        hit, served = ask(gateway, plan, question, stream=stream, namespace=namespace, kind=kind)
        assert served == tier
        assert essence(hit) == essence(ANSWERS[kind])
        if not stream and not stored_as_stream:
            assert hit == ANSWERS[kind]
            ChatCompletion.model_validate(hit)
    assert len(upstream.requests) == calls + 1


def test_a_whole_hit_is_the_original_byte_by_byte(
    gateway: Gateway, upstream: MockUpstream, plan: str
) -> None:
    upstream.says = completion("bytes")
    bodies = []
    for _ in range(2):
        bodies.append(
            gateway.chat(
                "Are these the same bytes?", token_saving_plan_id=plan, cache={"namespace": plan}
            ).content
        )
        time.sleep(0.3)
    assert bodies[0] == bodies[1] == orjson.dumps(upstream.says)


@pytest.fixture
def slow(upstream: MockUpstream) -> Iterator[MockUpstream]:
    upstream.pause = 0.3
    yield upstream
    upstream.pause, upstream.stop_after = 0.0, None


def test_chunks_are_relayed_as_they_arrive(gateway: Gateway, slow: MockUpstream, plan: str) -> None:
    slow.says = completion("one two three")
    arrivals = []
    headers = {"authorization": f"Bearer {gateway.virtual_key}"}
    body = {
        "model": ROUTE,
        "messages": [{"role": "user", "content": uuid.uuid4().hex}],
        "stream": True,
        "token_saving_plan_id": plan,
    }
    with httpx.stream(
        "POST", f"{gateway.url}/v1/chat/completions", json=body, headers=headers
    ) as response:
        arrivals += [time.monotonic() for line in response.iter_lines() if line]
    assert len(arrivals) >= 4
    assert arrivals[-1] - arrivals[0] > slow.pause  # of a buffered answer all arrive at once


def test_a_stream_cut_by_the_upstream_is_never_stored(
    gateway: Gateway, slow: MockUpstream, plan: str
) -> None:
    slow.pause, slow.stop_after = 0.0, 2
    question, calls = uuid.uuid4().hex, len(slow.requests)
    for _ in range(2):
        text = gateway.chat(question, stream=True, token_saving_plan_id=plan).text
        assert "upstream_invalid_response" in text
        assert "[DONE]" not in text
    assert len(slow.requests) == calls + 2


def test_a_client_that_leaves_stops_the_upstream(
    gateway: Gateway, slow: MockUpstream, plan: str
) -> None:
    before = slow.cancelled
    body = {
        "model": ROUTE,
        "messages": [{"role": "user", "content": uuid.uuid4().hex}],
        "stream": True,
        "token_saving_plan_id": plan,
    }
    headers = {"authorization": f"Bearer {gateway.virtual_key}"}
    with httpx.stream(
        "POST", f"{gateway.url}/v1/chat/completions", json=body, headers=headers
    ) as response:
        next(response.iter_bytes())
    deadline = time.monotonic() + 2
    while slow.cancelled == before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert slow.cancelled == before + 1
