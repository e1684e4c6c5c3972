"""The sums behind the answers of a small model: F1, which questions, how sure, and the tables."""

from collections.abc import Sequence

import pytest

from evaluation.answers.bootstrap import interval
from evaluation.answers.f1 import f1
from evaluation.answers.figures import differences, figures
from evaluation.answers.pick import pick
from evaluation.answers.round import Answer
from evaluation.answers.table import render
from evaluation.chats import Chat, Question
from proxy.core.tokens import count_message_tokens
from tests.support.texts.chats import journeys

TURNS = 40


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [
        ("The Falcon.", "falcon", 1.0),
        ("$1,020", "1020", 1.0),
        ("on the 7 May", "7 May 2023", 2 * 2 / (3 + 3)),
        ("a cat a cat", "cat", 2 * 1 / (2 + 1)),
        ("Bergen", "Oslo", 0.0),
        ("", "Oslo", 0.0),
        ("the", "", 1.0),
    ],
)
def test_f1_is_that_of_squad(answer: str, reference: str, score: float) -> None:
    assert f1(answer, reference) == pytest.approx(score)


def test_an_article_within_a_word_stays() -> None:
    assert f1("theatre", "atre") == f1("Anna", "na") == 0.0


def test_an_interval_holds_the_mean_and_is_the_same_every_time() -> None:
    found = interval({"one": [0.1, 0.3], "two": [-0.2], "three": [0.4, 0.0, 0.6]})
    assert found.mean == pytest.approx(1.2 / 6)
    assert found.low < found.mean < found.high
    assert found == interval({"one": [0.1, 0.3], "two": [-0.2], "three": [0.4, 0.0, 0.6]})


def test_an_interval_is_over_chats_not_questions() -> None:
    together = interval(
        {str(chat): [value] * 20 for chat, value in enumerate((0.0, 1.0, 0.0, 1.0))}
    )
    apart = interval(
        {f"{chat} {number}": [float(chat % 2)] for chat in range(4) for number in range(20)}
    )
    assert (together.low, together.high) == (0.0, 1.0)
    assert 0.3 < apart.low < apart.high < 0.7


def test_there_is_no_interval_of_nothing() -> None:
    with pytest.raises(ValueError, match="no differences"):
        interval({"one": []})


def chat(name: str, source: str, *, questions: int = 6) -> Chat:
    """Question n takes message 2n to answer."""
    asked = tuple(
        Question(f"Which train on day {day}?", (2 * day,), f"train {day}")
        for day in range(questions)
    )
    return Chat(name, source, journeys(TURNS), asked)


def texts(chats: Sequence[Chat]) -> dict[str, list[str]]:
    return {one.id: [question.text for question in one.questions] for one in chats}


def test_sources_give_alike_and_the_order_of_the_data_is_no_matter() -> None:
    chats = [chat(f"{source}-{number}", source) for source in "ab" for number in range(7)]
    picked = pick(chats, 17)
    assert texts(picked) == texts(pick(chats[::-1], 17))
    counts = {
        source: [len(one.questions) for one in picked if one.source == source] for source in "ab"
    }
    assert counts == {"a": [3, 2, 2, 2], "b": [2, 2, 2, 2]}
    assert [one.source for one in picked] == ["a", "b"] * 4


def test_a_history_ends_where_it_is_long_enough_and_what_comes_later_is_not_asked() -> None:
    sizes = [count_message_tokens(message, "o200k_base") for message in journeys(TURNS)]
    (picked,) = pick([chat("trains", "a", questions=TURNS)], TURNS, longest=sum(sizes[:21]))
    assert picked.messages == journeys(TURNS)[:21]
    assert {question.evidence for question in picked.questions} == {(2 * day,) for day in range(11)}


def test_a_question_is_asked_once_and_only_with_a_reference() -> None:
    questions = (
        Question("Where?", (0,), "Oslo"),
        Question("Where?", (2,), "Bergen"),
        Question("Why?", (0,), " "),
    )
    (picked,) = pick([Chat("trains", "a", journeys(TURNS), questions)], 5)
    assert [question.text for question in picked.questions] == ["Where?"]


def test_nothing_to_ask_is_an_error() -> None:
    for chats, count in (([chat("trains", "a", questions=0)], 5), ([chat("trains", "a")], 0)):
        with pytest.raises(ValueError, match="no question to ask"):
            pick(chats, count)


def answer(
    arm: str, question: str, score: float, *, cold: bool = False, first_ms: float = 100.0
) -> Answer:
    return Answer(
        chat=question[0],
        source="trains",
        arm=arm,
        question=question,
        reference="Oslo",
        text="",
        f1=score,
        kept=score > 0.5,
        cold=cold,
        prompt_tokens=int(10 * first_ms),
        first_ms=first_ms,
        overhead_ms=1.0,
        note="" if arm == "full" else "late",
    )


ANSWERS = [
    answer("full", "a1", 0.5, cold=True, first_ms=900.0),
    answer("full", "a2", 1.0),
    answer("full", "b1", 0.0),
    answer("cut", "b1", 0.25),
    answer("cut", "a1", 1.0),
    answer("cut", "a2", 1.0),
]


def test_differences_are_between_answers_to_one_question() -> None:
    assert differences(ANSWERS[3:], ANSWERS[:3]) == {"a": [0.5, 0.0], "b": [0.25]}
    with pytest.raises(KeyError):
        differences(ANSWERS[3:], ANSWERS[:2])


def test_figures_and_tables_say_what_was_measured() -> None:
    found = figures(ANSWERS, [("cut", "full")])
    full = found["arms"]["full"]
    assert (full["f1"], full["evidence"], full["prompt_tokens"]) == (0.5, 0.3333, 3667)
    assert full["first_token_ms"] == {
        "cold": {"p50": 900.0, "p90": 900.0, "questions": 1},
        "warm": {"p50": 100.0, "p90": 100.0, "questions": 2},
    }
    assert found["arms"]["cut"]["notes"] == ["late"]
    assert found["differences"]["cut - full"]["mean"] == pytest.approx(0.25)
    assert (
        "| full | 0.500 | 0.500 | 0.333 | 3,667 | 0.90 / 0.90 s | 0.10 / 0.10 s |"
        in render(found).splitlines()
    )
