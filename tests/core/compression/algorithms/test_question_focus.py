"""What of a chat its question finds: words, words alike, meaning, neighbours, dates;
and how long that takes on odd texts."""

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.compression.algorithms.bm25 import BM25Index
from proxy.core.compression.algorithms.message_dates import find_dates, score_date_matches
from proxy.core.compression.algorithms.question_focus import (
    discount_same_source,
    rank,
    spread_to_neighbours,
)
from proxy.core.compression.compress import compress
from proxy.core.compression.document import (
    MAX_SEGMENT_CHARACTERS,
    STRETCH_CHARACTERS,
    Document,
    Segments,
    TextSource,
    split_by_sentence,
)
from proxy.core.compression.memo import Memo
from proxy.core.compression.units import split_units
from proxy.core.text.word_vectors import WordVectors
from tests.support.texts.chats import CHATS, MODEL, Message, plan

PIECES = [
    "[PAD]",
    "the",
    "film",
    "movie",
    "cat",
    "animal",
    "bank",
    "loan",
    "play",
    "##ing",
    "##s",
    "is",
    "a",
    "was",
    "good",
]
# Two and two are alike; the first words are worth little.
ROWS = np.array(
    [
        [0, 0, 0],
        [0.01, 0, 0],
        [1, 0, 0],
        [0.9, 0.1, 0],
        [0, 1, 0],
        [0, 0.9, 0.1],
        [0, 0, 1],
        [0.1, 0, 0.9],
        [0.5, 0.5, 0.5],
    ]
    + [[0.01, 0.01, 0.01]] * 6
)
MEANINGS = WordVectors(PIECES, ROWS)


def history(texts: list[str], question: str, memory: Memo | None = None) -> Document:
    messages: list[Message] = [
        {"role": ("user", "assistant")[index % 2], "content": text}
        for index, text in enumerate(texts)
    ]
    messages.append({"role": "user", "content": question})
    return split_by_sentence(split_units(messages), messages, "english", memory or Memo())


def best(texts: list[str], question: str, memory: Memo | None = None) -> list[int]:
    """Messages by score, the best first; each is one piece."""
    scores = rank(history(texts, question, memory))
    assert len(scores) == len(texts)
    return sorted(range(len(texts)), key=lambda index: -scores[index])


FILLER = ["Good to hear", "Fine weather", "See you then", "Sounds great", "Well done"]


def test_a_rare_word_of_the_question_finds_its_message_and_a_common_one_does_not() -> None:
    texts = (
        [f"{text} about invoice" for text in FILLER]
        + ["The courier brought it"]
        + [f"{text}, invoice" for text in FILLER]
    )
    assert best(texts, "Which courier has the invoice?")[0] == 5


def test_stop_words_of_the_question_find_nothing() -> None:
    assert rank(history(["What is it and who was that", *FILLER], "What is it?")) == [0.0] * 6


def test_what_stands_near_a_hit_is_found_with_it_the_nearer_the_sooner() -> None:
    texts = [*FILLER, "Where does your sister live?", "In Bergen", "By the sea", *FILLER]
    assert best(texts, "the city of my sister")[:4] == [5, 4, 6, 3]


def test_spreading_is_the_sum_over_all_by_distance() -> None:
    scores = np.array([0.0, 3.0, 0.0, 1.0, 0.5])
    steps = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    assert spread_to_neighbours(scores) == pytest.approx(0.6**steps @ scores)


def test_of_a_text_the_best_counts_whole_the_second_half_the_third_a_third() -> None:
    scores, source = np.array([6.0, 2.0, 9.0, 5.0]), np.array([0, 1, 0, 0])
    assert discount_same_source(scores, source).tolist() == [3.0, 2.0, 9.0, 5.0 / 3]


def test_a_short_fact_comes_before_all_the_rest_of_a_long_answer_on_the_same_words() -> None:
    essay = " ".join(
        f"The invoice is paper number {n}, filed with {n + 1} others in box {n + 2} of the archive."
        for n in range(20)
    )
    texts = [*FILLER, essay, *FILLER, *FILLER, *FILLER, "My invoice is lost", *FILLER]
    scores = rank(history(texts, "Where is the invoice?"))
    pieces = history(texts, "Where is the invoice?").pieces
    fact = next(index for index, piece in enumerate(pieces) if piece.text == "My invoice is lost")
    better = {pieces[index].text for index, score in enumerate(scores) if score > scores[fact]}
    assert sum(map(len, better)) < len(essay) / 3


def test_a_word_alike_is_found_by_its_vector_and_only_by_that() -> None:
    texts = [*FILLER, "A movie", *FILLER]
    assert rank(history(texts, "film")) == [0.0] * len(texts)
    assert best(texts, "film", Memo(word_vectors=MEANINGS))[0] == 5


def test_the_word_itself_counts_more_than_one_alike() -> None:
    texts = [*FILLER, "A movie", *FILLER, "A film", *FILLER]
    assert best(texts, "film", Memo(word_vectors=MEANINGS))[0] == 11


def test_meaning_is_that_of_the_pieces_of_words() -> None:
    texts = MEANINGS.embed_texts(["Film!", "films", "the FILM", "zzz", "", "Fílm"])
    assert texts[0] == pytest.approx(ROWS[2])
    assert texts[1] == pytest.approx((ROWS[2] + ROWS[10]) / 2)
    assert texts[2] == pytest.approx((ROWS[1] + ROWS[2]) / 2)
    assert not texts[3].any()
    assert not texts[4].any()
    assert texts[5] == pytest.approx(ROWS[2])


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    MEANINGS.save(tmp_path / "words.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["words.npz"]
    read = WordVectors.load(tmp_path / "words.npz")
    assert read.embed_texts(["a loan", "the cats"]) == pytest.approx(
        MEANINGS.embed_texts(["a loan", "the cats"]), abs=1e-3
    )


def test_a_short_message_is_one_segment_and_a_long_one_is_cut_into_stretches() -> None:
    sentence = "This sentence has some forty characters. "
    some = history([sentence * 3, sentence * 40], "Which?")
    segments = Segments(some.pieces)
    sizes = np.bincount(segments.segment_by_piece)
    assert sizes[0] == 3
    assert len(sentence) * 3 <= MAX_SEGMENT_CHARACTERS < len(sentence) * 40
    assert (
        40 * len(sentence) / STRETCH_CHARACTERS
        <= len(segments) - 1
        <= 40 * len(sentence) / STRETCH_CHARACTERS + 1
    )
    assert "".join("".join(segments.iter_texts()).split()) == "".join((sentence * 43).split())


def test_bm25_is_the_formula() -> None:
    index = BM25Index(np.array([7, 7, 9, 9, 8]), np.array([0, 0, 0, 1, 2]), 3)
    assert index.vocabulary.tolist() == [7, 8, 9]
    mean, rare, common = 5 / 3, np.log(4 / 1.5), np.log(4 / 2.5)

    def part(rarity: float, count: int, length: int) -> float:
        return rarity * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * length / mean))

    assert index.score_segments(np.array([1.0, 0.0, 0.5])) == pytest.approx(
        [part(rare, 2, 3) + part(common, 1, 3) / 2, part(common, 1, 1) / 2, 0]
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(7:48 pm on 21 May, 2023) Hi", {"d21", "m5", "y2023"}),
        ("2024-02-29 10:00 started", {"d29", "m2", "y2024"}),
        ("On March 3rd, 2021", {"d3", "m3", "y2021"}),
        ("in June 2022 and in July", {"m6", "y2022", "m7"}),
        ("the 4th of Sept.", {"d4", "m9"}),
        ("I may go, 300 marchers decided", set()),
        ("2024-13-29", set()),
        ("May I ask?", {"m5"}),
    ],
)
def test_dates_are_read(text: str, found: set[str]) -> None:
    assert find_dates(text) == found


def test_a_date_at_the_head_of_a_message_holds_until_the_next() -> None:
    texts = [
        "Hello",
        "(2 May, 2023) Hi",
        "We met",
        "(9 June, 2023) Hi again",
        "We parted on 2 May, 2023",
    ]
    sources = [TextSource(index, 0, text) for index, text in enumerate(texts)]
    scores = score_date_matches("What was in June 2023?", sources)
    assert scores is not None
    assert scores[0] == 0 < scores[1] == scores[2] < scores[3] == scores[4]
    assert score_date_matches("What was then?", sources) is None


def test_the_dated_part_of_a_chat_is_found_by_its_date() -> None:
    days = [
        f"({day} {month}, 2023) {FILLER[day % 5]}"
        for month in ("April", "May", "June")
        for day in (3, 9)
    ]
    texts = [text for day in days for text in (day, *FILLER)]
    assert best(texts, "What happened on 9 May, 2023?")[0] in range(18, 24)


@given(chat=CHATS.filter(bool), limit=st.sampled_from([0, 1000, 1_000_000]))
def test_memory_changes_no_score(chat: list[Message], limit: int) -> None:
    chat = [*chat, {"role": "user", "content": "Which film was good, 3 May 2020?"}]
    fresh = split_by_sentence(split_units(chat), chat, "english", Memo(word_vectors=MEANINGS))
    memory = Memo(limit, word_vectors=MEANINGS)
    for _ in range(2):
        again = rank(split_by_sentence(split_units(chat), chat, "english", memory))
        assert again == rank(fresh)
        assert len(again) == len(fresh.pieces)
        assert all(np.isfinite(again))
        assert min(again, default=0) >= 0


@pytest.mark.parametrize(
    "text",
    [
        "[" * 20_000,
        "word " * 200_000,
        "x" * 900_000,
        "no\n" * 100_000,
        " ".join(f"{n:x}zq" for n in range(100_000)),
        "é, ü " * 100_000,
    ],
    ids=["brackets", "sentence", "run", "lines", "words", "accents"],
)
def test_hostile_texts_take_seconds_at_most(text: str) -> None:
    messages: list[Message] = [
        {"role": "user", "content": text},
        {"role": "user", "content": "Which film is it?"},
    ]
    begun = time.thread_time()
    cut = compress(messages, plan(budget=300), model=MODEL, memory=Memo(word_vectors=MEANINGS))
    assert time.thread_time() - begun < 5
    assert cut.after <= 300
