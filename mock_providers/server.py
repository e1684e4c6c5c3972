"""A scripted mock provider: an ASGI application, and functions that serve it.

A script maps a request to an `Answer`: the completion, whole or streamed, the status, the delays
and where the connection breaks.

    def script(asked: Asked) -> Answer:
        return Answer(completion=shapes.build_completion("Pay by card.", ...), delay=0.3)

    with serve_in_thread(MockProvider(script)) as url:  # http://127.0.0.1:<port>
        ...
"""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import uvicorn

from mock_providers import shapes

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
WORDS_PER_CHUNK = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A received request; `body`: its parsed JSON, None if invalid; `caller`: the client's port."""

    method: str
    path: str
    headers: dict[bytes, bytes]
    raw: bytes
    body: Any
    caller: int

    @property
    def wants_stream(self) -> bool:
        return isinstance(self.body, dict) and bool(self.body.get("stream"))

    @property
    def wants_usage(self) -> bool:
        """Whether the request asks for the usage at the end of the stream."""
        return bool((self.body.get("stream_options") or {}).get("include_usage"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The reply to one request; times in seconds.

    `completion` is streamed if the request asks for a stream. Without one, `body` is sent under
    `status`.
    """

    completion: shapes.Body | None = None
    # Any JSON, or raw bytes.
    body: Any = None
    status: int = 200
    # Before the first byte.
    delay: float = 0.0
    # Of a stream, instead of the generated events.
    events: Iterable[bytes] | None = None
    # After each event.
    event_delay: float = 0.0
    # Ends the stream early; with a broken connection if `breaks`.
    max_events: int | None = None
    breaks: bool = False
    # Called with the number of each event after it was sent, with 0 for a whole body.
    sent: Callable[[int], None] = lambda number: None


Script = Callable[[Asked], Answer | Awaitable[Answer]]


@dataclass
class MockProvider:
    """The ASGI application.

    `asked`: all requests in order of arrival; `cancelled`: clients that disconnected before the end
    of their answer.
    """

    script: Script
    asked: list[Asked] = field(default_factory=list)
    cancelled: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        asked = await _read_request(scope, receive)
        self.asked.append(asked)
        answer = self.script(asked)
        if inspect.isawaitable(answer):
            answer = await answer
        gone = asyncio.ensure_future(receive())
        try:
            if await _leaves_within(gone, answer.delay):
                self.cancelled += 1
            elif answer.completion is not None and asked.wants_stream:
                events = answer.events or _build_events(asked, answer.completion)
                await self._stream(answer, events, gone, send)
            else:
                await _send_whole(answer, send)
        finally:
            gone.cancel()

    async def _stream(
        self, answer: Answer, events: Iterable[bytes], gone: "asyncio.Future[Any]", send: Send
    ) -> None:
        await _start(send, answer.status, b"text/event-stream; charset=utf-8")
        for number, event in enumerate(events):
            if number == answer.max_events:
                break
            await send({"type": "http.response.body", "body": event, "more_body": True})
            answer.sent(number)
            if await _leaves_within(gone, answer.event_delay):
                self.cancelled += 1
                return
        if not answer.breaks:
            await send({"type": "http.response.body", "body": b""})


@contextmanager
def serve_in_thread(application: Any) -> Iterator[str]:
    """Serve the application on a free loopback port until the block ends; yield its base URL."""
    config = uvicorn.Config(
        application, host="127.0.0.1", port=0, log_level="critical", lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the mock provider did not start")
        threading.Event().wait(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def serve(application: Any, port: int) -> None:
    """Serve the application in this process until it ends."""
    uvicorn.run(application, host="127.0.0.1", port=port, log_level="warning", access_log=False)


async def _read_request(scope: Scope, receive: Receive) -> Asked:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    raw = b"".join(parts)
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = None
    return Asked(
        method=scope["method"],
        path=scope["path"],
        headers=dict(scope["headers"]),
        raw=raw,
        body=body,
        caller=scope["client"][1],
    )


def _build_events(asked: Asked, completion: shapes.Body) -> Iterator[bytes]:
    return shapes.encode_events(
        shapes.iter_chunks(completion, include_usage=asked.wants_usage, words=WORDS_PER_CHUNK)
    )


async def _send_whole(answer: Answer, send: Send) -> None:
    said = answer.body if answer.completion is None else answer.completion
    body = said if isinstance(said, bytes) else orjson.dumps(said)
    await _start(send, answer.status, b"application/json")
    await send({"type": "http.response.body", "body": body})
    answer.sent(0)


async def _start(send: Send, status: int, media_type: bytes) -> None:
    headers = [(b"content-type", media_type)]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _leaves_within(gone: "asyncio.Future[Any]", seconds: float) -> bool:
    return bool((await asyncio.wait({gone}, timeout=seconds))[0])
