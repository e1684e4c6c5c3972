"""What of the provider's answers is kept, and that the record and the head say
why the rest is not."""

from typing import Any

import orjson
import pytest

from plans.snapshot import CacheSettings
from proxy.core.caching.envelope import MAX_ENVELOPE_BYTES
from proxy.core.errors import UpstreamUnreachable
from tests.support.fakes import World, ask, body, completion, full_plan

JSON: dict[str, Any] = {"response_format": {"type": "json_object"}}
TOOLS = [{"type": "function", "function": {"name": "save", "parameters": {"required": ["city"]}}}]


def world(**cache: Any) -> World:
    return World(plan=full_plan(cache=CacheSettings(backend=None, **cache)))


def calling(arguments: str, finish: str = "tool_calls") -> dict[str, Any]:
    whole = completion(finish=finish)
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "save", "arguments": arguments},
    }
    whole["choices"][0]["message"] |= {"content": None, "tool_calls": [call]}
    return whole


@pytest.mark.parametrize("stream", [False, True])
async def test_a_broken_structured_answer_is_given_once(stream: bool) -> None:
    made = world()
    made.upstream.says = completion('{"city": "Zür')
    first = await ask(made, body(stream=stream, **JSON))
    assert first.headers["cache-status"] == (
        "tokenthrift; fwd=miss" if stream else "tokenthrift; fwd=miss; detail=invalid-json"
    )
    assert (made.event.not_kept, made.exact.entries) == ("invalid-json", {})
    made.upstream.says = completion('{"city": "Zürich"}')
    second = await ask(made, body(stream=stream, **JSON))
    assert second.headers["cache-status"] == (
        "tokenthrift; fwd=miss" if stream else "tokenthrift; fwd=miss; stored"
    )
    assert made.event.not_kept == ""
    assert (await ask(made, body(stream=stream, **JSON))).headers["x-tokenthrift-cache"] == "exact"
    assert made.event.not_kept == ""


@pytest.mark.parametrize(
    ("policy", "choice", "arguments", "why"),
    [
        ("output", "required", '{"city": "Bern"}', ""),
        ("output", "required", '{"city": "Be', "tool-arguments"),
        ("output", "required", "{}", "tool-arguments"),
        ("output", "auto", '{"city": "Bern"}', "tool-calls"),
        ("all", "auto", '{"city": "Bern"}', ""),
        ("all", "auto", "{}", "tool-arguments"),
        ("none", "required", '{"city": "Bern"}', "tool-calls"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_calls_of_tools_are_kept_as_the_plan_says(
    policy: Any, choice: str, arguments: str, why: str, stream: bool
) -> None:
    made = world(tool_calls=policy)
    made.upstream.says = calling(arguments)
    raw = body(stream=stream, tools=TOOLS, tool_choice=choice)
    await ask(made, raw)
    assert made.event.not_kept == why
    assert (await ask(made, raw)).headers["x-tokenthrift-cache"] == ("miss" if why else "exact")


@pytest.mark.parametrize("finish", ["eos", "eos_token", "END_TURN"])
@pytest.mark.parametrize("stream", [False, True])
async def test_other_words_for_the_end_are_understood(finish: str, stream: bool) -> None:
    made = world()
    made.upstream.says = completion(finish=finish)
    await ask(made, body(stream=stream))
    assert (await ask(made, body(stream=stream))).headers["x-tokenthrift-cache"] == "exact"


async def test_what_was_not_to_be_kept_has_no_reason() -> None:
    made = world()
    made.upstream.says = completion(finish="length")
    for raw in (body(cache={"no-store": True}), body(plan=None)):
        client = await ask(made, raw)
        assert "detail=finish-reason" not in client.headers["cache-status"]
        assert made.event.not_kept == ""
    client = await ask(made, body(cache={"no-cache": True}))
    assert client.headers["cache-status"] == "tokenthrift; fwd=request; detail=finish-reason"


async def test_a_provider_that_fails_is_a_reason_and_so_is_an_answer_without_an_end() -> None:
    made = world()
    made.upstream.error = UpstreamUnreachable("gone")
    await ask(made, body())
    assert made.event.not_kept == "status"


async def test_a_long_answer_is_judged_after_it_was_sent() -> None:
    made = world()
    made.upstream.says = completion("long " * 20_000)
    assert (await ask(made, body())).headers["cache-status"] == "tokenthrift; fwd=miss"
    assert (await ask(made, body())).headers["x-tokenthrift-cache"] == "exact"


async def test_an_answer_beyond_the_limit_is_passed_on_and_not_kept() -> None:
    made = world()
    made.upstream.says = completion("x" * MAX_ENVELOPE_BYTES)
    client = await ask(made, body())
    assert orjson.loads(client.received) == made.upstream.says
    assert (made.event.not_kept, made.exact.entries) == ("too-large", {})
