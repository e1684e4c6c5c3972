"""The load generator's connection: answers handed on whole, however they arrive."""

import pytest

from benchmarks.wire import Wire, address, post

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-Request-Id: a\r\n\r\n" + b'{"ok":true}'
LENGTH_LAST = b"HTTP/1.1 200 OK\r\nX-Request-Id: a\r\nContent-Length: 11\r\n\r\n" + b'{"ok":true}'
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"b\r\n"
    + b'{"ok":true}'
    + b"\r\n0\r\n\r\n"
)


class Heard:
    """An owner that keeps what it was told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.answers: list[tuple[bytes, bytes]] = []
        self.errors: list[Exception] = []
        self.error = error

    def opened(self, wire: Wire) -> None: ...

    def answered(self, wire: Wire, head: bytes, body: bytes) -> None:
        if self.error:
            raise self.error
        self.answers.append((head, body))

    def failed(self, error: Exception) -> None:
        self.errors.append(error)

    def lost(self, wire: Wire, error: Exception) -> None:
        self.failed(error)


@pytest.mark.parametrize("answer", [PLAIN, LENGTH_LAST, CHUNKED])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_an_answer_is_handed_on_once_and_whole_in_pieces_of_any_size(
    answer: bytes, size: int
) -> None:
    heard = Heard()
    wire = Wire(heard)
    for _ in range(2):  # and the next one on the same connection
        for start in range(0, len(answer), size):
            wire.data_received(answer[start : start + size])
    assert len(heard.answers) == 2
    head, body = heard.answers[0]
    assert head.startswith(b"http/1.1 200")
    assert b'{"ok":true}' in body


def test_an_owner_that_refuses_an_answer_is_told_of_its_own_error() -> None:
    heard = Heard(RuntimeError("not mine"))
    Wire(heard).data_received(PLAIN)
    assert [str(error) for error in heard.errors] == ["not mine"]


def test_a_request_is_complete_and_knows_what_its_answer_must_hold() -> None:
    request = post("http://127.0.0.1:80/v1/x", b"{}", key="k", sign=b"yes")
    head, _, body = request.payload.partition(b"\r\n\r\n")
    assert head.startswith(
        b"POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1:80\r\nAuthorization: Bearer k\r\n"
    )
    assert head.endswith(b"Content-Length: 2")
    assert (body, request.sign) == (b"{}", b"yes")


def test_an_address_is_host_and_port() -> None:
    assert address("http://127.0.0.1:8000/v1") == ("127.0.0.1", 8000)
