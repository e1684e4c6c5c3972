"""How long others wait while hostile input is worked on:
`python -m benchmarks.stalls` says it for each input, `make bench` the worst.

A second process asks the same worker for one small cached answer after another on one connection,
and notes its longest wait, while a client sends each input or a provider answers with it. Without
anything hostile that is `stall_nothing_ms`: what the machine itself does. In a workspace of its
own, since what is refused or cut is in nobody's count.
"""

import gzip
import json
import os
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from urllib.parse import urlsplit

import zstandard

from benchmarks import machine
from benchmarks.place import MODEL, place
from demo import stage
from demo.management_api import create_plan
from demo.processes import reach_loopback_directly
from demo.replay import ROUTE
from demo.workspace import ROOT, fresh

PLAN = "stalls"
PROBE_QUESTION = "How do I pay by card?"
LONGEST = 60.0  # seconds for one input
AFTER = 0.5  # seconds that the probe goes on
MEGABYTE = 1024 * 1024
CHUNK = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":%b,"finish_reason":%b}]}\n\n'
)
WHOLE = json.dumps(
    {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "By card."},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
    }
).encode()
HELLO: dict[str, object] = {"role": "user", "content": "hi"}
ASKED: dict[str, object] = {"role": "user", "content": "What is the capital of the moon?"}


def _chat(**fields: object) -> bytes:
    return json.dumps(
        {"model": ROUTE, "token_saving_plan_id": PLAN, "messages": [HELLO, ASKED], **fields}
    ).encode()


def _raw(fields: bytes) -> bytes:
    return _chat()[:-1] + b"," + fields + b"}"


HEADS: Mapping[str, Callable[[], bytes]] = {
    "header_64mb": lambda: (
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * (64 * MEGABYTE)
    ),
    "address_64mb": lambda: b"GET /v1/models?" + b"a" * (64 * MEGABYTE),
    "million_headers": lambda: b"GET /v1/models HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 1_000_000,
    "trailer_64mb": lambda: (
        (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: "
        )
        + b"a" * (64 * MEGABYTE)
    ),
}
BODIES: Mapping[str, Callable[[], bytes]] = {
    "370000_empty_messages": lambda: _chat(
        messages=[HELLO, *[{"role": "system", "content": ""}] * 370_000, ASKED]
    ),
    "10000_empty_messages": lambda: _chat(
        messages=[HELLO, *[{"role": "system", "content": ""}] * 9_990, ASKED]
    ),
    "10000_named_turns": lambda: _chat(
        messages=[*({"role": "user", "content": "", "name": str(n)} for n in range(9_990)), ASKED]
    ),
    "10000_short_turns": lambda: _chat(
        messages=[
            *({"role": ("user", "assistant")[n % 2], "content": "a"} for n in range(9_990)),
            ASKED,
        ]
    ),
    "million_empty_lists": lambda: _raw(b'"x":[' + b"[]," * 4_000_000 + b"[]]"),
    "490000_values": lambda: _raw(b'"x":[' + b"1," * 490_000 + b"1]"),
    "160000_keys": lambda: _raw(b'"x":{' + b",".join(b'"%d":1' % n for n in range(160_000)) + b"}"),
    "key_twice_of_160000": lambda: _raw(
        b'"x":{' + b",".join(b'"%d":1' % (n % 159_999) for n in range(160_000)) + b"}"
    ),
    "200000_calls": lambda: _chat(
        messages=[{"role": "assistant", "tool_calls": [{"id": "a"}] * 200_000}, ASKED]
    ),
    "490000_nul": lambda: _raw(b'"x":[' + rb'"\u0000",' * 490_000 + b"1]"),
    "400000_long_numbers": lambda: _raw(b'"x":[' + (b"1" * 30 + b",") * 400_000 + b"1]"),
    "text_15mb": lambda: _chat(
        messages=[{"role": "user", "content": "word, and: " * 1_400_000}, ASKED]
    ),
    "question_15mb": lambda: _chat(
        messages=[{"role": "user", "content": "word, and: " * 1_400_000}]
    ),
}
QUESTIONS: Mapping[str, Callable[[], bytes]] = {
    "order_and_blanks": lambda: _chat(
        messages=[{"role": "user", "content": "order" + " " * 900 + "x"}]
    ),
    "order_and_tabs": lambda: _chat(
        messages=[{"role": "user", "content": "ticket" + "\t" * 900 + "x"}]
    ),
    "thousand_marks": lambda: _chat(
        messages=[{"role": "user", "content": "a" + "\u0301" * 990 + "?"}]
    ),
    "thousand_stops": lambda: _chat(messages=[{"role": "user", "content": "." * 990 + "x"}]),
    "thousand_numbers": lambda: _chat(
        messages=[{"role": "user", "content": "1,2.3-4 " * 124 + "?"}]
    ),
}
STREAMS = ("200000_deltas", "event_15mb", "million_events_at_once", "call_in_100000_pieces")


class Provider(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Answers what the last message of a request names; everything else with a short completion."""

    daemon_threads = True
    allow_reuse_address = True


class _Answering(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while head := self._head():
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
            asked = json.loads(self.rfile.read(length))
            name = str(asked["messages"][-1].get("content"))
            if name not in STREAMS:
                self.wfile.write(
                    (
                        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                        b"content-length: %d\r\n\r\n"
                    )
                    % len(WHOLE)
                    + WHOLE
                )
                continue
            self.wfile.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
            )
            try:
                for piece in _stream(name):
                    self.wfile.write(piece)
            except OSError:  # the gateway has had enough
                pass
            return

    def _head(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in (b"", b"\r\n"):
            lines.append(line)
        return b"".join(lines)


def _stream(name: str) -> Iterator[bytes]:
    if name == "200000_deltas":
        for _ in range(2000):
            yield CHUNK % (b'{"content":"word "}', b"null") * 100
    elif name == "event_15mb":
        event = CHUNK % (b'{"content":"' + b"a" * (15 * MEGABYTE) + b'"}', b"null")
        for start in range(0, len(event), 16_384):
            yield event[start : start + 16_384]
    elif name == "million_events_at_once":
        yield b": \n\n" * 1_000_000
    else:
        call = b'{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"x"}}]}'
        for _ in range(1000):
            yield CHUNK % (call, b"null") * 100
    yield CHUNK % (b"{}", b'"stop"') + b"data: [DONE]\n\n"


@contextmanager
def provider() -> Iterator[str]:
    """The provider on a port of its own; its address."""
    with Provider(("127.0.0.1", 0), _Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()


def probe(address: tuple[str, int], payload: bytes, ends: str) -> float:
    """Ask again and again until the file of that name is there;
    the longest wait in milliseconds."""
    worst = 0.0
    with socket.create_connection(address, timeout=LONGEST * 2) as line:
        while not os.path.exists(ends):
            asked = time.perf_counter()
            line.sendall(payload)
            _whole(line)
            worst = max(worst, time.perf_counter() - asked)
            time.sleep(0.001)
    return worst * 1000


def _whole(line: socket.socket) -> bytes:
    held = b""
    while b"\r\n\r\n" not in held:
        held += _some(line)
    head, _, body = held.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += _some(line)
    return head


def _some(line: socket.socket) -> bytes:
    if not (found := line.recv(65_536)):
        raise RuntimeError("The gateway closed the probe's connection.")
    return found


def send(address: tuple[str, int], data: bytes) -> bytes:
    """Send it all, or as much as is taken, and return how the answer begins."""
    try:
        with socket.create_connection(address, timeout=LONGEST) as line:
            with suppress(OSError):
                line.sendall(data)
            begins = line.recv(64)
            while line.recv(MEGABYTE):
                pass
            return begins
    except OSError:
        return b""


def posted(body: bytes, key: str, *more: str) -> bytes:
    head = [
        "POST /v1/chat/completions HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {key}",
        f"Content-Length: {len(body)}",
        *more,
    ]
    return "\r\n".join([*head, "Connection: close", "", ""]).encode() + body


def inputs(key: str) -> Iterator[tuple[str, str, bytes]]:
    """Figure, name and bytes of each."""
    yield (
        "nothing",
        "nothing",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )
    for name, head in HEADS.items():
        yield "head", name, head()
    for name, body in BODIES.items():
        yield "body", name, posted(body(), key)
    yield (
        "body",
        "gzip_bomb",
        posted(gzip.compress(bytes(1024 * MEGABYTE), 9), key, "Content-Encoding: gzip"),
    )
    yield (
        "body",
        "zstd_bomb",
        posted(zstandard.compress(bytes(1024 * MEGABYTE)), key, "Content-Encoding: zstd"),
    )
    for name, body in QUESTIONS.items():
        yield "question", name, posted(body(), key)
    for name in STREAMS:
        yield (
            "stream",
            name,
            posted(_chat(messages=[{"role": "user", "content": name}], stream=True), key),
        )


def measure(show: Callable[[str, float, bytes], None] = lambda *_: None) -> dict[str, float]:
    """`stall_<figure>_ms`: the longest wait of others beside any input of that figure."""
    worst: dict[str, float] = {}
    with (
        fresh(ROOT / "var" / "stalls") as var,
        place(var) as here,
        provider() as upstream,
        here.gateway() as (url, _),
    ):
        keys = stage.accounts(here.environment, provider=upstream, model=MODEL)
        settings = {
            "plan_name": PLAN,
            "cache": {},
            "compression": {"engine": "text_rank", "max_input_tokens": 4096},
        }
        create_plan(url, keys["admin_key"], json.dumps(settings))
        time.sleep(3.0)
        parts = urlsplit(url)
        address, key = (str(parts.hostname), int(parts.port or 80)), keys["virtual_key"]
        asked = posted(_chat(messages=[{"role": "user", "content": PROBE_QUESTION}]), key).replace(
            b"Connection: close\r\n", b""
        )
        for _ in range(3):
            with socket.create_connection(address) as line:
                line.sendall(asked)
                _whole(line)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
            for number, (figure, name, data) in enumerate(inputs(key)):
                ends = var / f"over-{number}"
                waiting = other.submit(probe, address, asked, str(ends))
                time.sleep(AFTER * 2 if number else 3.0)  # the process starts with the first
                answer = send(address, data)
                time.sleep(AFTER)
                ends.touch()
                longest = waiting.result(LONGEST * 2)
                show(name, longest, answer)
                worst[figure] = max(worst.get(figure, 0.0), longest)
    return {f"stall_{figure}_ms": longest for figure, longest in worst.items()}


def _show(name: str, longest: float, answer: bytes) -> None:
    print(f"| {name} | {longest:,.0f} ms | {answer[9:12].decode() or 'ended'} |", flush=True)


def main() -> None:
    reach_loopback_directly()
    if machine.can_pin():
        os.sched_setaffinity(0, machine.REST_CORE)
    print("| input | longest wait of others | answer |\n| --- | ---: | --- |")
    figures = measure(_show)
    print("\n".join(f"{name}: {value:.1f}" for name, value in figures.items()), file=sys.stderr)


if __name__ == "__main__":
    main()
