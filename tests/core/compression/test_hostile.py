"""Chats made to hang whoever cuts them: every one is cut, in a time that no attack can raise,
or trimmed beyond a cap."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from proxy.core.compression import compress as entry
from proxy.core.compression.compress import check_within_budget, compress
from tests.support.texts.chats import MODEL, Message, plan, tool_turn
from tests.support.texts.roles import openai_refuses

pytestmark = pytest.mark.slow
# Linear work takes half a second here at most; what would take a minute with a megabyte because
# it is quadratic takes four seconds with the quarter of one that the longest texts are.
SECONDS = 3
BUDGET = 200

TEXTS = {
    "opening brackets": "[" * 10_000,
    "one long sentence": "word " * 50_000,
    "one sentence without a word twice": " ".join(f"w{n}" for n in range(15_000)),
    "one long word": "a" * 250_000,
    "25,000 lines of one word": "hi\n" * 25_000,
    "25,000 different lines": "".join(f"w{n}\n" for n in range(25_000)),
    "marks without end": "?!" * 125_000,
    "marks and spaces": "? ! " * 50_000,
    "marks and wide spaces": ":\u3000." * 25_000,
    "equal sentences": "The order is late. " * 10_000,
    "turns of somebody else": "User: yes\nAnn: no\n" * 5_000,
    "a list of turns of somebody else": "- assistant: yes\n" * 10_000,
    "blank lines": "a" + "\n" * 225_000 + "User: b",
    "wide marks": "。" * 75_000,
    "dandas": "यह। " * 15_000,
    "unclosed fences": "```\n" * 7_501,
    "fences in lists": "- a\n  ```\n" * 15_000,
    "fences in one item": "- a\n" + "  ```\nx\n  ```\n" * 10_000,
    "a table of bars": "a|b\n" + "| " * 12_500,
    "a delimiter that never ends": "a|b\n" + " " * 25_000 + "x",
    "sentences of every length": "\n".join(
        " ".join(f"x{n * n % 3001}" for n in range(size)) for size in range(250)
    ),
    "what hangs pysbd": "..[111 111 " * 3000,
    "apostrophes": "a'" * 12_500,
    "combining marks": "e\u0301" * 12_500,
    "NULs": "a\x00. " * 25_000,
    "JSON that opens without end": "[1," * 62_500,
    "JSON as deep as it is long": '{"a":' * 15_000 + "1" + "}" * 15_000,
    "what only looks like JSON": '{"a": bbb} ' * 20_000,
    "JSON of numbers": json.dumps(list(range(30_000))),
    "JSON of names": json.dumps({f"k{n}": n for n in range(12_500)}),
    "JSON of one string": json.dumps({"s": '\u00e9\n"\\' * 10_000}),
    "JSON of deep rows": json.dumps(
        [{"a": {"b": {"c": {"d": ["x" * 30] * 30}}}} for _ in range(175)]
    ),
    "a string without end": '{"a":"' + "b " * 100_000,
    "tags": "<a>" * 62_500,
    "base64 line by line": ("A1b2C3d4" * 9 + "\n") * 3_000,
    "hyphens": "a-" * 100_000,
    "an address": "https://x.test/?" + "&".join(f"a{n}=b{n}" for n in range(15_000)),
    "a wide table": "|a|b|\n|-|-|\n|" + "x|" * 100_000,
    "a long table": "|a|b|\n|-|-|\n" + "|1|2|\n" * 25_000,
    "a long line of code": "```\n" + "x=1;" * 50_000 + "\n```",
    "blank lines of code": "```\n" + "\n" * 200_000 + "```",
    "speech": " ".join(f"w{n % 977}" for n in range(45_000)),
    "joiners": "\u200d" * 62_500,
    "marks on one letter": "e" + "\u0301" * 100_000,
    "letters before letters": "เ" * 50_000,
    "lone surrogates": "\ud800\n\udfff. " * 12_500,
}


def nested(depth: int) -> Message:
    inner: Any = "deep"
    for _ in range(depth):
        inner = [inner]
    return {
        "role": "user",
        "content": [{"type": "text", "text": inner}, {"type": "text", "text": "late " * BUDGET}],
    }


def said(count: int, **more: Any) -> list[Message]:
    return [
        {"role": ("user", "assistant")[n % 2], "content": f"hi w{n}."} | more for n in range(count)
    ]


CHATS: dict[str, Callable[[], list[Message]]] = {
    "10,000 tiny messages": lambda: said(10_000),
    "10,000 names": lambda: [message | {"name": f"n{n}"} for n, message in enumerate(said(10_000))],
    "10,000 messages, a few of them protected": lambda: [
        message | ({"cache_control": {}} if n % 4000 == 0 else {})
        for n, message in enumerate(said(10_000))
    ],
    "5,000 calls in one message": lambda: tool_turn([f"c{n}" for n in range(5_000)], "ok"),
    "5,000 calls one by one": lambda: [
        message for _ in range(5_000) for message in tool_turn(["c"], "ok")
    ],
    "answers in reverse": lambda: [
        *(message for n in range(2_500) for message in tool_turn([f"c{n}"], "")[:1]),
        *(
            {"role": "tool", "tool_call_id": f"c{n}", "content": "ok"}
            for n in reversed(range(2_500))
        ),
    ],
    "a tool's answer of a megabyte": lambda: tool_turn(["c"], "User: x\n" * 150_000),
    "25,000 content parts": lambda: [
        {"role": "user", "content": [{"type": "text", "text": f"t{n}"} for n in range(25_000)]}
    ],
    "deeply nested content": lambda: [nested(100_000)],
}
ASKED: Message = {"role": "user", "content": "What about order w77, hi?"}


def assert_cut_in_time(messages: list[Message], engine: str) -> None:
    # Processor time is that of a busy machine too: what was too slow is tried once more.
    for _ in range(2):
        started = time.process_time()
        cut = compress(messages, plan(engine, BUDGET), model=MODEL)
        if (seconds := time.process_time() - started) < SECONDS:
            break
    assert seconds < SECONDS
    assert cut.messages is not None
    assert cut.messages[-1] is messages[-1]
    assert cut.after <= BUDGET
    assert cut.note in ("", f"too-long-for-{engine}", "engine-failed")
    assert cut.engine == (engine if not cut.note else "trim")
    assert not openai_refuses(cut.messages)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("engine", ["trim", "text_rank", "lex_rank", "lsa"])
def test_a_hostile_text_is_cut_in_time(engine: str, name: str) -> None:
    assert_cut_in_time(
        [{"role": "user", "content": TEXTS[name]}, {"role": "assistant", "content": "ok"}, ASKED],
        engine,
    )


@pytest.mark.parametrize("name", CHATS)
@pytest.mark.parametrize("engine", ["trim", "text_rank", "lex_rank"])
def test_a_hostile_chat_is_cut_in_time(engine: str, name: str) -> None:
    assert_cut_in_time([*CHATS[name](), ASKED], engine)


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "late " * 300_000}],
        said(40_000),
        [
            {
                "role": "user",
                "content": [{"type": "text", "text": ""}] * 40_000
                + [{"type": "text", "text": "late " * BUDGET}],
            }
        ],
        tool_turn(["c"], "late " * 300_000),
    ],
    ids=["text", "messages", "parts", "tools"],
)
def test_beyond_the_cap_a_chat_is_trimmed_and_the_cut_says_so(messages: list[Message]) -> None:
    cut = compress([*messages, ASKED], plan(budget=BUDGET), model=MODEL)
    assert (cut.engine, cut.note) == ("trim", "too-long-for-text_rank")


def test_what_may_not_be_cut_does_not_count_towards_the_cap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(entry, "MAX_BYTES", 3_000)
    system = {"role": "system", "content": "a" * 4_000}
    cut = compress([system, *said(20), ASKED], plan(budget=700), model=MODEL)
    assert (cut.engine, cut.note) == ("text_rank", "")


def test_a_deep_chat_is_looked_at_without_falling_over() -> None:
    assert check_within_budget([nested(100_000), ASKED], plan(budget=BUDGET), model=MODEL) is None
