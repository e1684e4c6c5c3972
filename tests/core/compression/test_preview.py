"""What a preview shows is what compression does, for any chat and every engine."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plans.pricing import Price
from proxy.core.compression.algorithm_registry import ENGINES
from proxy.core.compression.compress import compress
from proxy.core.compression.document import DocumentTooLong
from proxy.core.compression.layout import BLOCK_HEADING, RETRIEVAL_HEADING
from proxy.core.compression.preview import (
    MIN_CACHED_PREFIX_TOKENS,
    NextTurn,
    Preview,
    build_preview,
    compute_prompt_cost,
)
from proxy.core.compression.speakers import write_unit_text
from proxy.core.compression.units import Unit, UnitPolicy, list_part_texts
from proxy.core.tokens import count_prompt_tokens
from proxy.preview.cards import build_asked_cards, build_sent_cards
from tests.support.texts.chats import CHATS, MODEL, Message, plan, sent, support_history, tool_turn
from tests.support.texts.oversized import DATA, REPORTED


def transcript(messages: list[Message], head: str) -> str:
    """The text of the one message of ours with this heading; "" when there is none."""
    found = [
        message["content"] for message in messages if str(message.get("content")).startswith(head)
    ]
    assert len(found) <= 1
    return found[0] if found else ""


def assert_shown_is_done(seen: Preview, chat: list[Message], of_shape: bool) -> None:
    """Whole messages stand among what is sent, what was left out does not,
    and each sentence is in the transcript it is said to be in."""
    after = sent(seen.compression, chat)
    gone = {id(message) for message in chat} - {id(message) for message in after}
    for shown in seen.spans:
        spoken = {id(chat[i]) for i in range(shown.message, shown.last_message + 1)}
        if shown.place == "shortened":
            assert spoken & gone
        else:
            assert (spoken <= gone) == (shown.place in ("block", "recalled", "left out"))
        if shown.part is not None:
            assert (
                list_part_texts(chat[shown.message])[shown.part][shown.start : shown.end]
                == shown.text
            )
        if of_shape and shown.place in ("block", "recalled"):
            text = transcript(after, BLOCK_HEADING if shown.place == "block" else RETRIEVAL_HEADING)
            assert all(line.strip() in text for line in shown.text.splitlines())
    assert {i for shown in seen.spans for i in range(shown.message, shown.last_message + 1)} >= {
        i
        for i, message in enumerate(chat)
        if not isinstance(message["content"], list) or any(list_part_texts(message))
    }
    places = {shown.place for shown in seen.spans}
    assert ("block" in places) == bool(transcript(after, BLOCK_HEADING))
    assert ("recalled" in places) == bool(transcript(after, RETRIEVAL_HEADING))


@pytest.mark.parametrize("engine", sorted(ENGINES))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chat=CHATS.filter(bool), budget=st.integers(8, 400), focused=st.booleans())
def test_what_is_shown_is_what_is_done(
    engine: str, chat: list[Message], budget: int, focused: bool
) -> None:
    before = json.dumps(chat)
    half = plan(engine, budget, focus="question" if focused and ENGINES[engine].focus else "none")
    seen = build_preview(chat, half, model=MODEL)
    assert seen.compression == compress(chat, half, model=MODEL)
    assert_shown_is_done(seen, chat, ENGINES[engine].grain == "sentence")
    assert json.dumps(chat) == before


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("budget", [500, 2000])
def test_long_chats_are_shown_as_they_are_sent(engine: str, budget: int) -> None:
    chat = support_history(60)
    chat[20:20] = tool_turn(["c1", "c2"], "The parcel left the depot in Leeds.")
    half = plan(engine, budget)
    seen = build_preview(chat, half, model=MODEL)
    assert seen.compression == compress(chat, half, model=MODEL)
    assert_shown_is_done(seen, chat, ENGINES[engine].grain == "sentence")
    ranked = [shown for shown in seen.spans if shown.rank is not None]
    assert sorted({shown.rank for shown in ranked if shown.rank}) == list(
        range(1, len({shown.rank for shown in ranked}) + 1)
    )
    by_rank = sorted(ranked, key=lambda shown: shown.rank or 0)
    assert [shown.score for shown in by_rank] == sorted(
        (shown.score for shown in ranked if shown.score is not None), reverse=True
    )
    tools = [shown for shown in seen.spans if shown.last_message - shown.message == 2]
    assert {(shown.message, shown.part) for shown in tools} == {(20, None)}
    assert "Leeds" in "".join(shown.text for shown in tools)


def places(seen: Preview) -> set[str]:
    return {shown.place for shown in seen.spans}


def test_a_chat_within_the_budget_goes_whole() -> None:
    chat = support_history(2)
    seen = build_preview(chat, plan(budget=100_000), model=MODEL)
    assert seen.compression.messages is None
    assert [shown.place for shown in seen.spans] == [
        "protected",
        *["whole"] * (len(chat) - 2),
        "protected",
    ]
    assert [shown.text for shown in seen.spans] == [message["content"] for message in chat]


def test_what_is_protected_alone_is_shown_so() -> None:
    chat = [
        {"role": "system", "content": "word " * 200},
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
    ]
    seen = build_preview(chat, plan(budget=100), model=MODEL)
    assert seen.compression.note == "protected-exceeds-budget"
    assert [shown.place for shown in seen.spans] == ["protected", "left out", "protected"]


def test_an_engine_that_cannot_serve_is_shown_as_the_one_that_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def too_long(history: Any) -> list[float]:
        raise DocumentTooLong

    monkeypatch.setattr("proxy.core.compression.algorithms.lsa.rank", too_long)
    chat = support_history(40)
    seen = build_preview(chat, plan("lsa", 800), model=MODEL)
    assert (seen.compression.engine, seen.compression.note) == ("trim", "too-long-for-lsa")
    assert_shown_is_done(seen, chat, of_shape=False)
    assert places(seen) == {"protected", "whole", "left out"}


# The next turn


def test_the_next_turn_begins_as_this_one_did() -> None:
    chat = support_history(60)
    seen = build_preview(chat, plan(budget=2000), model=MODEL)
    longer = [*chat, {"role": "assistant", "content": "Noted."}, chat[-1]]
    assert seen.next_asked.tokens == count_prompt_tokens(longer, seen.compression.encoding)
    assert seen.next_asked.warm == count_prompt_tokens(chat, seen.compression.encoding) - 3
    assert seen.next_sent.tokens == compress(longer, plan(budget=2000), model=MODEL).after
    assert 0 < seen.next_sent.warm < seen.compression.after


def test_a_chat_without_a_question_has_a_next_turn_too() -> None:
    seen = build_preview([{"role": "assistant", "content": "Hello."}], plan(), model=MODEL)
    assert seen.next_asked.tokens > seen.compression.before


PRICE = Price(input=Decimal(2), output=Decimal(8), cached_input=Decimal("0.5"))


def test_a_warm_prefix_is_billed_at_its_price_when_it_is_long_enough() -> None:
    costs = compute_prompt_cost(PRICE, 3000, NextTurn(tokens=4000, warm=MIN_CACHED_PREFIX_TOKENS))
    assert costs.now == Decimal("0.006")
    assert (
        costs.next_turn
        == (
            Decimal(4000 - MIN_CACHED_PREFIX_TOKENS) * 2 + MIN_CACHED_PREFIX_TOKENS * Decimal("0.5")
        )
        / 1_000_000
    )
    assert compute_prompt_cost(
        PRICE, 1, NextTurn(tokens=4000, warm=MIN_CACHED_PREFIX_TOKENS - 1)
    ).next_turn == Decimal("0.008")


def test_without_a_price_for_warm_prefixes_there_is_no_warm_turn() -> None:
    assert (
        compute_prompt_cost(
            replace(PRICE, cached_input=None), 1, NextTurn(tokens=4000, warm=4000)
        ).next_turn
        is None
    )


# What was cut further


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "name"),
    [(engine, name) for engine in ("text_rank", "trim") for name in sorted(DATA)]
    # The others choose otherwise and are shown by the same code: one kind of text each.
    + [("lex_rank", "a list"), ("lsa", "nested JSON")],
)
def test_what_was_cut_further_is_shown_as_it_is_sent(engine: str, name: str) -> None:
    chat, half = DATA[name].messages, plan(engine, DATA[name].budget)
    seen = build_preview(chat, half, model=MODEL)
    assert seen.compression == compress(chat, half, model=MODEL)
    assert_shown_is_done(seen, chat, ENGINES[seen.compression.engine].grain == "sentence")
    assert len({shown.place for shown in seen.spans} & {"block", "recalled", "shortened"}) > 0
    assert "left out" in places(seen) or seen.compression.engine == "trim"
    cards = build_asked_cards(chat, seen)
    for card in cards:
        assert (
            "".join(stretch.text for stretch in card.stretches).strip()
            == asked_text(chat, card.number).strip()
        )


def asked_text(chat: list[Message], number: str) -> str:
    """What a card of these messages says in all."""
    first, _, last = number.partition("\N{EN DASH}")
    some = chat[int(first) - 1 : int(last or first)]
    content = some[0]["content"]
    return (
        content
        if len(some) == 1 and isinstance(content, str)
        else write_unit_text(Unit(tuple(range(len(some))), UnitPolicy.WHOLE), some)
    )


def test_messages_with_something_cut_out_keep_their_number_on_the_page() -> None:
    chat = REPORTED["JSON in one line"].messages
    seen = build_preview(chat, plan("trim", 2048), model=MODEL)
    assert [(card.number, card.label) for card in build_sent_cards(chat, seen)] == [
        ("1", "Shortened"),
        ("2", "Whole"),
        ("3", "Protected"),
    ]
    thought = REPORTED["reasoning that is billed"].messages
    light = build_sent_cards(thought, build_preview(thought, plan(budget=4096), model=MODEL))
    assert [card.number for card in light] == [str(number + 1) for number in range(len(thought))]
    assert {card.label for card in light[:-1]} == {"Whole"}
