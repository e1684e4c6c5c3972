"""A mock provider that sends given bytes over a raw socket, to test other providers' exact output.

The test chooses status line, headers, writes and line ends; `mock_providers.server` builds
completions itself.
"""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import orjson

STREAM = ("content-type: text/event-stream",)
JSON = ("content-type: application/json",)


@dataclass(frozen=True)
class Script:
    """The reply to one question.

    Each of `pieces` is one write. Without `chunked` the closed connection ends the body.
    """

    pieces: tuple[bytes, ...]
    headers: tuple[str, ...] = STREAM
    status: str = "200 OK"
    chunked: bool = True


@dataclass
class ScriptedProvider:
    """A provider with `scripts` by the text of the last message; `asked`: those texts, in order."""

    scripts: dict[str, Script] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    port: int = 0

    def answer(self, body: bytes) -> Script:
        question = orjson.loads(body)["messages"][-1]["content"]
        self.asked.append(question)
        return self.scripts[question]


@contextmanager
def running_provider(scripts: dict[str, Script]) -> Iterator[ScriptedProvider]:
    """Run the provider on a free loopback port until the block ends."""
    provider = ScriptedProvider(scripts)

    class Handler(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True

        def handle(self) -> None:
            length = 0
            while (line := self.rfile.readline().strip()) != b"":
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            script = provider.answer(self.rfile.read(length))
            lines = [f"HTTP/1.1 {script.status}", *script.headers, "connection: close"]
            lines += ["transfer-encoding: chunked"] if script.chunked else []
            self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
            for piece in script.pieces:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if script.chunked else piece)
            if script.chunked:
                self.wfile.write(b"0\r\n\r\n")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    provider.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
