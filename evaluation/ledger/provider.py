"""A provider that keeps its own books: every call with the id it came with,
its tokens and what it costs. `GET /ledger` shows them.

It bills the prompt once it has read it and what it said until it was done or nobody listened. Words
in a question tell it what to do: `[error]` answers 500 and bills nothing, `[cut]` breaks a stream
off in the middle, `[slow]` takes its time. Every other prompt is found half in its prefix cache and
costs less. Prices are dollars for a million tokens, written down here a second time on purpose.
"""

import asyncio
import hashlib
import itertools
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson
import uvicorn

from proxy.core.tokens import count_prompt_tokens, count_text, find_encoding

PRICES = {  # input, input from the prefix cache, output
    "gpt-4o-mini": (Decimal("0.15"), Decimal("0.075"), Decimal("0.60")),
    "gpt-4o": (Decimal("2.50"), Decimal("1.25"), Decimal("10.00")),
    "gpt-4.1-nano": (Decimal("0.10"), Decimal("0.025"), Decimal("0.40")),
}
PIECES = 6  # of a streamed answer
BRISK, SLOW = 0.002, 0.15  # seconds before the answer and between its pieces


@dataclass(slots=True)
class Entry:
    """One call in the books."""

    id: str
    model: str
    prompt: int = 0
    cached: int = 0
    said: str = ""

    def completion(self) -> int:
        return count_text(self.said, find_encoding(self.model)[0]) if self.said else 0

    def row(self) -> dict[str, Any]:
        full, read, out = PRICES[self.model]
        completion = self.completion()
        cost = (
            full * (self.prompt - self.cached) + read * self.cached + out * completion
        ) / 1_000_000
        return {
            "id": self.id,
            "model": self.model,
            "prompt_tokens": self.prompt,
            "completion_tokens": completion,
            "cost_usd": f"{cost:f}",
        }


class Provider:
    """The ASGI application. `books`: every call it began, in order."""

    def __init__(self) -> None:
        self.books: list[Entry] = []
        self._numbers = itertools.count()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raw, more = b"", True
        while more:
            message = await receive()
            raw, more = raw + message.get("body", b""), message.get("more_body", False)
        if scope["path"] == "/ledger":
            calls = await asyncio.to_thread(lambda: [entry.row() for entry in list(self.books)])
            await _reply(send, 200, {"calls": calls})
            return
        asked = orjson.loads(raw)
        entry = Entry(dict(scope["headers"])[b"x-request-id"].decode(), asked["model"])
        self.books.append(entry)
        await self._answer(asked, entry, receive, send)

    async def _answer(self, asked: dict[str, Any], entry: Entry, receive: Any, send: Any) -> None:
        question = str(asked["messages"][-1]["content"])
        if "[error]" in question:
            await _reply(
                send,
                500,
                {
                    "error": {
                        "message": "The model is overloaded.",
                        "type": "server_error",
                        "param": None,
                        "code": None,
                    }
                },
            )
            return
        entry.prompt = count_prompt_tokens(asked["messages"], find_encoding(entry.model)[0])
        digest = hashlib.sha256(question.encode()).hexdigest()
        entry.cached = entry.prompt // 2 if digest[0] < "8" else 0
        text = (
            f"This is known about {digest[:12]}: it takes {int(digest[:4], 16)} steps, and the "
            f"last of them is number {digest[12:24]}."
        )
        pause, gone = SLOW if "[slow]" in question else BRISK, asyncio.create_task(receive())
        try:
            if await _left(gone, pause):
                return
            if asked.get("stream"):
                await self._stream(asked, entry, text, lambda: _left(gone, pause), send)
            else:
                entry.said = text
                await _reply(send, 200, self._completion(entry, text))
        finally:
            gone.cancel()

    async def _stream(
        self,
        asked: dict[str, Any],
        entry: Entry,
        text: str,
        left: Callable[[], Awaitable[bool]],
        send: Any,
    ) -> None:
        head = {
            "id": f"chatcmpl-{next(self._numbers)}",
            "object": "chat.completion.chunk",
            "created": 1_760_000_000,
            "model": entry.model,
        }
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        words, cut = text.split(" "), "[cut]" in asked["messages"][-1]["content"]
        step = -(-len(words) // PIECES)
        for place in range(0, len(words), step):
            if cut and place >= len(words) // 2:
                return  # without the end of the body: the connection is dropped
            piece = (
                " ".join(words[place : place + step])
                if place == 0
                else " " + " ".join(words[place : place + step])
            )
            entry.said += piece
            choice = {
                "index": 0,
                "delta": {"role": "assistant", "content": piece},
                "logprobs": None,
                "finish_reason": None,
            }
            await _event(send, orjson.dumps({**head, "choices": [choice]}))
            if await left():
                return
        await _event(
            send,
            orjson.dumps(
                {
                    **head,
                    "choices": [
                        {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
                    ],
                }
            ),
        )
        if (asked.get("stream_options") or {}).get("include_usage"):
            await _event(send, orjson.dumps({**head, "choices": [], "usage": _usage(entry)}))
        await _event(send, b"[DONE]", more=False)

    def _completion(self, entry: Entry, text: str) -> dict[str, Any]:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
        head = {
            "id": f"chatcmpl-{next(self._numbers)}",
            "object": "chat.completion",
            "created": 1_760_000_000,
            "model": entry.model,
        }
        return {**head, "choices": [choice], "usage": _usage(entry)}


async def _left(gone: "asyncio.Task[Any]", seconds: float) -> bool:
    """Whether the caller left within that time."""
    return bool((await asyncio.wait({gone}, timeout=seconds))[0])


def _usage(entry: Entry) -> dict[str, Any]:
    completion = entry.completion()
    return {
        "prompt_tokens": entry.prompt,
        "completion_tokens": completion,
        "total_tokens": entry.prompt + completion,
        "prompt_tokens_details": {"cached_tokens": entry.cached, "audio_tokens": 0},
    }


async def _event(send: Any, data: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": b"data: %b\n\n" % data, "more_body": more})


async def _reply(send: Any, status: int, body: dict[str, Any]) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", b"application/json")],
        }
    )
    await send({"type": "http.response.body", "body": orjson.dumps(body)})


@contextmanager
def providing() -> Iterator[tuple[str, Provider]]:
    """The provider on a free port of the loopback interface, in a thread:
    its address, without path."""
    provider = Provider()
    server = uvicorn.Server(
        uvicorn.Config(provider, host="127.0.0.1", port=0, log_level="critical", lifespan="off")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", provider
    finally:
        server.should_exit = True
        thread.join(10)
