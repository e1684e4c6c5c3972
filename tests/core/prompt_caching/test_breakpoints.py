"""The breakpoint behind the stable part of a cut chat:
where it stands, and that the prefix is read for it."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.provider import Billed, Provider
from evaluation.rules import PUBLISHED
from proxy.core.compression.compress import compress
from proxy.core.compression.memo import Memo
from proxy.core.config import ProviderEndpoint
from proxy.core.prompt_caching.breakpoints import (
    BREAKPOINT_FIELD,
    add_breakpoint,
    has_breakpoint,
    reads_breakpoints,
)
from tests.support.texts.chats import MODEL, Message, plan, talk, tool_turn
from tests.support.texts.transcripts import block, marked

ENCODING = "o200k_base"
MARK = {"type": "ephemeral"}
USER = {"role": "user", "content": "Where is it?"}
PICTURE = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def test_a_text_becomes_a_part_with_a_breakpoint_and_all_else_stays() -> None:
    chat = [
        {"role": "system", "content": "Help."},
        USER | {"name": "Ann"},
        {"role": "assistant", "content": "Here."},
        USER,
    ]
    before = copy.deepcopy(chat)
    assert add_breakpoint(chat, 2) == [
        chat[0],
        {"role": "user", "name": "Ann", "content": [text("Where is it?", cache_control=MARK)]},
        *chat[2:],
    ]
    assert chat == before


def test_of_several_parts_the_last_text_is_marked() -> None:
    chat: list[Message] = [
        {"role": "user", "content": [text("a"), text("b"), PICTURE, text(" ")]},
        USER,
    ]
    before = copy.deepcopy(chat)
    assert add_breakpoint(chat, 1)[0]["content"] == [
        text("a"),
        text("b", cache_control=MARK),
        PICTURE,
        text(" "),
    ]
    assert chat == before


@pytest.mark.parametrize(
    "bare",
    [
        *tool_turn(["a"], "Found."),
        {"role": "assistant", "content": "", "tool_calls": []},
        {"role": "assistant", "content": " \n"},
        {"role": "user", "content": [PICTURE]},
        {"role": "user", "content": []},
        {"role": "assistant"},
    ],
)
def test_a_message_that_cannot_be_marked_leaves_it_to_the_one_before(bare: Message) -> None:
    assert add_breakpoint([USER, bare, USER], 2) == [
        USER | {"content": [text("Where is it?", cache_control=MARK)]},
        bare,
        USER,
    ]
    assert add_breakpoint([bare, USER], 1) == [bare, USER]


def test_nothing_stable_nothing_marked() -> None:
    assert add_breakpoint([USER, USER], 0) == [USER, USER]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"messages": [USER]}, False),
        ({"messages": [USER | {"content": "cache_control"}]}, False),
        ({"messages": [USER | {"content": [text("a"), text("b", cache_control=MARK)]}]}, True),
        ({"messages": [USER | {BREAKPOINT_FIELD: MARK}]}, True),
        (
            {
                "messages": [USER],
                "tools": [{"type": "function", "function": {"name": "f"}, BREAKPOINT_FIELD: MARK}],
            },
            True,
        ),
        ({"messages": [USER], BREAKPOINT_FIELD: MARK}, True),
    ],
)
def test_breakpoints_of_the_client_are_seen_wherever_they_are(
    body: dict[str, Any], found: bool
) -> None:
    assert has_breakpoint(body) is found


@pytest.mark.parametrize(
    ("provider", "base_url", "reads"),
    [
        ("anthropic", "http://litellm.internal:4000/v1", True),
        ("anthropic", "https://api.anthropic.com/v1", False),
        ("openai", "http://litellm.internal:4000/v1", False),
    ],
)
def test_only_gateways_to_anthropic_are_told(provider: str, base_url: str, reads: bool) -> None:
    assert (
        reads_breakpoints(
            ProviderEndpoint(id=1, name="claude", base_url=base_url, provider=provider)
        )
        is reads
    )


# ---------------------------------------------------------------- which part is stable


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    size=st.integers(60, 110),
    budget=st.integers(1700, 2400),
    words=st.integers(1, 1500),
)
def test_what_is_called_stable_is_there_in_the_next_turn_whatever_is_asked(
    seed: int, size: int, budget: int, words: int
) -> None:
    chat = talk(seed, size)
    asked = [*chat[:-1], {"role": "user", "content": "word " * words}]
    following = [
        *asked,
        {"role": "assistant", "content": "Here."},
        {"role": "user", "content": "And then?"},
    ]
    now, later = (
        compress(messages, plan(budget=budget), model=MODEL) for messages in (asked, following)
    )
    if now.messages is None or now.note:
        assert now.stable_prefix_messages == 0
    elif (
        later.messages is not None
        and marked(asked, budget) == marked(following, budget)
        and block(now.messages)
    ):
        assert 0 < now.stable_prefix_messages < len(now.messages)
        assert (
            later.messages[: now.stable_prefix_messages]
            == now.messages[: now.stable_prefix_messages]
        )
        # Where the question leaves room for the recent turns, only what was recalled and the
        # question are left, and their stand-ins.
        assert len(now.messages) - now.stable_prefix_messages <= 4 or words > budget / 2


# ---------------------------------------------------------------- with a provider that reads marked
# prefixes only


def long_chat(turns: int) -> list[list[Message]]:
    """What a client sends turn by turn: some 200 tokens a turn,
    each with a town of its own to ask for."""
    messages: list[Message] = [{"role": "system", "content": "You help travellers."}]
    sent = []
    for day in range(turns):
        tale = " ".join(
            (
                f"On day {day} at {hour} o'clock train {100 * day + hour} went to the "
                f"harbour of town {day}."
            )
            for hour in range(4)
        )
        sent.append(
            [*messages, {"role": "user", "content": f"{tale} Which train went to town {day // 2}?"}]
        )
        messages = [
            *sent[-1],
            {"role": "assistant", "content": f"{tale} Noted, that was day {day // 2}."},
        ]
    return sent


def billed(*, ours: bool) -> list[tuple[bool, Billed]]:
    """For each turn whether it was cut, and what was billed for it."""
    provider, remembered, bills = Provider(PUBLISHED["anthropic"], ENCODING), Memo(10_000_000), []
    for turn, messages in enumerate(long_chat(40)):
        cut = compress(messages, plan(budget=4096), model=MODEL, memory=remembered)
        sent = cut.messages or messages
        ends = tuple(
            place
            for place, message in enumerate(add_breakpoint(sent, cut.stable_prefix_messages), 1)
            if has_breakpoint(message)
        )
        assert len(ends) == (cut.messages is not None)
        bills.append(
            (cut.messages is not None, provider.send(sent, 60.0 * turn, marks=ends if ours else ()))
        )
    return bills


def test_only_with_the_breakpoint_a_cut_chat_reads_its_prefix() -> None:
    bare, told = ([bill for is_cut, bill in billed(ours=ours) if is_cut] for ours in (False, True))
    assert len(bare) == len(told) > 15
    assert not any(bill.cached for bill in bare[1:])
    assert sum(bill.cached > 1024 for bill in told) > len(told) / 2
    assert sum(bill.cost for bill in told) < 0.7 * sum(bill.cost for bill in bare)
