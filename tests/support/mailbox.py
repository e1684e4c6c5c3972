"""A mail server on a real socket that keeps what it is given; of RFC 5321 what a client needs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from socketserver import StreamRequestHandler, ThreadingTCPServer


@dataclass
class Mailbox:
    """`messages`: what came so far; `url`: where; `refuses`: answer every sender with an error."""

    url: str = ""
    messages: list[EmailMessage] = field(default_factory=list)
    refuses: bool = False
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, count: int = 1, seconds: float = 10.0) -> list[EmailMessage]:
        """The messages, once there are so many."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.messages) >= count, seconds)
        return self.messages


class _Server(ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True
    mailbox: Mailbox


class _Handler(StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        self._say("220 mailbox")
        while line := self.rfile.readline():
            verb = line.split()[0].upper() if line.split() else b""
            if verb == b"QUIT":
                self._say("221 bye")
                return
            if verb == b"DATA":
                self._receive()
            elif verb == b"MAIL" and self.server.mailbox.refuses:
                self._say("550 not from you")
            else:
                self._say("250 ok")

    def _receive(self) -> None:
        self._say("354 go on")
        content = b""
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            content += line.removeprefix(b".") if line.startswith(b"..") else line
        mailbox = self.server.mailbox
        with mailbox.arrived:
            mailbox.messages.append(message_from_bytes(content, policy=policy.default))
            mailbox.arrived.notify_all()
        self._say("250 taken")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@contextmanager
def running_mailbox() -> Iterator[Mailbox]:
    """An empty mailbox on a port of its own."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        mailbox = server.mailbox = Mailbox(f"smtp://127.0.0.1:{server.server_address[1]}?tls=no")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield mailbox
        finally:
            server.shutdown()
            thread.join()
