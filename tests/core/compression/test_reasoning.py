"""Old reasoning goes first, that of the current turn stays,
and what stands in for an answer has one where answers have."""

import pytest

from proxy.core.compression.algorithm_registry import ENGINES
from proxy.core.compression.compress import compress
from proxy.core.compression.reasoning import MAX_REASONING_CHARACTERS
from proxy.core.compression.units import ASSISTANT_PLACEHOLDER
from proxy.core.tokens import count_prompt_tokens
from tests.support.texts.chats import MODEL, Message, plan, sent
from tests.support.texts.oversized import thinking, working
from tests.support.texts.roles import openai_refuses


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_reasoning_is_counted_and_old_reasoning_is_cut_before_words_are(engine: str) -> None:
    chat = thinking()
    cut = compress(chat, plan(engine, 4096), model=MODEL)
    after = sent(cut, chat)
    assert cut.before > 20_000
    assert cut.after == count_prompt_tokens(after, cut.encoding) <= 4096
    assert [message["content"] for message in after] == [message["content"] for message in chat]
    assert all(
        0 < len(message["reasoning_content"]) <= MAX_REASONING_CHARACTERS
        for message in after
        if message["role"] == "assistant"
    )


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("budget", [300, 900, 2048, 4096])
def test_no_answer_is_sent_without_a_reasoning_where_answers_come_with_one(
    engine: str, budget: int
) -> None:
    chat = working()
    after = sent(compress(chat, plan(engine, budget), model=MODEL), chat)
    assert not [
        message
        for message in after
        if message["role"] == "assistant" and not message.get("reasoning_content")
    ]
    assert not openai_refuses(after)


def test_where_answers_have_no_reasoning_what_stands_in_has_none() -> None:
    chat = [
        {key: value for key, value in message.items() if key != "reasoning_content"}
        for message in working()
    ]
    assert ASSISTANT_PLACEHOLDER in sent(compress(chat, plan(budget=900), model=MODEL), chat)


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_the_reasoning_of_the_current_turn_stays_as_it_is(engine: str) -> None:
    call = {"id": "z", "type": "function", "function": {"name": "read", "arguments": "{}"}}
    turn: list[Message] = [
        {"role": "user", "content": "And file 4?"},
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "I look at it closely. " * 40,
            "tool_calls": [call],
        },
        {"role": "tool", "tool_call_id": "z", "content": "four"},
    ]
    chat = [*thinking(), *turn]
    after = sent(compress(chat, plan(engine, 1024), model=MODEL), chat)
    assert all(message is original for message, original in zip(after[-3:], turn, strict=True))


def test_reasoning_that_is_signed_stays_or_goes_whole() -> None:
    signed = [{"type": "reasoning.text", "text": "I think. " * 200, "signature": "abc"}]
    chat: list[Message] = [{"role": "user", "content": "Hello."}]
    for number in range(8):
        chat += [
            {"role": "assistant", "content": f"Step {number}.", "reasoning_details": signed},
            {"role": "user", "content": f"Go on {number}."},
        ]
    after = sent(compress(chat, plan(budget=1024), model=MODEL), chat)
    assert all(
        message["reasoning_details"] is signed
        for message in after
        if "reasoning_details" in message
    )


def test_the_shortened_beginning_is_the_same_turn_after_turn() -> None:
    chat = thinking(30)
    now, later = (
        sent(compress(chat[:size], plan(budget=2048), model=MODEL), chat) for size in (39, 41)
    )
    assert later[: len(now) - 1] == now[:-1]
