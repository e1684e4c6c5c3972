"""Which chat a request belongs to, and how far the price list is believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.prompt_caching.conversations import Known, chat_ids, tempered, turn_of
from proxy.core.types import Message


def chat(*texts: str) -> list[Message]:
    return [{"role": "assistant" if turn % 2 else "user", "content": text} for turn, text in enumerate(texts)]


def test_a_request_finds_the_one_before_it() -> None:
    first, second = chat("hello"), chat("hello", "hi", "how are you?")
    assert chat_ids(first, tenant=1, route=1)[0] is None
    assert chat_ids(second, tenant=1, route=1)[0] == chat_ids(first, tenant=1, route=1)[1]


def test_a_request_with_a_tool_s_result_finds_the_one_that_called_for_it() -> None:
    asked = chat("what time is it?")
    call: Message = {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "time", "arguments": "{}"}}]}
    answered = [*asked, call, {"role": "tool", "tool_call_id": "a", "content": "noon"}]
    assert chat_ids(answered, tenant=1, route=1)[0] == chat_ids(asked, tenant=1, route=1)[1]
    assert turn_of(answered) == 1


def test_another_history_tenant_or_route_is_another_chat() -> None:
    earlier, later = chat("hello"), chat("hello", "hi", "how are you?")
    noted = chat_ids(earlier, tenant=1, route=1)[1]
    for messages, tenant, route in ((chat("Hello", "hi", "how are you?"), 1, 1), (later, 2, 1), (later, 1, 2)):
        assert chat_ids(messages, tenant=tenant, route=route)[0] != noted


def test_turns_are_counted_by_what_the_user_said() -> None:
    assert turn_of(chat("a", "b", "c", "d", "e")) == 3
    assert turn_of([{"role": "system", "content": "be brief"}, *chat("a")]) == 1
    assert turn_of([*chat("a"), *chat("still a")]) == 1
    assert turn_of([]) == 1


def test_the_price_list_is_believed_until_the_provider_reports_something_else() -> None:
    assert tempered(0.1, Known()) == pytest.approx(0.1)
    assert tempered(0.1, Known(cached=980_000, repeated=1_000_000)) == pytest.approx(0.1)
    assert tempered(0.1, Known(cached=0, repeated=1_000)) == pytest.approx(0.1)
    assert tempered(0.1, Known(cached=0, repeated=10_000_000)) == 1.0
    assert tempered(1.0, Known(cached=5, repeated=10)) == 1.0


@given(st.floats(0, 1), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_repeated_token_costs_between_the_list_price_and_a_fresh_one(read: float, cached: int, repeated: int) -> None:
    assert read - 1e-9 <= tempered(read, Known(cached=cached, repeated=repeated)) <= 1.0
