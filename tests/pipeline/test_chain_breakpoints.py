"""A chat that was cut goes to Anthropic with a breakpoint behind what stays of it;
nobody else sees that."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest

from plans.pricing import Price
from plans.snapshot import CacheSettings, CompressionSettings
from proxy.core.compression.compress import compress
from proxy.core.compression.results import CompressionResult, CompressionTerms
from proxy.core.prompt_caching.breakpoints import BREAKPOINT_FIELD, has_breakpoint
from proxy.core.types import Message
from tests.support.fakes import World, ask, body, full_plan
from tests.support.texts.chats import talk
from tests.support.texts.transcripts import prefix

PLAN = full_plan(
    cache=CacheSettings(backend=None),
    compression=CompressionSettings(engine="text_rank", max_input_tokens=600),
)
CHAT = talk(3, 60)


class RealCompressor:
    """What compresses in production, without the process around it."""

    terms: CompressionTerms | None = None

    async def compress(
        self,
        messages: list[Message],
        settings: CompressionSettings,
        *,
        model: str,
        terms: CompressionTerms | None = None,
        tenant: int | None = None,
    ) -> CompressionResult:
        return compress(messages, settings, model=model, terms=terms)

    async def close(self) -> None: ...


def world(provider: str = "anthropic", **settings: Any) -> World:
    assert PLAN.compression is not None
    made = World(
        replace(PLAN, compression=replace(PLAN.compression, **settings)),
        compressor=RealCompressor(),  # type: ignore[arg-type]
    )
    routes = made.source.config.routes
    for name, route in routes.items():
        routes[name] = replace(route, upstream=replace(route.upstream, provider=provider))
    return made


def bare(message: Message) -> Message:
    """A message as it was before its text became a part with a breakpoint."""
    content = message["content"]
    if not isinstance(content, list):
        return message
    [part] = content
    assert part == {"type": "text", "text": part["text"], BREAKPOINT_FIELD: {"type": "ephemeral"}}
    return {**message, "content": part["text"]}


async def test_the_breakpoint_stands_behind_the_recent_turns_and_is_the_only_change() -> None:
    claude, gpt = world(), world("openai")
    await ask(claude, body(messages=CHAT))
    await ask(gpt, body(messages=CHAT))
    [sent], [unmarked] = claude.upstream.bodies, gpt.upstream.bodies
    ends = [place for place, message in enumerate(sent["messages"]) if has_breakpoint(message)]
    assert len(ends) == 1
    assert sent["messages"][ends[0] + 1 :] == unmarked["messages"][ends[0] + 1 :]
    assert [bare(message) for message in sent["messages"]] == unmarked["messages"]
    before = prefix(unmarked["messages"])
    # A stand-in may keep what was recalled from following a user's message.
    assert ends[0] + 1 in (len(before), len(before) - 1)
    assert not has_breakpoint(unmarked)


async def test_neither_ledger_nor_cache_nor_client_see_it() -> None:
    claude, gpt = world(), world("openai")
    seen = [await ask(one, body(messages=CHAT)) for one in (claude, gpt)]
    assert seen[0].received == seen[1].received
    first, second = claude.event, gpt.event
    assert (first.asked_tokens, first.prompt_tokens, first.tokens_saved) == (
        second.asked_tokens,
        second.prompt_tokens,
        second.tokens_saved,
    )
    assert claude.exact.entries.keys() == gpt.exact.entries.keys()
    await ask(claude, body(messages=CHAT))
    assert (claude.event.tier, len(claude.upstream.bodies)) == ("exact", 1)


@pytest.mark.parametrize("provider", ["openai", "openrouter", "azure", "google", "aws"])
async def test_others_get_none(provider: str) -> None:
    other = world(provider)
    await ask(other, body(messages=CHAT))
    assert other.upstream.bodies[0]["messages"] != CHAT
    assert not has_breakpoint(other.upstream.bodies)


async def test_a_chat_that_goes_whole_gets_none() -> None:
    short, cheaper = world(max_input_tokens=100_000), world(when="saves")
    price = Price(input=Decimal(1), output=Decimal(2), cached_input=Decimal("0.01"))
    routes = cheaper.source.config.routes
    routes |= {name: replace(route, price=price) for name, route in routes.items()}
    for one, note in ((short, ""), (cheaper, "cheaper-whole")):
        await ask(one, body(messages=CHAT))
        assert one.event.note == note
        assert one.upstream.bodies[0]["messages"] == CHAT


async def test_engines_that_keep_nothing_in_place_get_none() -> None:
    one = world(engine="trim")
    await ask(one, body(messages=CHAT))
    assert one.upstream.bodies[0]["messages"] != CHAT
    assert not has_breakpoint(one.upstream.bodies)


@pytest.mark.parametrize("where", ["message", "tools", "request"])
async def test_a_client_that_sets_its_own_keeps_them_alone(where: str) -> None:
    mark = {BREAKPOINT_FIELD: {"type": "ephemeral"}}
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
    fields: dict[str, Any] = {"messages": CHAT}
    if where == "message":
        fields["messages"] = [
            {"role": "system", "content": [{"type": "text", "text": "You help.", **mark}]},
            *CHAT,
        ]
    else:
        fields |= {"tools": [tool | mark]} if where == "tools" else mark
    one = world()
    await ask(one, body(**fields))
    assert len(one.upstream.bodies[0]["messages"]) < len(CHAT)
    assert orjson.dumps(one.upstream.bodies[0]).count(b'"cache_control"') == 1
