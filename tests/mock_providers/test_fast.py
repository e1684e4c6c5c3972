"""The benchmark's upstream: its answers are OpenAI's shape, signed, and on its bill."""

import asyncio
from typing import Any

import orjson

from benchmarks.questions import chat, fresh, name
from mock_providers.fast import Ledger, Upstream

URL = "http://127.0.0.1:9/v1/chat/completions"


class Written(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        self.data += bytes(data)


def ask(ledger: Ledger, payload: bytes) -> bytes:
    transport, upstream = Written(), Upstream(ledger)
    upstream.connection_made(transport)
    for start in range(0, len(payload), 50):
        upstream.data_received(payload[start : start + 50])
    return transport.data


def test_an_answer_is_signed_with_the_question_and_stands_on_the_bill() -> None:
    ledger, request = Ledger(), chat(URL, "Where is my lamp?")
    head, _, body = ask(ledger, request.payload).partition(b"\r\n\r\n")
    completion = orjson.loads(body)
    assert request.sign in body
    assert f"content-length: {len(body)}".encode() in head
    assert completion["choices"][0]["finish_reason"] == "stop"
    usage = completion["usage"]
    assert ledger.seen == {
        "requests": 1,
        "prompt_tokens": usage["prompt_tokens"],
        "completion_tokens": usage["completion_tokens"],
    }


def test_what_is_asked_directly_stays_out_of_the_bill() -> None:
    ledger = Ledger()
    assert b"200 OK" in ask(
        ledger, chat(URL.replace("/v1/", "/direct/"), "Where is my lamp?").payload
    )
    assert ledger.seen["requests"] == 0


async def test_a_paced_stream_numbers_its_chunks_and_ends_with_usage() -> None:
    transport, upstream = Written(), Upstream(Ledger())
    upstream.connection_made(transport)
    upstream.data_received(
        chat(URL, "Why?", stream=True, metadata={"chunks": "3", "every_ms": "5"}).payload
    )
    await asyncio.sleep(0.1)
    places = [
        transport.data.index(mark)
        for mark in (
            b"[Why?]",
            b'"#0 ',
            b'"#1 ',
            b'"#2 ',
            b'"finish_reason":"stop"',
            b'"usage":{',
            b"[DONE]",
        )
    ]
    assert places == sorted(places)
    assert transport.data.endswith(b"\r\n0\r\n\r\n")


def test_no_two_questions_are_the_same_and_each_knows_its_sign() -> None:
    requests = fresh(URL, plan="bench")
    made = [next(requests) for _ in range(100)]
    assert len({request.payload for request in made}) == 100
    assert all(request.sign in request.payload for request in made)


def test_names_differ_and_are_equally_long() -> None:
    names = {name(number) for number in range(5000)}
    assert len(names) == 5000
    assert {len(word) for word in names} == {10}
