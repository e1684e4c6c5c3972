"""An OpenAI-shaped upstream that says what a test tells it to, on a real socket,
in a thread of the test process."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import uvicorn

from proxy.core.formats import sse


def completion(
    text: str = "Pay by card.", *, finish: str = "stop", **message: Any
) -> dict[str, Any]:
    """A whole `chat.completion` as OpenAI sends one, usage included."""
    return {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion",
        "created": 1741569952,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": text,
                    "refusal": None,
                    "annotations": [],
                }
                | message,
                "logprobs": None,
                "finish_reason": finish,
            }
        ],
        "usage": {
            "prompt_tokens": 19,
            "completion_tokens": 10,
            "total_tokens": 29,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
        "service_tier": "default",
        "system_fingerprint": "fp_44709d6fcb",
    }


@dataclass
class MockUpstream:
    """`says`: the next answers' completion; `makes`: one made from the request instead;
    `status`/`body`: an error instead; `refuses`: why messages are answered with 400, "" where they
    are not; `callers`: from which port each request came; `pause`: seconds between stream events.
    """

    port: int = 0
    says: dict[str, Any] = field(default_factory=completion)
    makes: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    status: int = 200
    body: bytes = b""
    refuses: Callable[[list[Any]], str] = lambda messages: ""
    pause: float = 0.0
    stop_after: int | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)
    cancelled: int = 0
    callers: list[int] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def forget(self) -> None:
        """Be as at first, on the same port."""
        for name, value in vars(MockUpstream(self.port)).items():
            setattr(self, name, value)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raw = b""
        more = True
        while more:
            message = await receive()
            raw += message.get("body", b"")
            more = message.get("more_body", False)
        asked = orjson.loads(raw)
        self.requests.append(asked)
        self.callers.append(scope["client"][1])
        if reason := self.refuses(asked.get("messages", [])):
            await _whole(
                send,
                400,
                orjson.dumps({"error": {"message": reason, "type": "invalid_request_error"}}),
            )
        elif self.status != 200:
            await _whole(send, self.status, self.body)
        elif asked.get("stream"):
            await self._stream(asked, receive, send)
        else:
            await asyncio.sleep(self.pause)
            await _whole(send, 200, orjson.dumps(self._completion(asked)))

    def _completion(self, asked: dict[str, Any]) -> dict[str, Any]:
        return self.makes(asked) if self.makes else self.says

    async def _stream(self, asked: dict[str, Any], receive: Any, send: Any) -> None:
        usage = bool((asked.get("stream_options") or {}).get("include_usage"))
        gone = asyncio.create_task(receive())
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        for number, event in enumerate(
            sse.replay_completion(self._completion(asked), include_usage=usage)
        ):
            if number == self.stop_after:
                break
            await send({"type": "http.response.body", "body": event, "more_body": True})
            done, _ = await asyncio.wait({gone}, timeout=self.pause)
            if done:
                self.cancelled += 1
                return
        gone.cancel()
        await send({"type": "http.response.body", "body": b""})


async def _whole(send: Any, status: int, body: bytes) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", b"application/json")],
        }
    )
    await send({"type": "http.response.body", "body": body})


@contextmanager
def running_upstream() -> Iterator[MockUpstream]:
    """The upstream, listening on a free port until the block ends."""
    upstream = MockUpstream()
    server = uvicorn.Server(uvicorn.Config(upstream, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    upstream.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.should_exit = True
        thread.join(5)
