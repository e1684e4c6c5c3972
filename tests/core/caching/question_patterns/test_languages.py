"""Personal and time-bound questions beyond English,
and the languages in which nobody can tell them."""

import json
from itertools import groupby

import pytest

from evaluation.eligibility import LANGUAGES_SET
from plans.snapshot import CacheSettings
from proxy.core.caching.eligibility import semantic_ineligibility
from proxy.core.formats.chat_completions import ChatRequest
from proxy.core.text.language_detection import is_known_language

REASONS = {
    "personal": "personal",
    "time": "time-sensitive",
    "plain": None,
    "unknown": "unknown-language",
}
ROWS = [json.loads(line) for line in LANGUAGES_SET.read_text().splitlines()]
MOST_USED = {"zh", "hi", "es", "ar", "fr", "bn", "pt", "ru", "ur"}
ALSO = {"de", "ja", "it", "tr", "pl", "ko", "nl", "id"}


def refusal(question: str, *, personal: bool = False, time_sensitive: bool = False) -> str | None:
    request = ChatRequest(body={}, model="m", messages=[{"role": "user", "content": question}])
    return semantic_ineligibility(
        request, CacheSettings(personal=personal, time_sensitive=time_sensitive)
    )


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['language']}: {row['text']}" for row in ROWS])
def test_a_question_of_the_set(row: dict[str, str]) -> None:
    assert refusal(row["text"]) == REASONS[row["label"]]


def test_every_language_has_all_three_kinds() -> None:
    kinds = {
        language: {row["label"] for row in rows}
        for language, rows in groupby(ROWS, lambda row: row["language"])
    }
    assert {
        language for language, found in kinds.items() if found == {"personal", "time", "plain"}
    } == MOST_USED | ALSO


@pytest.mark.parametrize(
    "question",
    [
        "Wie ist das Wetter heute in Berlin?",
        "Wie hoch ist mein Kontostand?",
        "Wo ist meine Bestellung?",
        "Quel est mon solde ?",
        "¿Qué hora es ahora?",
        "我的余额是多少？",
        "今天天气怎么样？",
        # Written otherwise.
        "WO  IST\tMEINE BESTELLUNG???",
        "cual es mi saldo",
        "Quel est mon\u00a0solde\u202f?",
        "wo ist m\u200beine bestellung",
        "Ｗｈｅｒｅ ｉｓ ｍｙ ｏｒｄｅｒ",
        "我的餘額是多少",
    ],
)
def test_now_and_mine_are_for_the_exact_tier(question: str) -> None:
    assert refusal(question) in ("personal", "time-sensitive")


def test_a_plan_that_compares_both_needs_no_language() -> None:
    assert refusal("Vad är mitt saldo?", personal=True) == "unknown-language"
    assert refusal("Vad är mitt saldo?", personal=True, time_sensitive=True) is None


@pytest.mark.parametrize(
    "question",
    [
        "1",
        "?",
        "2 + 2 = ?",
        "👍",
        "  ",
        "Reset forgotten password",
        "What is μ?",
        "Who was Anders Järryd?",
        "你好",
        "What does 谢谢 mean?",
    ],
)
def test_what_can_be_read(question: str) -> None:
    assert is_known_language(question)


@pytest.mark.parametrize(
    "question",
    [
        "What does สวัสดี mean?",
        "Ποια είναι η ώρα;",
        "xyzzy plugh",
        "What is this? " + "\ufdfa" * 900,
        "Hei, mitä kuuluu?",
        "ዛሬ",
    ],
)
def test_what_cannot_be_read(question: str) -> None:
    assert not is_known_language(question)
