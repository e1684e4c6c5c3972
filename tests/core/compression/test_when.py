"""A chat that is cheaper whole goes whole, if the plan says so."""

from proxy.core.compression.compress import CHEAPER_WHOLE_NOTE, compress, count_tokens_by_turn
from proxy.core.compression.results import CompressionTerms
from proxy.core.compression.turn_forecast import forecast_turns
from proxy.core.tokens import count_prompt_tokens
from tests.support.texts.chats import MODEL, plan, support_history

CACHED = CompressionTerms(
    cached_price_ratio=0.1, turn_forecast=forecast_turns({}), prefix_is_warm=True, last_sent="whole"
)
DEAR = CompressionTerms(cached_price_ratio=1.0, turn_forecast=forecast_turns({}))


def test_a_warm_chat_goes_whole_and_says_why() -> None:
    chat = [
        *support_history(60),
        {"role": "user", "content": "What does Nimbus Fibre cost a month?"},
    ]
    cut = compress(chat, plan(budget=2000, when="saves"), model=MODEL, terms=CACHED)
    assert (cut.messages, cut.note, cut.after) == (None, CHEAPER_WHOLE_NOTE, cut.before)
    assert (
        cut.retrieved_tokens == compress(chat, plan(budget=2000), model=MODEL).retrieved_tokens > 0
    )


def test_without_a_discount_it_is_cut_as_always() -> None:
    chat = support_history(60)
    always = compress(chat, plan(budget=2000), model=MODEL)
    assert (
        compress(chat, plan(budget=2000, when="saves"), model=MODEL, terms=DEAR).messages
        == always.messages
        is not None
    )
    assert compress(chat, plan(budget=2000), model=MODEL, terms=CACHED).messages == always.messages


def test_the_prompt_of_each_turn_is_known_from_the_last() -> None:
    chat = support_history(3)
    counts = [count_prompt_tokens([message], "o200k_base") - 3 for message in chat]
    found = count_tokens_by_turn(chat, counts)
    assert found[-1] == count_prompt_tokens(chat, "o200k_base")
    users = [
        i
        for i, m in enumerate(chat)
        if m["role"] == "user" and (i + 1 == len(chat) or chat[i + 1]["role"] != "user")
    ]
    assert found == [count_prompt_tokens(chat[: i + 1], "o200k_base") for i in users]
