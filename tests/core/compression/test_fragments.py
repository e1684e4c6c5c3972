"""What does not fit is cut further: of each piece that is larger than the budget the part
that is asked for is sent."""

import json
import re
from typing import Any

import pytest

from proxy.core.compression.compress import compress
from proxy.core.compression.memo import Memo
from proxy.core.tokens import count_prompt_tokens
from tests.support.texts.chats import MODEL, Message, journeys, plan, sent
from tests.support.texts.oversized import DATA, REPORTED, SPEECH, UNSPACED, Case, asked_of, speech
from tests.support.texts.roles import anthropic_refuses, openai_refuses, template_refuses
from tests.support.texts.transcripts import block, marked, prefix

# What a budget is used to where there is enough to say.
USED = 0.9


def said(messages: list[Message]) -> str:
    return "\n".join(json.dumps(message, ensure_ascii=False) for message in messages)


def cut(case: Case, engine: str | None = None) -> list[Message]:
    """What is sent of a chat; it is by the rules."""
    found = compress(
        case.messages, plan(engine or case.engine, case.budget, language=case.language), model=MODEL
    )
    after = sent(found, case.messages)
    assert found.after == count_prompt_tokens(after, found.encoding) <= case.budget
    for refuses in (openai_refuses, anthropic_refuses, template_refuses):
        assert refuses(case.messages) or not refuses(after)
    return after


@pytest.mark.parametrize("name", REPORTED)
def test_what_was_reported_as_lost_is_sent(name: str) -> None:
    case = REPORTED[name]
    assert case.needle in said(cut(case))


@pytest.mark.parametrize("language", [*SPEECH, *UNSPACED])
def test_speech_without_full_stops_is_cut_into_what_is_asked_for(language: str) -> None:
    case = speech(language)
    after = cut(case)
    assert case.needle in said(after)
    assert count_prompt_tokens(after, "o200k_base") >= USED * case.budget


@pytest.mark.parametrize("language", [*SPEECH, *UNSPACED])
def test_speech_is_cut_in_a_plan_for_another_language(language: str) -> None:
    case = speech(language)._replace(language="english")
    assert case.needle in said(cut(case))


@pytest.mark.parametrize("name", DATA)
def test_data_is_cut_into_what_is_asked_for(name: str) -> None:
    assert DATA[name].needle in said(cut(DATA[name]))


@pytest.mark.parametrize("name", [*DATA, "speech without full stops", "JSON in one line", "CSV"])
def test_the_budget_is_used_where_there_is_enough_to_say(name: str) -> None:
    case = DATA.get(name) or REPORTED[name]
    # One word has nothing more to say.
    if name != "a word of a megabyte beside a fact":
        assert count_prompt_tokens(cut(case), "o200k_base") >= USED * case.budget


# ---------------------------------------------------------------- what is left is still what it was


def documents(messages: list[Message]) -> list[Any]:
    """The JSON in what is sent of the old part."""
    found: list[Any] = []
    for message in messages[:-1]:
        text = str(message["content"]).partition("\n")[2]
        at = 0
        while (beginning := re.compile(r"[\[{](?=[\"\[{])").search(text, at)) is not None:
            value, at = json.JSONDecoder().raw_decode(text, beginning.start())
            found.append(value)
    return found


@pytest.mark.parametrize(
    "name",
    [
        "JSON in one line without blanks",
        "JSON over lines",
        "JSON in a fence",
        "JSON line by line",
        "arrays of arrays",
    ],
)
def test_what_is_left_of_json_is_json_and_says_that_something_is_missing(name: str) -> None:
    found = documents(cut(DATA[name]))
    rows = [row for value in found for row in (value if isinstance(value, list) else [value])]
    assert {"id": 2222, "name": "golden teapot", "price": 6666} in rows or [
        2222,
        "golden teapot",
        6666,
    ] in rows
    if name != "JSON line by line":
        assert "…" in rows


def test_what_is_left_of_nested_json_keeps_its_names_all_the_way_down() -> None:
    found = documents(cut(DATA["nested JSON"]))
    shops = [value["shop"] for value in found if "shop" in value]
    assert any(shop.get("safe", {}).get("opened_by") == "Ms. Okonkwo" for shop in shops)
    assert all("…" in shop for shop in shops)


def test_what_is_left_of_a_string_in_json_keeps_its_escapes() -> None:
    notes = [
        value["note"] for value in documents(cut(DATA["a long string in JSON"])) if "note" in value
    ]
    assert any("The anchor chain is 88 metres long." in note for note in notes)
    assert all("…" in note for note in notes)


def test_what_is_left_of_code_is_still_fenced() -> None:
    text = "\n".join(str(message["content"]) for message in cut(DATA["a code block"])[:-1])
    opened = False
    for line in text.splitlines():
        if "```" in line:
            assert line.endswith("```python") != opened
            opened = not opened
        assert opened or not line.startswith("    return")
    assert not opened
    assert "    return weight * zone * 1.75 + base" in text


def test_what_is_left_of_a_table_has_its_head() -> None:
    text = "\n".join(str(message["content"]) for message in cut(DATA["a table"])[:-1])
    before, _, after = text.partition("| 2222 | golden teapot | 6666 |")
    assert before.rfind("| id | name | price |\n| --- | --- | --- |\n") > before.rfind("User:")
    assert "| … |" in before
    assert "| … |" in after


def test_what_is_left_of_a_tools_answer_says_whose_it_is() -> None:
    text = "\n".join(str(message["content"]) for message in cut(DATA["the answer of a tool"])[:-1])
    line = next(line for line in text.splitlines() if "6666" in line)
    assert line.startswith("Tool: [")


def test_a_picture_in_base64_is_shortened_and_what_stands_around_it_stays() -> None:
    case = REPORTED["a picture in base64"]
    text = said(cut(case))
    assert "data:image/png;base64," in text
    assert len(max(re.findall(r"[A-Za-z0-9+/=]+", text), key=len)) < 60


def test_a_block_that_fits_stays_in_one_piece() -> None:
    code = (
        "```python\n"
        + "\n\n".join(f"def teapot_{n}(price):\n    return price * {n}" for n in range(12))
        + "\n```"
    )
    talk = [
        {
            "role": ("user", "assistant")[n % 2],
            "content": f"Talk about the weather of day {n}. " * 20,
        }
        for n in range(40)
    ]
    chat = [
        {"role": "user", "content": code},
        {"role": "assistant", "content": "ok"},
        *talk,
        {"role": "user", "content": "teapot_3 price?"},
    ]
    case = Case(chat, code, 1024)
    assert code in "\n".join(str(message["content"]) for message in cut(case))


# ---------------------------------------------------------------- the other engines


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["trim", "lex_rank", "lsa"])
@pytest.mark.parametrize("name", [*DATA, *REPORTED])
def test_the_other_engines_send_a_part_of_it_too(engine: str, name: str) -> None:
    case = DATA.get(name) or REPORTED[name]
    after = cut(case, engine)
    if name not in (
        "a word of a megabyte beside a fact",
        "reasoning that is billed",
        "a document part",
        "a picture in base64",
    ):
        assert count_prompt_tokens(after, "o200k_base") >= USED * case.budget


def test_trim_cuts_the_middle_of_what_is_too_large_and_json_stays_json() -> None:
    case = DATA["JSON in one line without blanks"]
    after = cut(case, "trim")
    assert [message["role"] for message in after] == ["user", "assistant", "user"]
    rows = json.loads(after[0]["content"])
    assert rows[0] == {"id": 0, "name": "item 0", "price": 0}
    assert rows[-1] == {"id": 3999, "name": "item 3999", "price": 11997}
    assert "…" in rows


def test_trim_keeps_the_call_of_a_tool_with_what_is_left_of_its_answer() -> None:
    case = DATA["the answer of a tool"]
    after = cut(case, "trim")
    assert [message["role"] for message in after] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
    ]
    assert after[1] is case.messages[1]
    assert after[2] | {"content": ""} == case.messages[2] | {"content": ""}
    assert "…" in json.loads(after[2]["content"])


# ---------------------------------------------------------------- turn after turn


def asked_again(chat: list[Message], turns: int) -> list[list[Message]]:
    """A chat as it is sent at each of its turns, and some turns after."""
    talk = journeys(turns)
    return [
        [
            *chat,
            {"role": "assistant", "content": "Well."},
            *talk[: 2 * turn],
            {"role": "user", "content": "And the teapot?"},
        ]
        for turn in range(turns)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "JSON in one line without blanks",
        "the answer of a tool",
        "a code block",
        "a log",
        "minified code",
    ],
)
def test_the_prefix_stays_the_same_while_the_mark_stands(name: str) -> None:
    case, remembered = DATA[name], Memo(10_000_000)
    before: tuple[int, list[Message]] | None = None
    same = 0
    for turn, chat in enumerate(asked_again(case.messages, 24)):
        found = compress(chat, plan(budget=2048), model=MODEL, memory=remembered)
        if turn % 4 == 0:  # without what is remembered each takes a third of a second
            assert found == compress(chat, plan(budget=2048), model=MODEL)
        assert found.after <= 2048
        now = marked(chat, 2048), sent(found, chat)
        if before and before[0] == now[0]:
            assert block(before[1]) == block(now[1]) != ""
            assert prefix(now[1])[: len(prefix(before[1]))] == prefix(before[1])
            same += 1
        before = now
    assert same >= 12


def test_each_of_several_large_pieces_gives_what_is_asked_of_it() -> None:
    chat = [
        *DATA["JSON in one line without blanks"].messages[:2],
        *DATA["a code block"].messages[:2],
        *speech("german").messages[:2],
    ]
    for question, needle in (
        ("What is the price of the golden teapot?", "6666"),
        ("What is the shipping_cost of a weight?", "1.75"),
        ("Wie lautet das Kennwort für den Keller?", "blaue eidechse"),
    ):
        assert needle in said(
            cut(Case([*chat, {"role": "user", "content": question}], needle, 1024))
        )


def test_a_text_that_has_nothing_to_do_with_the_question_takes_no_room_from_what_has() -> None:
    talk = [
        message
        for n in range(30)
        for message in asked_of(f"Note {n}: the boiler of flat {n} is serviced in week {n}.", "x")[
            :2
        ]
    ]
    chat = [
        *DATA["JSON in one line without blanks"].messages[:2],
        *talk,
        {"role": "user", "content": "When is the boiler of flat 7 serviced?"},
    ]
    after = cut(Case(chat, "week 7", 1024))
    assert "week 7." in said(after)


def test_a_large_text_among_the_newest_goes_as_far_as_it_fits_whatever_is_asked() -> None:
    for name in ("JSON in one line without blanks", "a code block", "XML in one line"):
        chat = [*DATA[name].messages[:-1], {"role": "user", "content": "Please go on."}]
        assert count_prompt_tokens(cut(Case(chat, "", 1024)), "o200k_base") >= USED * 1024
