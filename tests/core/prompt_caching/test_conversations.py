"""Which chat a request belongs to, and how far the price list is believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.prompt_caching.conversations import (
    ConversationHistory,
    count_turns,
    derive_conversation_ids,
    observed_price_ratio,
)
from proxy.core.types import Message


def chat(*texts: str) -> list[Message]:
    return [
        {"role": "assistant" if turn % 2 else "user", "content": text}
        for turn, text in enumerate(texts)
    ]


def test_a_request_finds_the_one_before_it() -> None:
    first, second = chat("hello"), chat("hello", "hi", "how are you?")
    assert derive_conversation_ids(first, tenant=1, route=1)[0] is None
    assert (
        derive_conversation_ids(second, tenant=1, route=1)[0]
        == derive_conversation_ids(first, tenant=1, route=1)[1]
    )


def test_a_request_with_a_tool_s_result_finds_the_one_that_called_for_it() -> None:
    asked = chat("what time is it?")
    call: Message = {
        "role": "assistant",
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "time", "arguments": "{}"}}
        ],
    }
    answered = [*asked, call, {"role": "tool", "tool_call_id": "a", "content": "noon"}]
    assert (
        derive_conversation_ids(answered, tenant=1, route=1)[0]
        == derive_conversation_ids(asked, tenant=1, route=1)[1]
    )
    assert count_turns(answered) == 1


def test_another_history_tenant_or_route_is_another_chat() -> None:
    earlier, later = chat("hello"), chat("hello", "hi", "how are you?")
    noted = derive_conversation_ids(earlier, tenant=1, route=1)[1]
    for messages, tenant, route in (
        (chat("Hello", "hi", "how are you?"), 1, 1),
        (later, 2, 1),
        (later, 1, 2),
    ):
        assert derive_conversation_ids(messages, tenant=tenant, route=route)[0] != noted


def test_turns_are_counted_by_what_the_user_said() -> None:
    assert count_turns(chat("a", "b", "c", "d", "e")) == 3
    assert count_turns([{"role": "system", "content": "be brief"}, *chat("a")]) == 1
    assert count_turns([*chat("a"), *chat("still a")]) == 1
    assert count_turns([]) == 1


def test_the_price_list_is_believed_until_the_provider_reports_something_else() -> None:
    assert observed_price_ratio(0.1, ConversationHistory()) == pytest.approx(0.1)
    assert observed_price_ratio(
        0.1, ConversationHistory(cached_tokens=980_000, repeated_tokens=1_000_000)
    ) == pytest.approx(0.1)
    assert observed_price_ratio(
        0.1, ConversationHistory(cached_tokens=0, repeated_tokens=1_000)
    ) == pytest.approx(0.1)
    assert (
        observed_price_ratio(0.1, ConversationHistory(cached_tokens=0, repeated_tokens=10_000_000))
        == 1.0
    )
    assert (
        observed_price_ratio(1.0, ConversationHistory(cached_tokens=5, repeated_tokens=10)) == 1.0
    )


@given(st.floats(0, 1), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_repeated_token_costs_between_the_list_price_and_a_fresh_one(
    read: float, cached: int, repeated: int
) -> None:
    assert (
        read - 1e-9
        <= observed_price_ratio(
            read, ConversationHistory(cached_tokens=cached, repeated_tokens=repeated)
        )
        <= 1.0
    )
