"""Agents: a step is answered only when all of it has been asked before, results included."""

from typing import Any

import orjson
import pytest

from plans.snapshot import CacheSettings, ContextMatching
from tests.support.fakes import World, ask, completion, full_plan

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
QUESTION = {"role": "user", "content": "Is it raining in Oslo?"}


def called(result: str, number: int = 1) -> list[dict[str, Any]]:
    """One call of the tool with its result."""
    call = {
        "id": f"c{number}",
        "type": "function",
        "function": {"name": "weather", "arguments": "{}"},
    }
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"c{number}", "content": result},
    ]


def step(*messages: dict[str, Any], **fields: Any) -> bytes:
    asked = {
        "model": "smart/balanced",
        "token_saving_plan_id": "support",
        "messages": list(messages),
        "tools": [TOOL],
    }
    return orjson.dumps(asked | fields)


def calling() -> dict[str, Any]:
    """A completion that calls the tool."""
    whole = completion("", finish="tool_calls")
    whole["choices"][0]["message"] |= {"content": None, "tool_calls": called("")[0]["tool_calls"]}
    return whole


async def test_an_agent_never_gets_the_answer_of_its_turn_before() -> None:
    """As in litellm-docs#833: same question, same tools, only the results have grown."""
    world = World()
    for result in ("dry", "rain", "rain, then dry"):
        world.upstream.says = completion(f"I was told: {result}")
        client = await ask(world, step(QUESTION, *called(result), QUESTION))
        assert client.headers["x-tokenthrift-cache"] == "miss"
        assert orjson.loads(client.received) == completion(f"I was told: {result}")
    assert (len(world.upstream.bodies), world.semantic.entries, world.embedder.texts) == (3, {}, [])


async def test_a_call_of_a_tool_is_not_made_again_from_the_cache() -> None:
    """As in litellm#28778: the stored call came back for every result, for ever."""
    world = World()
    world.upstream.says = calling()
    assert (await ask(world, step(QUESTION))).headers["x-tokenthrift-cache"] == "miss"
    assert (await ask(world, step(QUESTION))).headers["x-tokenthrift-cache"] == "miss"
    world.upstream.says = completion("It rains.")
    client = await ask(world, step(QUESTION, *called("rain")))
    assert orjson.loads(client.received)["choices"][0]["finish_reason"] == "stop"
    assert len(world.upstream.bodies) == 3
    assert world.semantic.entries == {}


@pytest.mark.parametrize("context", ["strict", "window", "last_message"])
@pytest.mark.parametrize("fields", [{"tools": []}, {"tools": [], "tool_choice": "none"}])
async def test_results_in_the_chat_keep_it_exact_without_tools_on_offer_too(
    context: ContextMatching, fields: dict[str, Any]
) -> None:
    world = World(plan=full_plan(cache=CacheSettings(context=context)))
    for result in ("dry", "rain"):
        client = await ask(
            world,
            step(
                QUESTION,
                *called(result),
                {"role": "assistant", "content": "Done."},
                QUESTION,
                **fields,
            ),
        )
        assert client.headers["x-tokenthrift-cache"] == "miss"
    assert world.semantic.entries == {}
