"""A chat of 300 turns through the official SDK and a running gateway,
before an upstream that refuses what strict providers refuse."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import orjson
import pytest

from proxy.core.tokens import count_prompt_tokens
from tests.support.gateways import Gateway
from tests.support.texts.chats import Message, talk
from tests.support.texts.roles import anthropic_refuses, openai_refuses, template_refuses
from tests.support.texts.transcripts import block, marked, prefix
from tests.support.upstream import MockUpstream

BUDGET, TURNS = 1200, 300
PLAN = {
    "plan_name": "long-chat",
    "compression": {"engine": "text_rank", "max_input_tokens": BUDGET},
}


def refuses(messages: list[Message]) -> str:
    """Why OpenAI, Anthropic or a chat template would."""
    empty = any(
        not message.get("content") and not message.get("tool_calls") for message in messages
    )
    return (
        openai_refuses(messages)
        or anthropic_refuses(messages)
        or template_refuses(messages)
        or ("no content" if empty else "")
    )


@pytest.fixture
def strict(gateway: Gateway, upstream: MockUpstream) -> Iterator[MockUpstream]:
    assert gateway.api("POST", "/token-saving/plans", json=PLAN).status_code == 201
    gateway.wait_plan("long-chat")
    upstream.refuses = refuses
    upstream.requests.clear()
    yield upstream
    upstream.refuses = lambda messages: ""


def requests(chat: list[Message]) -> Iterator[list[Message]]:
    """What a client sends of the chat: up to each message of the user's,
    and up to each last result of its tools."""
    for place, message in enumerate(chat):
        following = chat[place + 1]["role"] if place + 1 < len(chat) else ""
        if message["role"] == "user" or (message["role"] == "tool" and following != "tool"):
            yield chat[: place + 1]


def test_a_chat_of_300_turns_is_accepted_at_every_turn_and_its_prefix_stays(
    gateway: Gateway, strict: MockUpstream
) -> None:
    client, chat = gateway.sdk, talk(7, TURNS - 1)
    asked: list[tuple[int, list[Any]]] = []
    for messages in requests(chat):
        # The SDK looks at every word of `messages` by its type, which takes ten times as long as
        # everything else here; the same messages of `extra_body` are sent as they are.
        typed, sent_as_is = (messages, {}) if not len(asked) % 20 else ([], {"messages": messages})
        client.chat.completions.create(
            model="smart/balanced",
            messages=typed,  # type: ignore[arg-type]
            extra_body={"token_saving_plan_id": "long-chat", **sent_as_is},
        )
        sent = strict.requests[-1]["messages"]
        assert count_prompt_tokens(sent, "o200k_base") <= BUDGET
        assert sent[0] == chat[0]
        turn = next(
            place for place in range(len(messages) - 1, -1, -1) if messages[place]["role"] == "user"
        )
        assert sent[turn - len(messages) :] == messages[turn:]
        asked.append((marked(messages, BUDGET), sent))
    assert len(asked) == len(strict.requests) > TURNS

    cut = [(mark, sent) for mark, sent in asked if block(sent)]
    assert len(cut) > TURNS * 0.8
    held = 0
    for (mark, sent), (later, following) in pairwise(cut):
        assert mark <= later
        if mark == later:
            held += 1
            stays = prefix(sent)
            assert orjson.dumps(prefix(following)[: len(stays)]) == orjson.dumps(stays)
    assert held > len(cut) / 2
