"""What is sent of a chat that was cut, whatever the chat:
properties of every cut and of every turn of a growing chat."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, zip_longest

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from proxy.core.compression.algorithm_registry import ENGINES
from proxy.core.compression.compress import compress
from proxy.core.compression.layout import HIGH_WATER_SHARE, LOW_WATER_SHARE, frozen_boundary
from proxy.core.compression.memo import Memo
from proxy.core.compression.results import CompressionResult
from proxy.core.compression.units import ASSISTANT_PLACEHOLDER, USER_PLACEHOLDER, list_part_texts
from proxy.core.tokens import count_prompt_tokens
from tests.support.texts.chats import CHATS, MODEL, TEXT, Message, exchanges, plan, sent, talk
from tests.support.texts.roles import anthropic_refuses, openai_refuses, template_refuses
from tests.support.texts.transcripts import (
    ROLES,
    block,
    is_transcript,
    marked,
    prefix,
    said,
    squeezed,
    turns,
)

slow = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def must_stay(messages: list[Message]) -> list[Message]:
    """The protected messages, said in the plainest way: these chats never answer a call late."""
    users = [i for i, message in enumerate(messages) if message["role"] == "user"]
    turn = users[-1] if users else len(messages)
    return [
        m
        for i, m in enumerate(messages)
        if i >= turn or m["role"] == "system" or '"cache_control": {' in json.dumps(m)
    ]


def assert_known(after: list[Message], before: list[Message]) -> None:
    """Every message is one that came in, in the order they came in,
    one of those with something cut out of its text, or one of the four that are ours."""
    rest = iter(before)
    for message in after:
        if (
            message is ASSISTANT_PLACEHOLDER
            or message is USER_PLACEHOLDER
            or is_transcript(message)
        ):
            assert message["content"].strip()
        else:
            assert any(message is original or is_excerpt(message, original) for original in rest)


def is_excerpt(message: Message, original: Message) -> bool:
    """Whether a message says a part of the other, and is like it in all else."""
    same = {key: value for key, value in message.items() if key != "content"} == {
        k: v for k, v in original.items() if k != "content"
    }
    return same and all(
        stands_in([squeezed(part) for part in some.split("…")], squeezed(whole))
        for some, whole in zip_longest(
            list_part_texts(message), list_part_texts(original), fillvalue=""
        )
    )


def assert_true_words(after: list[Message], before: list[Message]) -> None:
    """What a transcript lets somebody say was said by him, in this order,
    in a message that is not sent whole."""
    whole = set(map(id, after))
    out = [message for message in before if id(message) not in whole]
    names = {speaker for message in out for speaker, _ in said(message)} | {
        *ROLES.values(),
        "System",
        "Human",
    }
    for transcript in filter(is_transcript, after):
        left = iter([turn for message in out for turn in said(message)])
        for speaker, parts in turns(transcript, names):
            assert any(speaker == other and stands_in(parts, text) for other, text in left), (
                speaker,
                parts,
            )


def stands_in(parts: Sequence[str], text: str) -> bool:
    """Whether the parts stand in the text one after the other."""
    at = 0
    for part in parts:
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


def assert_by_the_rules(cut: CompressionResult, chat: list[Message], budget: int) -> None:
    after = sent(cut, chat)
    assert (cut.before, cut.after) == (
        count_prompt_tokens(chat, cut.encoding),
        count_prompt_tokens(after, cut.encoding),
    )
    assert cut.note in ("", "protected-exceeds-budget")
    assert cut.after <= budget or cut.note == "protected-exceeds-budget"
    assert (cut.messages is None) == (after == chat)
    stays = iter(after)
    assert all(any(message is kept for kept in stays) for message in must_stay(chat))
    assert_known(after, chat)
    assert_true_words(after, chat)
    for refuses in (openai_refuses, anthropic_refuses, template_refuses):
        assert refuses(chat) or not refuses(after), refuses(after)


# A call of a tool comes first, but the first who spoke was the user.
CALL_FIRST: list[Message] = [
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "a", "content": "x"},
    {"role": "user", "content": "hello there"},
    {
        "role": "assistant",
        "content": [{"type": "text", "text": "ok", "cache_control": {"type": "ephemeral"}}],
    },
    {"role": "user", "content": "and?"},
]


@pytest.mark.parametrize("engine", sorted(ENGINES))
@slow
@example(chat=CALL_FIRST, budget=8, least=1, focus="question")
@example(chat=CALL_FIRST, budget=20, least=1, focus="question")
@given(
    chat=st.one_of(CHATS, exchanges()),
    budget=st.integers(8, 400),
    least=st.integers(1, 4),
    focus=st.sampled_from(["question", "none"]),
)
def test_every_chat_is_cut_by_the_rules(
    engine: str, chat: list[Message], budget: int, least: int, focus: str
) -> None:
    before = json.dumps(chat)
    given_plan = plan(engine, budget, min_sentences=least, focus=focus)
    cut = compress(chat, given_plan, model=MODEL)
    assert json.dumps(chat) == before
    assert_by_the_rules(cut, chat, budget)
    assert compress(sent(cut, chat), given_plan, model=MODEL).messages is None


@pytest.mark.parametrize("engine", ["trim", "text_rank", "lex_rank"])
@slow
@given(
    seed=st.integers(0, 10**6), size=st.integers(1, 60), budget=st.integers(60, 1800), question=TEXT
)
def test_every_long_chat_is_cut_by_the_rules(
    engine: str, seed: int, size: int, budget: int, question: str
) -> None:
    chat = [*talk(seed, size)[:-1], {"role": "user", "content": question}]
    assert_by_the_rules(compress(chat, plan(engine, budget), model=MODEL), chat, budget)


# ---------------------------------------------------------------- turn after turn


def grown(chat: list[Message]) -> list[list[Message]]:
    """The chat as it was sent at each of the user's messages."""
    return [chat[: place + 1] for place, message in enumerate(chat) if message["role"] == "user"]


@pytest.mark.slow
@pytest.mark.parametrize("focus", ["question", "none"])
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6), size=st.integers(60, 110), budget=st.integers(1700, 2400))
def test_the_prefix_stays_while_the_mark_stands_and_the_mark_only_moves_on(
    focus: str, seed: int, size: int, budget: int
) -> None:
    given_plan, remembered = plan(budget=budget, focus=focus), Memo(10_000_000)
    cuts = [
        (marked(chat, budget), compress(chat, given_plan, model=MODEL, memory=remembered).messages)
        for chat in grown(talk(seed, size))
    ]
    cut = [(place, messages) for place, messages in cuts if messages is not None]
    for (place, messages), (later, following) in pairwise(cut):
        assert place <= later
        if place == later:
            assert block(messages) == block(following)
            assert prefix(following)[: len(prefix(messages))] == prefix(messages)
    assert any(block(messages) for _, messages in cut) or len(cut) < 5


def test_the_mark_stands_for_several_turns_and_moves_on_in_a_long_chat() -> None:
    marks = [marked(chat, 1200) for chat in grown(talk(1, 120))]
    assert marks == sorted(marks)
    assert 5 < len(set(marks)) < len(marks) / 2


@given(st.lists(st.integers(0, 150), max_size=60))
def test_after_a_mark_there_is_at_least_low_and_at_most_high(costs: list[int]) -> None:
    old = frozen_boundary(costs, 1000)
    after = sum(costs[old:])
    assert after <= HIGH_WATER_SHARE * 1000
    assert old == 0 or after >= LOW_WATER_SHARE * 1000


def test_a_turn_longer_than_all_that_may_gather_goes() -> None:
    assert frozen_boundary([10, 20, 5000], 1000) == 3
    assert frozen_boundary([10, 20, 5000, 30], 1000) == 3


def test_a_question_without_a_word_leaves_the_block_as_it_is() -> None:
    chat = talk(3, 110)
    picture = {
        "role": "user",
        "content": [
            {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}}
        ],
    }
    asked, shown = (
        compress([*chat[:-1], last], plan(budget=1800), model=MODEL).messages
        for last in (chat[-1], picture)
    )
    assert asked is not None
    assert shown is not None
    assert block(asked) == block(shown) != ""


def test_what_an_engine_makes_of_the_question_does_not_reach_the_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []
    engine = replace(ENGINES["text_rank"], rank=f"{__name__}:listening", focus=None)
    monkeypatch.setitem(ENGINES, "third", engine)
    monkeypatch.setattr("tests.core.compression.test_layout.heard", seen)
    assert block(sent(compress(talk(3, 60), plan("third", 1200), model=MODEL), []))
    assert seen == ["", "What about the refund of my order?"]


heard: list[str] = []


def listening(history: object) -> list[float]:
    heard.append(history.question)  # type: ignore[attr-defined]
    return [float(place) for place in range(len(history.pieces))]  # type: ignore[attr-defined]
