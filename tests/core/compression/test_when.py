"""A chat that is cheaper whole goes whole, if the plan says so."""

from proxy.core.compression.compress import CHEAPER_WHOLE, asked_at, compress
from proxy.core.compression.turn_forecast import ahead
from proxy.core.compression.types import Terms
from proxy.core.tokens import count_messages
from tests.support.texts.chats import MODEL, plan, support_history

CACHED = Terms(read=0.1, ahead=ahead({}), held=True, last="whole")
DEAR = Terms(read=1.0, ahead=ahead({}))


def test_a_warm_chat_goes_whole_and_says_why() -> None:
    chat = [*support_history(60), {"role": "user", "content": "What does Nimbus Fibre cost a month?"}]
    cut = compress(chat, plan(budget=2000, when="saves"), model=MODEL, terms=CACHED)
    assert (cut.messages, cut.note, cut.after) == (None, CHEAPER_WHOLE, cut.before)
    assert cut.recalled == compress(chat, plan(budget=2000), model=MODEL).recalled > 0


def test_without_a_discount_it_is_cut_as_always() -> None:
    chat = support_history(60)
    always = compress(chat, plan(budget=2000), model=MODEL)
    assert compress(chat, plan(budget=2000, when="saves"), model=MODEL, terms=DEAR).messages == always.messages is not None
    assert compress(chat, plan(budget=2000), model=MODEL, terms=CACHED).messages == always.messages


def test_the_prompt_of_each_turn_is_known_from_the_last() -> None:
    chat = support_history(3)
    counts = [count_messages([message], "o200k_base") - 3 for message in chat]
    found = asked_at(chat, counts)
    assert found[-1] == count_messages(chat, "o200k_base")
    users = [i for i, m in enumerate(chat) if m["role"] == "user" and (i + 1 == len(chat) or chat[i + 1]["role"] != "user")]
    assert found == [count_messages(chat[: i + 1], "o200k_base") for i in users]
