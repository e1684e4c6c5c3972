"""Which questions still find their evidence in what was sent."""

import gzip
import json
from pathlib import Path

from evaluation.chats import Chat, Question
from evaluation.compression import BUDGETS, measure, render
from evaluation.simple import SIMPLE, at_random, bm25, keep_last
from proxy.core.tokens import count_prompt_tokens
from proxy.core.types import Message
from tests.support.texts.chats import journeys


def chat(turns: int) -> Chat:
    """Each turn tells of a journey, and the question asks for an early one."""
    questions = (
        Question("Where did train 1021 go?", (6,)),
        Question("Where did I go?", tuple(range(0, turns, 2))),
    )
    return Chat("journeys", "trains", journeys(turns), questions)


def test_simple_methods_keep_what_they_say_within_the_budget() -> None:
    messages: list[Message] = [
        *chat(40).messages,
        {"role": "user", "content": "Where did train 1021 go?"},
    ]
    for cut in SIMPLE.values():
        sent = cut(messages, 300)
        assert 250 < count_prompt_tokens(sent, "o200k_base") <= 300
        assert sent[-1] is messages[-1]
    last = keep_last(messages, 300)
    assert last == messages[-len(last) :]
    assert messages[6] in bm25(messages, 100)
    assert at_random(messages, 300) == at_random(messages, 300) != last


def test_a_question_counts_when_all_of_its_evidence_is_sent(tmp_path: Path) -> None:
    told = chat(200)
    questions = [{"question": one.text, "evidence": one.evidence} for one in told.questions]
    row = {"id": told.id, "source": told.source, "messages": told.messages, "questions": questions}
    with gzip.open(tmp_path / "long_chats.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps(row))
    figures = measure(tmp_path, tmp_path)
    assert set(figures) == {"text_rank", "text_rank, focus none", "trim", *SIMPLE}
    assert {found[str(budget)]["trains"] for found in figures.values() for budget in BUDGETS} <= {
        0.0,
        0.5,
        1.0,
    }
    assert figures["text_rank"]["2048"] == figures["BM25"]["2048"] == {"trains": 0.5}
    assert figures["keep last"]["2048"] == {"trains": 0.0}
    assert render(figures).splitlines()[0] == "| engine | trains 4096 | trains 2048 | s a cut |"
