"""The scriptable provider over a real socket: whole, streamed, late, broken off, left alone."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import orjson
import pytest

from mock_providers import shapes
from mock_providers.server import Answer, Asked, MockProvider, serve_in_thread

SAID = shapes.build_completion(
    "one two three four five six seven eight nine",
    id="chatcmpl-1",
    created=7,
    model="m",
    usage=shapes.build_usage(5, 9, cached=2),
)
WHOLE = {"model": "m", "messages": [{"role": "user", "content": "Count."}]}
STREAMED = WHOLE | {"stream": True, "stream_options": {"include_usage": True}}


@contextmanager
def provider(script: Callable[[Asked], Any]) -> Iterator[tuple[MockProvider, str]]:
    made = MockProvider(script)
    with serve_in_thread(made) as address:
        yield made, f"{address}/v1/chat/completions"


def events(text: str) -> list[Any]:
    *lines, done = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert done == "[DONE]"
    return [orjson.loads(line) for line in lines]


def test_a_completion_is_sent_whole_or_streamed_as_it_is_asked_for() -> None:
    with provider(lambda asked: Answer(completion=SAID)) as (made, url):
        assert httpx.post(url, json=WHOLE).json() == SAID
        streamed = httpx.post(url, json=STREAMED)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    *chunks, last = events(streamed.text)
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert text == SAID["choices"][0]["message"]["content"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert (last["choices"], last["usage"]) == ([], SAID["usage"])
    assert [asked.body for asked in made.asked] == [WHOLE, STREAMED]
    assert made.cancelled == 0


def test_a_stream_has_no_usage_unless_it_is_asked_for() -> None:
    with provider(lambda asked: Answer(completion=SAID)) as (_, url):
        found = events(httpx.post(url, json=WHOLE | {"stream": True}).text)
    assert all("usage" not in chunk and chunk["choices"] for chunk in found)


def test_errors_and_bodies_of_any_kind_are_sent_as_they_are() -> None:
    said: dict[str, Any] = {"answer": Answer(status=429, body=shapes.build_error("Slow down."))}
    with provider(lambda asked: said["answer"]) as (_, url):
        refused = httpx.post(url, json=STREAMED)
        said["answer"] = Answer(status=502, body=b"<html>")
        broken = httpx.post(url, content=b"{no json")
    assert (refused.status_code, refused.json()["error"]["message"]) == (429, "Slow down.")
    assert (broken.status_code, broken.content) == (502, b"<html>")


def test_a_script_may_wait_and_is_told_what_was_asked() -> None:
    async def script(asked: Asked) -> Answer:
        return Answer(body={"path": asked.path, "by": asked.headers[b"x-request-id"].decode()})

    with provider(script) as (made, url):
        found = httpx.get(f"{url}?page=2", headers={"x-request-id": "r1"}).json()
    assert found == {"path": "/v1/chat/completions", "by": "r1"}
    assert (made.asked[0].method, made.asked[0].body, made.asked[0].raw) == ("GET", None, b"")


@pytest.mark.parametrize("body", [WHOLE, STREAMED], ids=["whole", "streamed"])
def test_an_answer_may_be_late(body: dict[str, Any]) -> None:
    with provider(lambda asked: Answer(completion=SAID, delay=0.3)) as (_, url):
        start = time.monotonic()
        assert httpx.post(url, json=body).status_code == 200
    assert time.monotonic() - start >= 0.3


def test_a_stream_ends_early_or_breaks_off_and_its_events_are_told() -> None:
    told: list[int] = []
    more: dict[str, Any] = {"breaks": False}

    def script(asked: Asked) -> Answer:
        return Answer(completion=SAID, max_events=2, sent=told.append, **more)

    with provider(script) as (_, url):
        ended = httpx.post(url, json=STREAMED)
        assert (ended.status_code, ended.text.count("data: ")) == (200, 2)
        more["breaks"] = True
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(url, json=STREAMED)
    assert told == [0, 1, 0, 1]


@pytest.mark.parametrize(
    "late", [{"delay": 30.0}, {"event_delay": 30.0}], ids=["before", "between"]
)
def test_a_caller_who_leaves_is_noticed_and_told_no_more(late: dict[str, float]) -> None:
    told: list[int] = []
    answer = Answer(completion=SAID, sent=told.append, **late)  # type: ignore[arg-type]
    with provider(lambda asked: answer) as (made, url):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url, json=STREAMED, timeout=0.3)
        for _ in range(500):
            if made.cancelled:
                break
            threading.Event().wait(0.01)
    assert made.cancelled == 1
    assert told == ([] if "delay" in late else [0])


def test_events_of_ones_own_replace_those_made_of_the_completion() -> None:
    with provider(lambda asked: Answer(completion=SAID, events=[b": odd\n\n"])) as (_, url):
        assert httpx.post(url, json=STREAMED).text == ": odd\n\n"
