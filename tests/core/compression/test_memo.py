"""What is remembered between the turns of a chat changes nothing but the time."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.core.compression import memo
from proxy.core.compression.algorithms.sentence_graph import MAX_FACTOR_ERROR, factor_kernel
from proxy.core.compression.compress import compress
from proxy.core.compression.document import TermBags, read_passage, split_by_sentence
from proxy.core.compression.layout import RETRIEVAL_HEADING
from proxy.core.compression.memo import Memo
from proxy.core.compression.units import split_units
from proxy.core.text import languages, sentences
from proxy.core.text.languages import TERM_BYTES, number_terms, terms
from proxy.core.tokens import count_text, count_up_to
from tests.support.texts.chats import CHATS, MODEL, TEXT, Message, plan, support_history

TURNS = st.lists(CHATS.filter(bool), min_size=1, max_size=3)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [60_000, 1_000_000])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    turns=TURNS,
    budget=st.integers(8, 250),
    language=st.sampled_from(["english", "german", "chinese"]),
)
def test_a_cut_is_the_same_with_and_without_memory(
    limit: int, turns: list[list[Message]], budget: int, language: str
) -> None:
    remembered = Memo(limit)
    chat: list[Message] = []
    for turn in turns:
        chat = [*chat, *turn]
        for model in (MODEL, "gpt-4", MODEL):
            given_plan = plan(budget=budget, language=language)
            assert compress(chat, given_plan, model=model, memory=remembered) == compress(
                chat, given_plan, model=model
            )


def test_a_real_chat_is_cut_the_same_turn_after_turn() -> None:
    remembered, chat = Memo(10_000_000), support_history(60)
    for size in range(20, len(chat), 40):
        for engine in ("text_rank", "lex_rank", "trim"):
            some = [*chat[:size], chat[-1]]
            assert compress(some, plan(engine), model=MODEL, memory=remembered) == compress(
                some, plan(engine), model=MODEL
            )


def test_the_next_turn_reads_its_own_messages_only(monkeypatch: pytest.MonkeyPatch) -> None:
    chat, remembered = support_history(60), Memo(10_000_000)
    compress(chat, plan(), model=MODEL, memory=remembered)
    seen: list[str] = []

    def count(text: str, encoding: str) -> int:
        seen.append(text)
        return count_text(text, encoding)

    count.__name__ = "count_text"
    monkeypatch.setattr(memo, "count_text", count)
    answer = {
        "role": "assistant",
        "content": "We agreed that the parcel goes back, and that you will be paid within a week.",
    }
    compress(
        [*chat, answer, {"role": "user", "content": "Good."}],
        plan(),
        model=MODEL,
        memory=remembered,
    )
    assert [
        text
        for text in seen
        if len(text) > memo.MAX_UNREMEMBERED_CHARACTERS and not text.startswith(RETRIEVAL_HEADING)
    ] == [answer["content"]]


def test_what_is_remembered_stays_within_its_limit() -> None:
    remembered, source = Memo(200_000), random.Random(1)
    for _ in range(40):
        words = " ".join(
            f"w{source.randrange(10**6)}" for _ in range(source.choice([3, 300, 3000]))
        )
        chat = [{"role": "user", "content": words + "\n"}, *support_history(source.randrange(1, 9))]
        compress(chat, plan(budget=60), model=MODEL, memory=remembered)
        assert remembered.used_bytes <= 200_000


def test_the_words_remembered_are_few_and_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "MAX_WORDS", 100)
    lexicon = languages.Lexicon("english")
    first = lexicon[b"orders"]
    for number in range(1000):
        assert lexicon[b"w%d" % number] != first
        assert len(lexicon) <= 100
    assert lexicon[b"order"] == first
    assert lexicon[b"the"] == b""
    assert len(lexicon[b"a" * 1000]) == TERM_BYTES
    assert b"a" * 1000 not in lexicon


def test_the_splitter_forgets_very_long_words() -> None:
    for size in range(1000, 1020):
        assert len(sentences.split_pieces("x" * size + ". Then it ended. And more.")) == 3
    first_pass = sentences._load_punkt()._decision_state()[1]
    assert all(len(word) < 1000 for word in first_pass)


# ---------------------------------------------------------------- the parts


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(TEXT, st.text(alphabet="ab'A_ .9’é你好İΣ\n", max_size=40)),
    st.sampled_from(["english", "turkish", "chinese", "greek"]),
)
def test_numbers_stand_for_the_terms_of_each_piece(text: str, language: str) -> None:
    spans = sentences.split_pieces(text)
    found = number_terms(text, spans, language)
    expected = [terms(text[start:end], language) for start, end in spans]
    known = {
        stem: hash(stem).to_bytes(TERM_BYTES, "little", signed=True)
        for bag in expected
        for stem in bag
    }
    assert found == [b"".join(known[stem] for stem in bag) for bag in expected]


def test_a_passage_joins_to_the_bags_of_its_chat() -> None:
    messages = support_history(10)
    history = split_by_sentence(split_units(messages), messages, "english", Memo())
    number: dict[int, int] = {}
    renumbered = [number.setdefault(term, len(number)) for term in history.bags.terms.tolist()]
    expected = TermBags.from_terms(history.terms)
    assert renumbered == expected.terms.tolist()
    assert history.bags.term_counts.tolist() == expected.term_counts.tolist()


def test_reading_in_an_unknown_language_is_refused() -> None:
    with pytest.raises(ValueError, match="klingon"):
        read_passage("text", "klingon")


@given(st.text(max_size=80), st.integers(-1, 30))
def test_counting_within_a_limit_counts_or_gives_up(text: str, limit: int) -> None:
    tokens = count_text(text, "o200k_base")
    assert count_up_to(text, "o200k_base", limit) == (tokens if tokens <= max(limit, 0) else None)


def test_counting_a_very_long_text_within_a_limit() -> None:
    assert count_up_to("word " * 50_000, "o200k_base", 10) is None
    assert count_up_to("word " * 50_000, "o200k_base", 10**9) == count_text(
        "word " * 50_000, "o200k_base"
    )


@given(st.sets(st.integers(0, 3000), min_size=1, max_size=200))
def test_the_factors_multiply_to_one_over_the_sum_of_logarithms(some: set[int]) -> None:
    import numpy as np

    lengths = np.array(sorted(some))
    left, right = factor_kernel(lengths)
    logs = np.log(np.maximum(lengths, 1))
    sums = logs[:, None] + logs
    expected = 1 / np.where(sums == 0, 1.0, sums)
    assert np.abs(left @ right.T - expected).max() < 10 * MAX_FACTOR_ERROR
    assert left.shape[1] <= 25
