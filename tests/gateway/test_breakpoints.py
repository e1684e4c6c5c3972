"""A chat through the official SDK and a running gateway to an upstream at Anthropic's prices:
what it is told to keep, it sees again."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from proxy.core.prompt_caching.breakpoints import BREAKPOINT_FIELD, has_breakpoint
from tests.support.gateways import Gateway
from tests.support.texts.chats import Message, talk
from tests.support.texts.roles import anthropic_refuses, openai_refuses
from tests.support.upstream import MockUpstream

PLAN = {
    "plan_name": "remembered",
    "compression": {"engine": "text_rank", "max_input_tokens": 1200},
    "cache": {"backend": None},
}
ROUTE = "smart/careful"
SET_UP = """
from proxy.upstreams import services
upstream = services.put_upstream(name="claude", base_url="{url}", provider="anthropic", allow_private=True)
services.put_route(name="{route}", upstream=upstream, model="claude-sonnet-4-5")
"""  # noqa: E501 -- laid out as it is read


@pytest.fixture
def claude(gateway: Gateway, upstream: MockUpstream) -> Iterator[MockUpstream]:
    gateway.manage("shell", "-c", SET_UP.format(url=upstream.base_url, route=ROUTE))
    assert gateway.api("POST", "/token-saving/plans", json=PLAN).status_code == 201
    gateway.wait_plan("remembered")
    upstream.refuses = lambda messages: openai_refuses(messages) or anthropic_refuses(messages)
    before, said = (
        upstream.says,
        {"prompt_tokens_details": {"cached_tokens": 9, "cache_creation_tokens": 6}},
    )
    upstream.says = before | {"usage": before["usage"] | said | {"cache_creation_input_tokens": 6}}
    upstream.requests.clear()
    yield upstream
    upstream.refuses, upstream.says = lambda messages: "", before


def remembered(messages: list[Message]) -> list[Any]:
    """Roles and texts up to the breakpoint, which is the only one."""
    [end] = [place for place, message in enumerate(messages) if has_breakpoint(message)]
    part = messages[end]["content"][-1]
    assert part[BREAKPOINT_FIELD] == {"type": "ephemeral"}
    contents = [(message["role"], message["content"]) for message in messages[: end + 1]]
    return [
        (role, content if isinstance(content, str) else content[-1]["text"])
        for role, content in contents
    ]


def test_the_upstream_is_told_what_it_will_see_again(
    gateway: Gateway, claude: MockUpstream
) -> None:
    chat = talk(7, 70, tools=False)
    asked = [
        chat[: place + 1]
        for place in range(len(chat) - 24, len(chat))
        if chat[place]["role"] == "user"
    ]
    for messages in asked:
        gateway.sdk.chat.completions.create(
            model=ROUTE,
            messages=messages,  # type: ignore[arg-type]
            extra_body={"token_saving_plan_id": "remembered"},
        )
    told = [remembered(request["messages"]) for request in claude.requests]
    assert len(told) == len(asked) == 12
    seen_again = sum(later[: len(earlier)] == earlier for earlier, later in pairwise(told))
    assert seen_again > len(told) / 2
    tokens = gateway.stats("remembered", requests=len(asked))["detail"]["tokens"]
    assert (tokens["sent"], tokens["cached"], tokens["written"]) == (
        19 * len(asked),
        9 * len(asked),
        6 * len(asked),
    )
