"""A fast mock of OpenAI's chat API: a bare asyncio protocol, some 40,000 answers a second per core.

    python -m mock_providers.fast --port 9000

Each answer's text begins with the question in brackets, so that a wrong answer is recognised. `GET
/ledger` returns the requests and tokens counted under `/v1`; the same API under `/direct`, for
measuring the upstream alone, is not counted. A stream whose request has `metadata: {"chunks": "50",
"every_ms": "100"}` sends that many chunks on that schedule, each with its number and the time it
was due (`time.monotonic_ns`). Shapes: platform.openai.com/docs/api-reference/chat (object,
streaming).
"""

import argparse
import asyncio
import itertools
import time
from typing import Any, cast

import orjson
import uvloop

COMPLETION = (
    b'{"id":"chatcmpl-bench-%d","object":"chat.completion","created":%d,'
    b'"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":%b,"refusal":null,"annotations":[]},"logprobs":null,'
    b'"finish_reason":"stop"}],"usage":%b,"service_tier":"default",'
    b'"system_fingerprint":"fp_bench"}'
)
CHUNK = (
    b'data: {"id":"chatcmpl-bench-%d","object":"chat.completion.chunk","created":%d,'
    b'"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_bench",'
    b'"choices":%b,"usage":%b}\n\n'
)
DELTA = b'[{"index":0,"delta":%b,"logprobs":null,"finish_reason":%b}]'
USAGE = (
    b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,'
    b'"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},'
    b'"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}'
)
TEXT = (
    " You can do that in the app under Account, then Requests. It usually takes between three "
    "and five working days."
)
PLAIN_CHUNKS = 8


class Ledger:
    """Counts of requests and tokens under `/v1`, to compare with the gateway's ledger."""

    def __init__(self) -> None:
        self.seen = {"requests": 0, "prompt_tokens": 0, "completion_tokens": 0}
        self.numbers = itertools.count(1)

    def usage(self, path: bytes, raw: bytes, completion: int) -> bytes:
        """Count a request under `/v1` and return its usage object."""
        # A token is four bytes here: both ledgers must agree on the bill, it need not be right.
        prompt = len(raw) // 4
        if path.startswith(b"/v1/"):
            self.seen["requests"] += 1
            self.seen["prompt_tokens"] += prompt
            self.seen["completion_tokens"] += completion
        return USAGE % (prompt, completion, prompt + completion)


class Upstream(asyncio.Protocol):
    """One client connection."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._held = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self._held:
            data = self._held + data
        end = data.find(b"\r\n\r\n")
        head = data[:end].lower()
        start = head.find(b"content-length: ")
        length = int(head[start + 16 :].partition(b"\r")[0]) if start >= 0 else 0
        if end < 0 or len(data) < end + 4 + length:
            self._held = data
            return
        self._held = b""
        method, path, _ = data.split(b" ", 2)
        if method == b"POST":
            self._complete(path, data[end + 4 :])
        elif path == b"/ledger":
            self._reply(orjson.dumps(self._ledger.seen))
        else:
            self._reply(
                b'{"object":"list","data":[{"id":"gpt-4o-mini","object":"model",'
                b'"created":1721172741,"owned_by":"bench"}]}'
            )

    def _complete(self, path: bytes, raw: bytes) -> None:
        asked = orjson.loads(raw)
        number, created = next(self._ledger.numbers), int(time.time())
        if asked.get("stream"):
            self._stream(path, raw, asked, number, created)
            return
        text = orjson.dumps(f"[{asked['messages'][-1]['content']}]{TEXT}")
        self._reply(
            COMPLETION % (number, created, text, self._ledger.usage(path, raw, len(text) // 4))
        )

    def _reply(self, body: bytes) -> None:
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            % len(body)
            + body
        )

    def _stream(
        self, path: bytes, raw: bytes, asked: dict[str, Any], number: int, created: int
    ) -> None:
        """Send the role, each chunk when it is due, then the finish reason and the usage."""
        pace = asked.get("metadata") or {}
        chunks, every = int(pace.get("chunks", PLAIN_CHUNKS)), int(pace.get("every_ms", 0)) / 1000
        usage = self._ledger.usage(path, raw, chunks)
        begin = asyncio.get_running_loop().time()
        begin_ns = time.monotonic_ns()

        def chunk(delta: bytes, finish: bytes = b"null") -> bytes:
            return CHUNK % (number, created, DELTA % (delta, finish), b"null")

        def send(place: int) -> None:
            if place == chunks:
                last = (
                    chunk(b"{}", b'"stop"')
                    + CHUNK % (number, created, b"[]", usage)
                    + b"data: [DONE]\n\n"
                )
                self._transport.write(_chunked(last) + b"0\r\n\r\n")
                return
            due = begin_ns + round(place * every * 1e9)
            self._transport.write(_chunked(chunk(b'{"content":"#%d %d# "}' % (place, due))))
            self._timer = asyncio.get_running_loop().call_at(
                begin + (place + 1) * every, send, place + 1
            )

        head = (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        opening = chunk(
            b'{"role":"assistant","content":%b}'
            % orjson.dumps(f"[{asked['messages'][-1]['content']}] ")
        )
        self._transport.write(head + _chunked(opening))
        send(0)


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def serve(port: int) -> None:
    """Serve on the loopback interface until the process ends."""
    ledger = Ledger()
    server = await asyncio.get_running_loop().create_server(
        lambda: Upstream(ledger), "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(
        description="A fast, signed, OpenAI-shaped upstream on the loopback interface."
    )
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
