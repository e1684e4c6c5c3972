"""Streams in the dialects of many providers go through the gateway byte for byte,
and come back from the cache the same or not at all."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from mock_providers.raw_bytes import STREAM, Script, ScriptedProvider, running_provider
from tests.support.gateways import ROUTE, Gateway, running_gateway
from tests.support.upstream import MockUpstream

PLAN = "dialects"
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1741569952, "model": "m"}
USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


def chunk(delta: Any = None, finish: str | None = None, **fields: Any) -> bytes:
    """One event of a stream, as OpenAI writes it."""
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish}
    return said({**HEAD, "choices": [choice], **fields})


def said(value: Any, *, end: bytes = b"\n\n") -> bytes:
    return b"data: " + json.dumps(value).encode() + end


def call(index: Any = ..., **fields: Any) -> dict[str, Any]:
    return {"tool_calls": [fields if index is ... else {"index": index, **fields}]}


def function(name: str | None = None, arguments: str = "") -> dict[str, Any]:
    return {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}


OPEN, A, B, STOP, CALLED = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "a"}),
    chunk({"content": "b"}),
    chunk({}, "stop"),
    chunk({}, "tool_calls"),
)
LAST, DONE = said({**HEAD, "choices": [], "usage": USAGE}), b"data: [DONE]\n\n"
PLAIN = (OPEN, A, B, STOP, LAST, DONE)
THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "Hmm"}]}
DETAIL = {"type": "reasoning.text", "index": 0}
LOOK = {"id": "a", "type": "function", "function": function("look", '{"x":')}
BIG = "A" * 3_000_000

STREAMS: dict[str, tuple[bytes, ...]] = {
    "plain": PLAIN,
    "tool call from index 1": (
        OPEN,
        A,
        chunk(call(1, **LOOK)),
        chunk(call(1, function=function(None, "1}"))),
        CALLED,
        LAST,
        DONE,
    ),
    "tool call index null": (
        chunk(call(None, **LOOK)),
        chunk(call(None, function=function(None, "1}"))),
        CALLED,
        DONE,
    ),
    "tool calls without index": (
        chunk(call(**LOOK)),
        chunk(call(id="b", type="function", function=function("find", "{}"))),
        CALLED,
        DONE,
    ),
    "tool calls out of order": (
        chunk(call(1, **LOOK)),
        chunk(call(0, id="b", type="function", function=function("find", "{}"))),
        CALLED,
        DONE,
    ),
    "all tool calls of index 0": (
        chunk(call(0, **LOOK)),
        chunk(call(0, id="b", type="function", function=function("find", "{}"))),
        CALLED,
        DONE,
    ),
    "tool call index as text": (chunk(call("0", **LOOK)), CALLED, DONE),
    "empty id in later deltas": (
        chunk(call(0, **LOOK)),
        chunk(call(0, id="", type="function", function=function(None, "1}"))),
        CALLED,
        DONE,
    ),
    "name in every delta": (
        chunk(call(0, **LOOK)),
        chunk(call(0, function=function("look", "1}"))),
        CALLED,
        DONE,
    ),
    "empty tool calls in every delta": (
        chunk({"content": "a", "tool_calls": []}),
        chunk({"content": "b", "tool_calls": []}, "stop"),
        DONE,
    ),
    "legacy function call": (
        chunk({"function_call": {"name": "look", "arguments": "{"}}),
        chunk({"function_call": {"arguments": "}"}}),
        chunk({}, "function_call"),
        DONE,
    ),
    "arguments as an object": (
        chunk(call(0, id="a", type="function", function={"name": "look", "arguments": {"x": 1}})),
        CALLED,
        DONE,
    ),
    "thought signature": (
        chunk(call(0, **LOOK, extra_content={"google": {"thought_signature": "c2ln"}})),
        chunk(call(0, function=function(None, "1}"))),
        CALLED,
        DONE,
    ),
    "content parts then text": (
        chunk({"role": "assistant", "content": [THINKING]}),
        chunk({"content": [THINKING]}),
        chunk({"content": "4"}),
        STOP,
        DONE,
    ),
    "text then content parts": (A, chunk({"content": [THINKING]}), B, STOP, DONE),
    "content parts alone": (
        chunk({"content": [{"type": "text", "text": "a"}]}),
        chunk({"content": [{"type": "text", "text": "b"}]}),
        STOP,
        DONE,
    ),
    "content as an object": (chunk({"content": {"text": "a"}}), STOP, DONE),
    "infinite log probability": (
        OPEN,
        A.replace(
            b'"finish_reason": null',
            (
                b'"finish_reason": null, "logprobs": {"content": [{"token": "a", '
                b'"logprob": -Infinity}]}'
            ),
        ),
        STOP,
        DONE,
    ),
    "NaN beside the choices": (
        OPEN,
        A.replace(b'"model": "m"', b'"model": "m", "took": NaN'),
        STOP,
        DONE,
    ),
    "halves of a surrogate pair": (
        OPEN,
        A.replace(b'"a"', b'"\\ud83d"'),
        A.replace(b'"a"', b'"\\ude00"'),
        STOP,
        DONE,
    ),
    "long integer": (
        OPEN,
        A.replace(b'"model": "m"', b'"model": "m", "seed": 123456789012345678901234567890'),
        STOP,
        DONE,
    ),
    "duplicate names": (
        A.replace(b'"content": "a"', b'"content": "x", "content": "a"'),
        STOP,
        DONE,
    ),
    "invalid UTF-8": (A.replace(b'"a"', b'"\xff"'), STOP, DONE),
    "reasoning_content": (
        chunk({"role": "assistant", "reasoning_content": "Think "}),
        chunk({"reasoning_content": "more"}),
        A,
        STOP,
        LAST,
        DONE,
    ),
    "reasoning_details with a signature": (
        chunk({"content": "", "reasoning_details": [{**DETAIL, "text": "I "}]}),
        chunk({"reasoning_details": [{**DETAIL, "text": "think"}]}),
        chunk({"reasoning_details": [{**DETAIL, "signature": "s=="}]}),
        A,
        STOP,
        DONE,
    ),
    "thinking blocks in pieces": (
        chunk({"thinking_blocks": [{"type": "thinking", "thinking": "I"}]}),
        chunk({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "s"}]}),
        A,
        STOP,
        DONE,
    ),
    "filter results, no choices first": (
        said({**HEAD, "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}),
        chunk({"content": "a"}, content_filter=1),
        STOP,
        DONE,
    ),
    "comments": (
        b": OPENROUTER PROCESSING\n\n",
        A,
        b": OPENROUTER PROCESSING\n\n",
        b":\n\n",
        STOP,
        DONE,
    ),
    "native finish reason": (
        A,
        said(
            {
                **HEAD,
                "provider": "x",
                "choices": [
                    {
                        "index": 0,
                        "delta": {},
                        "finish_reason": "stop",
                        "native_finish_reason": "end_turn",
                    }
                ],
            }
        ),
        DONE,
    ),
    "usage in every chunk": (
        chunk({"content": "a"}, usage=USAGE),
        chunk({"content": "b"}, usage=USAGE),
        chunk({}, "stop", usage=USAGE),
        DONE,
    ),
    "usage without choices": (A, STOP, said({**HEAD, "usage": USAGE}), DONE),
    "choices null": (A, STOP, said({**HEAD, "choices": None, "usage": USAGE}), DONE),
    "delta null": (
        A,
        said({**HEAD, "choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]}),
        DONE,
    ),
    "message in the last chunk": (
        A,
        said(
            {
                **HEAD,
                "choices": [
                    {
                        "index": 0,
                        "delta": {},
                        "message": {"role": "assistant", "content": "a"},
                        "finish_reason": "stop",
                    }
                ],
            }
        ),
        DONE,
    ),
    "choice index missing": (
        said({**HEAD, "choices": [{"delta": {"content": "a"}}]}),
        said({**HEAD, "choices": [{"delta": {}, "finish_reason": "stop"}]}),
        DONE,
    ),
    "choice index as a list": (
        said({**HEAD, "choices": [{"index": [0], "delta": {"content": "a"}}]}),
        STOP,
        DONE,
    ),
    "two choices, mixed": (
        said(
            {**HEAD, "choices": [{"index": 1, "delta": {"content": "x"}, "finish_reason": "stop"}]}
        ),
        A,
        STOP,
        DONE,
    ),
    "CRLF": tuple(each.replace(b"\n", b"\r\n") for each in PLAIN),
    "CR alone": tuple(each.replace(b"\n", b"\r") for each in PLAIN),
    "mixed line ends": (
        OPEN,
        A.replace(b"\n\n", b"\r\n\n"),
        B.replace(b"\n\n", b"\n\r\n"),
        STOP.replace(b"\n\n", b"\r\r"),
        DONE,
    ),
    "one line end between events": tuple(each[:-1] for each in PLAIN),
    "byte by byte": tuple(
        bytes([each]) for each in b"".join((A, STOP, DONE)).replace(b"\n", b"\r\n")
    ),
    "no DONE": (A, STOP),
    "no blank line at the end": (A, STOP, DONE[:-2]),
    "no finish": (A, B, DONE),
    "no blank after data:": tuple(each.replace(b"data: ", b"data:") for each in PLAIN),
    "byte order mark": (b"\xef\xbb\xbf" + A, STOP, DONE),
    "data over two lines": (
        (
            b'data: {"choices": [{"index": 0,\n'
            b'data: "delta": {"content": "a"}, "finish_reason": "stop"}]}\n\n'
        ),
        DONE,
    ),
    "event names and ids": (
        b"retry: 3000\n\n",
        b"id: 7\nevent: message\n" + A,
        b"id: 8\n" + STOP,
        DONE,
    ),
    "id after data": (A[:-1] + b"id: 7\n\n", STOP, DONE),
    "pings": (
        b"event: ping\n" + said({"type": "ping"}),
        A,
        b"event: ping\ndata: ping\n\n",
        STOP,
        DONE,
    ),
    "empty data": (b"data:\n\n", A, b"data: \n\n", STOP, DONE),
    "events that are not JSON": (A, b"data: hello there\n\n", STOP, DONE),
    "events that are arrays": (A, said([1, 2]), said([]), STOP, DONE),
    "events that are null": (A, said(None), said(7), said("x"), STOP, DONE),
    "choices as an object": (A, said({**HEAD, "choices": {"0": {}}}), STOP, DONE),
    "delta as a text": (A, chunk("b"), STOP, DONE),
    "error null": (chunk({"content": "a"}, error=None), STOP, DONE),
    "error in mid-stream": (
        A,
        said({"error": {"message": "Overloaded", "type": "server_error", "code": 503}}),
        DONE,
    ),
    "second finish": (A, STOP, STOP, chunk({}, "length"), DONE),
    "text after the finish": (A, STOP, B, DONE),
    "something after DONE": (*PLAIN, b"data: [DONE]\n\n", b": bye\n\n"),
    "obfuscation": (
        chunk({"content": "a"}, obfuscation="xY"),
        chunk({}, "stop", obfuscation=""),
        DONE,
    ),
    "audio": (
        chunk({"audio": {"id": "au", "data": "AA", "transcript": "h"}}),
        chunk({"audio": {"data": "BB", "transcript": "i", "expires_at": 7}}),
        STOP,
        DONE,
    ),
    "a picture of 3 MB": (
        OPEN,
        chunk(
            {
                "images": [
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{BIG}"}}
                ]
            }
        ),
        STOP,
        DONE,
    ),
    "citations beside the choices": (
        chunk({"content": "a"}, citations=["https://example.com"]),
        chunk({}, "stop", citations=["https://example.com"]),
        DONE,
    ),
    "chunks without choices": (A, said({"citations": ["https://example.com"]}), STOP, DONE),
    "Cohere's events": (
        said({"type": "message-start", "id": "1"}),
        said({"type": "content-delta", "delta": {"message": {"content": {"text": "a"}}}}),
        said({"type": "message-end"}),
        DONE,
    ),
    "Gemini's own events": (
        said({"candidates": [{"content": {"parts": [{"text": "a"}]}}]}, end=b"\r\n\r\n"),
        said({"candidates": [], "usageMetadata": {"promptTokenCount": 3}}, end=b"\r\n\r\n"),
    ),
    "JSON lines": tuple(each[6:-1] for each in (A, STOP)),
    "legacy completions": (
        said({**HEAD, "choices": [{"index": 0, "text": "a", "finish_reason": None}]}),
        said({**HEAD, "choices": [{"index": 0, "text": "b", "finish_reason": "stop"}]}),
        DONE,
    ),
    "Bedrock's metrics": (
        A,
        chunk({}, "stop", **{"amazon-bedrock-invocationMetrics": {"inputTokenCount": 3}}),
        DONE,
    ),
}
# Beside the bytes: status, headers and how the body ends.
OTHERS: dict[str, Script] = {
    "media type in other letters": Script(
        PLAIN, ("Content-Type: Text/Event-Stream;charset=UTF-8",)
    ),
    "octets": Script(PLAIN, ("content-type: application/octet-stream",)),
    "no media type": Script(PLAIN, ()),
    "JSON's media type": Script(PLAIN, ("content-type: application/json",)),
    "comment first and no media type": Script((b": hello\n\n", *PLAIN), ()),
    "status 201": Script(PLAIN, status="201 Created"),
    "closed, not chunked": Script(PLAIN, chunked=False),
    "gzip": Script((gzip.compress(b"".join(PLAIN)),), (*STREAM, "content-encoding: gzip")),
}
SCRIPTS = {name: Script(pieces) for name, pieces in STREAMS.items()} | OTHERS
NEVER_KEPT = {
    "content as an object", "choice index as a list", "tool call index as text", "text then content parts", "events that are not JSON",
    "events that are arrays", "events that are null", "choices as an object", "delta as a text", "halves of a surrogate pair",
    "invalid UTF-8",
    "infinite log probability", "NaN beside the choices", "long integer", "error in mid-stream", "a picture of 3 MB", "Cohere's events",
    "Gemini's own events", "JSON lines", "legacy completions", "chunks without choices", "thinking blocks in pieces", "no finish",
}  # fmt: skip
KEPT = {
    "plain", "content parts then text", "reasoning_content", "reasoning_details with a signature", "comments", "CRLF", "CR alone",
    "one line end between events", "data over two lines", "status 201", "octets", "no media type", "gzip", "obfuscation", "no DONE",
    "empty tool calls in every delta", "usage in every chunk", "two choices, mixed", "something after DONE", "event names and ids",
}  # fmt: skip


@pytest.fixture(scope="module")
def provider() -> Iterator[ScriptedProvider]:
    with running_provider(SCRIPTS) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    with running_gateway(
        MockUpstream(port=provider.port), tmp_path_factory.mktemp("gateway")
    ) as running:
        made = running.api(
            "POST", "/token-saving/plans", json={"plan_name": PLAN, "cache": {"backend": None}}
        )
        assert made.status_code == 201, made.text
        running.wait_plan(PLAN)
        yield running


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30) as made:
        yield made


def asked(name: str, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": name}]
    return {
        "model": ROUTE,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        **fields,
    }


def through(client: httpx.Client, gateway: Gateway, name: str, **fields: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {gateway.virtual_key}"}
    return client.post(
        f"{gateway.url}/v1/chat/completions", json=asked(name, **fields), headers=headers
    )


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_dialect_goes_through_as_it_is_and_comes_back_the_same_or_not_at_all(
    gateway: Gateway, provider: ScriptedProvider, client: httpx.Client, name: str
) -> None:
    direct = client.post(
        f"http://127.0.0.1:{provider.port}/v1/chat/completions", json=asked(name)
    ).content
    unplanned = through(client, gateway, name)
    assert (unplanned.status_code, unplanned.content) == (200, direct)
    missed = through(client, gateway, name, token_saving_plan_id=PLAN)
    assert (missed.headers["x-tokenthrift-cache"], missed.content) == ("miss", direct)
    again = through(client, gateway, name, token_saving_plan_id=PLAN)
    if again.headers["x-tokenthrift-cache"] == "miss":
        assert name not in KEPT
        assert again.content == direct
        return
    # Who comes while the first answer is still being settled shares it, kept or not.
    assert name not in NEVER_KEPT or "collapsed" in again.headers["cache-status"]
    assert again.content == direct or content_of(again.content) == content_of(direct)


def content_of(stream: bytes) -> dict[Any, Any]:
    """What a client that reads line by line makes of a stream,
    written out by hand so as not to trust the code under test."""
    found: dict[Any, Any] = {"calls": []}
    data: list[str] = []
    for line in [*stream.decode("utf-8", "replace").lstrip("\ufeff").splitlines(), ""]:
        if line.startswith("data:"):
            data.append(line[5:].strip())
        try:
            value = json.loads("\n".join(data))
        except ValueError:
            data = data if line else []
            continue
        data = []
        for choice in (value.get("choices") or ()) if isinstance(value, dict) else ():
            _take_choice(found, choice)
    found["calls"] = [
        (each.get("id"), each["name"], each["arguments"])
        for each in sorted(found["calls"], key=lambda each: each["index"])
    ]
    return found


def _take_choice(found: dict[Any, Any], choice: dict[str, Any]) -> None:
    index = choice.get("index") or 0
    if choice.get("finish_reason"):
        found["finish", index] = choice["finish_reason"]
    for name, value in (choice.get("delta") or {}).items():
        if name == "tool_calls":
            for each in value or ():
                _take_call(found["calls"], each)
        elif isinstance(value, str) and name != "role":
            found[index, name] = found.get((index, name), "") + value
        elif isinstance(value, list):
            found[index, name] = found.get((index, name), "") + "".join(_texts(value))
        for part, text in value.items() if isinstance(value, dict) else ():
            found[index, name, part] = found.get((index, name, part), "") + str(text)
    for key in [key for key, value in found.items() if value == "" and key != "calls"]:
        del found[key]


def _take_call(calls: list[dict[str, Any]], piece: dict[str, Any]) -> None:
    index, function_ = piece.get("index"), piece.get("function") or {}
    begun = [
        each
        for each in calls
        if (each["key"] == index if index is not None else each.get("id") == piece.get("id"))
    ]
    if not begun or (piece.get("id") and begun[-1].get("id") and piece["id"] != begun[-1]["id"]):
        begun = [
            {
                "key": index,
                "index": len(calls) if index is None else index,
                "id": "",
                "name": "",
                "arguments": "",
            }
        ]
        calls.append(begun[-1])
    begun[-1]["id"] = begun[-1]["id"] or piece.get("id") or ""
    begun[-1]["name"] = begun[-1]["name"] or function_.get("name") or ""
    begun[-1]["arguments"] += str(function_.get("arguments") or "")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for each in value.items() if isinstance(value, dict) else ():
        if each[0] in ("text", "thinking", "signature", "data", "transcript", "name", "arguments"):
            yield from _texts(each[1])
    for each in value if isinstance(value, list) else ():
        yield from _texts(each)


def test_at_least_forty_dialects_are_spoken() -> None:
    assert len({script.pieces for script in SCRIPTS.values()}) >= 60
