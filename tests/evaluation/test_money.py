"""Long chats replayed and billed: what was sent, what was kept of the evidence,
and what `saves` made of it."""

import gzip
import json
from pathlib import Path

import pytest

from evaluation.bill import STRATEGIES
from evaluation.chats import Chat, Question, load
from evaluation.evidence import Sent
from evaluation.money import measure, render
from evaluation.replay import replay, times
from evaluation.rules import PUBLISHED
from plans.snapshot import CompressionSettings
from proxy.core.tokens import count_prompt_tokens
from tests.support.texts.chats import journeys

SETTINGS = CompressionSettings(engine="text_rank", max_input_tokens=1024)


def chat(turns: int) -> Chat:
    """Each turn tells of a journey, and the last question asks for one of them."""
    return Chat(
        "journeys", "trains", journeys(turns), (Question("Which train did I take on day 3?", (6,)),)
    )


def test_a_message_survives_word_for_word_or_by_most_of_its_words_in_runs() -> None:
    sent = Sent(
        [
            {
                "role": "user",
                "content": "User: I was born in a small town near Bergen.\n… I like tea.",
            }
        ]
    )
    assert sent.has("I like tea")
    assert sent.has("I was born in a small town near Bergen, you know")
    assert not sent.has("I like coffee")
    assert not sent.has("In Bergen I was near a small town born")


def test_each_turn_ends_with_what_a_user_asked() -> None:
    requests = chat(5).requests()
    assert [len(request) for request in requests] == [1, 3, 5, 7, 9]
    assert times(4) == [0, 60, 120 + 1740, 180 + 1740]


def test_cut_prompts_keep_the_budget_and_the_question() -> None:
    done = replay(chat(120), SETTINGS)
    for name in ("every_turn", "always"):
        for whole, sent in zip(done.sent["none"], done.sent[name], strict=True):
            assert count_prompt_tokens(sent, "o200k_base") <= SETTINGS.max_input_tokens
            assert sent[-1] == whole[-1]
    assert done.kept["none"] == [True]


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    folder = tmp_path_factory.mktemp("chats")
    rows = [
        {
            "id": str(turns),
            "source": "trains",
            "messages": chat(turns).messages,
            "questions": QUESTIONS,
        }
        for turns in (60, 150)
    ]
    with gzip.open(folder / "long_chats.jsonl.gz", "wt") as lines:
        lines.write("\n".join(map(json.dumps, rows)))
    return measure(folder, SETTINGS, PUBLISHED["openai"], folder)


QUESTIONS = [{"question": "Which train did I take on day 3?", "evidence": [6]}]


def test_saving_never_costs_more_than_sending_all(figures: dict[str, dict[str, float]]) -> None:
    assert list(figures) == ["0.1", "0.25", "0.5", "none"]
    assert all(found["worst_chat_ratio"] <= 1.01 for found in figures.values())
    assert figures["none"]["saves"] < figures["none"]["none"]
    assert figures["0.1"]["saves"] < figures["0.1"]["every_turn"]


def test_the_table_has_a_row_for_each_price(figures: dict[str, dict[str, float]]) -> None:
    rows = render(figures).splitlines()
    assert [row.split(" | ")[0] for row in rows[2:]] == [f"| {ratio}" for ratio in figures]
    assert all(name in rows[0] for name in STRATEGIES)


def test_a_folder_without_chats_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"long_chats\.jsonl\.gz"):
        load(tmp_path)
