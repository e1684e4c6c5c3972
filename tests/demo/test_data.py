"""The demo's traffic: what it sends, in which order, with which labels,
and what it refuses to read."""

import gzip
import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from demo import folder, support_desk
from demo.labels import Labels
from demo.question import FAQ_PLAN, GUIDE_PLAN, Question
from proxy.core.tokens import count_prompt_tokens


@pytest.fixture(scope="module")
def traffic() -> list[Question]:
    return support_desk.load()


def test_the_demo_sends_at_least_a_thousand_requests_and_the_same_ones_every_time(
    traffic: list[Question],
) -> None:
    assert len(traffic) >= 1000
    assert support_desk.load() == traffic


def test_long_chats_have_8000_to_15000_tokens_and_end_with_a_question(
    traffic: list[Question],
) -> None:
    chats = [question.messages for question in traffic if question.plan == GUIDE_PLAN]
    assert chats
    assert all(8_000 <= count_prompt_tokens(messages, "o200k_base") <= 15_000 for messages in chats)
    assert all(
        messages[0]["role"] == "system" and messages[-1]["role"] == "user" for messages in chats
    )


def test_roles_alternate_in_every_history(traffic: list[Question]) -> None:
    for question in traffic:
        roles = [message["role"] for message in question.messages if message["role"] != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]


def test_both_kinds_repeat_and_a_quarter_is_streamed(traffic: list[Question]) -> None:
    for plan in (FAQ_PLAN, GUIDE_PLAN):
        asked = Counter(
            json.dumps(question.messages) for question in traffic if question.plan == plan
        )
        assert 0.2 < len(asked) / asked.total() < 0.8
        assert asked.most_common(1)[0][1] >= 5
    assert 0.2 < sum(question.stream for question in traffic) / len(traffic) < 0.3


def test_one_history_is_asked_the_same_thing_in_two_wordings(traffic: list[Question]) -> None:
    endings: dict[str, set[str]] = {}
    for question in traffic:
        if question.plan == GUIDE_PLAN:
            endings.setdefault(json.dumps(question.messages[:-1]) + question.label, set()).add(
                question.messages[-1]["content"]
            )
    assert any(len(wordings) > 1 for wordings in endings.values())


def test_labels_join_what_is_the_same_and_remember_what_is_not() -> None:
    labels = Labels([("a", "b", True), ("b", "c", True), ("c", "d", False), ("e", "f", True)])
    assert labels.label("a") == labels.label("c") != labels.label("d")
    assert labels.differs("a") == {labels.label("d")}
    assert labels.differs("d") == {labels.label("a")}
    assert labels.differs("e") == frozenset()


def test_a_hit_is_right_wrong_or_unlabelled() -> None:
    closed = Question(plan=FAQ_PLAN, messages=[], label="x")
    open_ended = Question(plan=FAQ_PLAN, messages=[], label="x", differs=frozenset({"y"}))
    assert [closed.verdict(label) for label in ("x", "y", None)] == ["right", "wrong", "unlabelled"]
    assert [open_ended.verdict(label) for label in ("x", "y", "z")] == [
        "right",
        "wrong",
        "unlabelled",
    ]


def test_popular_items_are_drawn_more_often() -> None:
    drawn = Counter(support_desk.zipf(random.Random(1), range(100), 10_000, exponent=1.0))
    ranked = [count for _, count in drawn.most_common()]
    assert ranked[0] > 4 * ranked[9] > 16 * ranked[-1]


def test_a_folder_gives_the_faq_stream_then_each_question_at_the_end_of_its_chat(
    tmp_path: Path,
) -> None:
    _write(
        tmp_path / "faq_stream.jsonl.gz",
        [{"query": "q1", "intent": "i", "src": "s"}, {"query": "q2", "intent": "i", "src": "s"}],
    )
    history = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]
    chat: dict[str, object] = {
        "id": "chat",
        "messages": history,
        "questions": [{"question": "one?"}, {"question": "two?"}, {"question": "one?"}],
    }
    _write(tmp_path / "long_chats_nc.jsonl", [chat])
    _write(tmp_path / "multiturn.jsonl.gz", [{"not": "traffic"}])
    first, second, *chats = folder.load(tmp_path)
    assert [first.plan, first.label, second.label] == [FAQ_PLAN, "i", "i"]
    assert [question.label for question in chats] == [
        "chat question 1",
        "chat question 2",
        "chat question 1",
    ]
    assert chats[1].messages == [*history, {"role": "user", "content": "two?"}]
    assert chats[1].plan == GUIDE_PLAN


def test_own_requests_keep_their_parameters_and_only_identical_ones_share_a_label(
    tmp_path: Path,
) -> None:
    row = {
        "messages": [{"role": "user", "content": "hello"}],
        "model": "x",
        "temperature": 0,
        "stream": True,
    }
    _write(tmp_path / "mine.jsonl", [row, {**row, "stream": False}, {**row, "temperature": 1}])
    first, same, other = folder.load(tmp_path / "mine.jsonl")
    assert first.parameters == {"temperature": 0}
    assert (first.stream, same.stream) == (True, False)
    assert first.verdict(same.label) == "right"
    assert first.verdict(other.label) == "unlabelled"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("mine.jsonl", b'{"messages": [{"role": "user"}]}\n{oops\n', "mine.jsonl:2: "),
        ("mine.jsonl", b"[1]\n", "mine.jsonl:1: not a JSON object"),
        ("mine.jsonl", b'\n{"model": "x"}\n', "mine.jsonl:2: the field 'messages' is missing"),
        ("mine.jsonl", b'{"messages": []}\n', "mine.jsonl:1: messages must be"),
        (
            "faq_stream.jsonl",
            b'{"query": 3, "intent": "i"}\n',
            "faq_stream.jsonl:1: query must be a non-empty text",
        ),
        (
            "long_chats.jsonl",
            b'{"id": "a", "messages": [{"role": "user"}], "questions": 5}\n',
            "long_chats.jsonl:1: ",
        ),
        ("mine.jsonl.gz", b"not gzip", "mine.jsonl.gz:1: "),
        ("mine.jsonl", b'{"messages": "\xff"}\n', "mine.jsonl:1: "),
        ("mine.jsonl", b"", "holds no request"),
    ],
)
def test_a_bad_file_is_one_line_naming_file_and_line(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(folder.DataError, match=re.escape(words)) as refused:
        folder.load(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(folder.DataError, match="nowhere does not exist"):
        folder.load(tmp_path / "nowhere")


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
