"""A labelled upstream: OpenAI's chat API in its own process, for the demo and for tests.

Of the gateway it uses the token count alone.

    python -m demo.upstream --port 9000 --latency-ms 300

Each answer carries the label of the question asked (`demo.answers`). Prompts are counted as the
provider bills them. `GET /ledger` tells what this process saw: requests, prompt tokens and
completion tokens, to be held against the gateway's own figures. Shapes:
platform.openai.com/docs/api-reference/chat (object, streaming, errors).
"""

import argparse
import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import orjson
import uvicorn

from demo.answers import answer, label_of
from proxy.core.tokens import count_prompt_tokens, count_text, find_encoding

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Body = dict[str, Any]

MODEL = "gpt-4o-mini"
WORDS_PER_CHUNK = 8


class DemoUpstream:
    """The ASGI application.

    `latency` in seconds passes before the first byte of every completion.
    """

    def __init__(self, *, latency: float) -> None:
        self.latency = latency
        self.ledger = {"requests": 0, "prompt_tokens": 0, "completion_tokens": 0}
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        match (scope["method"], scope["path"].rstrip("/")):
            case ("POST", "/v1/chat/completions"):
                await self._complete(await _read(receive), send)
            case ("GET", "/v1/models"):
                model = {
                    "id": MODEL,
                    "object": "model",
                    "created": 1721172741,
                    "owned_by": "tokenthrift-demo",
                }
                await _reply(send, 200, {"object": "list", "data": [model]})
            case ("GET", "/ledger"):
                await _reply(send, 200, self.ledger)
            case (method, path):
                await _reply(send, 404, _error(f"Invalid URL ({method} {path})"))

    async def _complete(self, raw: bytes, send: Send) -> None:
        try:
            body = orjson.loads(raw)
            label = label_of(body)
            encoding, _ = find_encoding(body["model"])
            prompt = count_prompt_tokens(body["messages"], encoding)
        except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError) as error:
            await _reply(
                send,
                400,
                _error(f"The request is not a chat completion request: {type(error).__name__}"),
            )
            return
        text = answer(label)
        usage = _usage(prompt, count_text(text, encoding))
        self.ledger["requests"] += 1
        self.ledger["prompt_tokens"] += usage["prompt_tokens"]
        self.ledger["completion_tokens"] += usage["completion_tokens"]
        head = {
            "id": f"chatcmpl-demo-{next(self._numbers):08d}",
            "created": int(time.time()),
            "model": body["model"],
        }
        await asyncio.sleep(self.latency)
        if body.get("stream"):
            include_usage = bool((body.get("stream_options") or {}).get("include_usage"))
            await _stream(send, _chunks(head, text, usage if include_usage else None))
        else:
            await _reply(send, 200, _completion(head, text, usage))


def _usage(prompt: int, completion: int) -> Body:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _completion(head: Body, text: str, usage: Body) -> Body:
    message: Body = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {
        **head,
        "object": "chat.completion",
        "choices": [choice],
        "usage": usage,
        "service_tier": "default",
        "system_fingerprint": "fp_demo",
    }


def _chunks(head: Body, text: str, usage: Body | None) -> Iterator[Body]:
    """The same answer as OpenAI streams it: the role, the text in pieces, the finish reason and,
    when asked for, the usage."""
    base = {
        **head,
        "object": "chat.completion.chunk",
        "service_tier": "default",
        "system_fingerprint": "fp_demo",
    }
    if usage is not None:
        base["usage"] = None

    def chunk(delta: Body, finish: str | None = None) -> Body:
        return {
            **base,
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        }

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    words = text.split(" ")
    for start in range(0, len(words), WORDS_PER_CHUNK):
        piece = " ".join(words[start : start + WORDS_PER_CHUNK])
        yield chunk({"content": piece if start == 0 else f" {piece}"})
    yield chunk({}, "stop")
    if usage is not None:
        yield {**base, "choices": [], "usage": usage}


def _error(message: str) -> Body:
    return {
        "error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    }


async def _read(receive: Receive) -> bytes:
    parts = []
    while True:
        event = await receive()
        parts.append(event.get("body", b""))
        if not event.get("more_body"):
            return b"".join(parts)


async def _reply(send: Send, status: int, body: Body) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", b"application/json")],
        }
    )
    await send({"type": "http.response.body", "body": orjson.dumps(body)})


async def _stream(send: Send, chunks: Iterator[Body]) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/event-stream; charset=utf-8")],
        }
    )
    for chunk in chunks:
        await send(
            {
                "type": "http.response.body",
                "body": b"data: %s\n\n" % orjson.dumps(chunk),
                "more_body": True,
            }
        )
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


def main() -> None:
    parser = argparse.ArgumentParser(
        description="A labelled, OpenAI-shaped upstream on the loopback interface."
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--latency-ms", type=float, default=300.0, help="time to the first byte of a completion"
    )
    arguments = parser.parse_args()
    application = DemoUpstream(latency=arguments.latency_ms / 1000)
    uvicorn.run(
        application, host="127.0.0.1", port=arguments.port, log_level="warning", access_log=False
    )


if __name__ == "__main__":
    main()
