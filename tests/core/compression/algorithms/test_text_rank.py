"""Our ranks are sumy's, computed from its own matrices, on real chats."""

from collections.abc import Callable

import fow_cache
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sumy.models.dom import ObjectDocumentModel, Paragraph, Sentence
from sumy.summarizers.lex_rank import LexRankSummarizer
from sumy.summarizers.lsa import LsaSummarizer
from sumy.summarizers.text_rank import TextRankSummarizer

from proxy.core.compression.algorithms import lex_rank, lsa, power_method, sentence_graph, text_rank
from proxy.core.compression.document import (
    Document,
    DocumentTooLong,
    Pieces,
    TermBags,
    TextSource,
    split_by_sentence,
)
from proxy.core.compression.memo import Memo
from proxy.core.compression.units import split_units
from proxy.core.text.languages import terms


class Words:
    """A tokenizer for sumy that hands it what our engines see."""

    def __init__(self, split: Callable[[str], list[str]]) -> None:
        self._split = split

    def to_words(self, sentence: str) -> tuple[str, ...]:
        return tuple(self._split(sentence))


def document(sentences: list[str], split: Callable[[str], list[str]]) -> ObjectDocumentModel:
    return ObjectDocumentModel([Paragraph([Sentence(text, Words(split)) for text in sentences])])


def english(text: str) -> list[str]:
    return terms(text, "english")


@pytest.fixture(
    scope="module",
    params=[(0, 8), (8, 40), (40, 100)],
    ids=lambda span: f"chats {span[0]} to {span[1]}",
)
def history(request: pytest.FixtureRequest) -> Document:
    first, last = request.param
    chat = [
        message
        for conversation in fow_cache.load_conversations()[first:last]
        for message in conversation["a"]
    ]
    messages = [*chat, {"role": "user", "content": "What did we agree on?"}]
    return split_by_sentence(split_units(messages), messages, "english", Memo())


def first(history: Document, count: int) -> Document:
    """The first so many sentences as a history of their own."""
    return Document(
        Pieces.from_whole_texts(
            [TextSource(0, -1, piece.text) for piece in history.pieces[:count]]
        ),
        "english",
        "",
    )


def test_text_rank_gives_the_ranks_of_sumy(history: Document) -> None:
    summarizer = TextRankSummarizer()
    matrix = summarizer._create_matrix(document([piece.text for piece in history.pieces], english))
    expected = summarizer.power_method(matrix, summarizer.epsilon)
    assert np.abs(np.array(text_rank.rank(history)) - expected).max() < 1e-9


def test_lex_rank_gives_the_ranks_of_sumy(history: Document) -> None:
    summarizer = LexRankSummarizer()
    bags = history.terms[:150]
    matrix = summarizer._create_matrix(
        bags, summarizer.threshold, summarizer._compute_tf(bags), summarizer._compute_idf(bags)
    )
    assert np.abs(lex_rank.build_transitions(bags, summarizer.threshold) - matrix).max() < 1e-9
    expected = summarizer.power_method(matrix, summarizer.epsilon)
    assert np.abs(np.array(lex_rank.rank(first(history, 150))) - expected).max() < 1e-9


@pytest.mark.filterwarnings("ignore:Number of words")
def test_lsa_gives_the_ranks_of_sumys_decomposition(history: Document) -> None:
    summarizer, some = LsaSummarizer(), first(history, 200)
    doc = document([piece.text for piece in some.pieces], english)
    matrix = summarizer._compute_term_frequency(
        summarizer._create_matrix(doc, summarizer._create_dictionary(doc))
    )
    _, sigma, v = np.linalg.svd(matrix, full_matrices=False)
    assert (
        np.abs(np.array(lsa.rank(some)) - np.array(summarizer._compute_ranks(sigma, v))).max()
        < 1e-8
    )


def test_the_best_sentences_are_those_that_sumy_chooses(history: Document) -> None:
    some = first(history, 60)
    scores = text_rank.rank(some)
    best = sorted(sorted(range(len(scores)), key=lambda i: -scores[i])[:10])
    chosen = TextRankSummarizer()(document([piece.text for piece in some.pieces], english), 10)
    assert [str(sentence) for sentence in chosen] == [some.pieces[i].text for i in best]


BAGS = st.lists(st.lists(st.sampled_from("abcdefg"), max_size=6), min_size=1, max_size=12)


@settings(max_examples=200, deadline=None)
@given(BAGS)
def test_text_rank_equals_sumy_on_any_bags_of_words(bags: list[list[str]]) -> None:
    # One-word and empty sentences and repeated words: sumy's special cases.
    summarizer = TextRankSummarizer()
    matrix = summarizer._create_matrix(document([" ".join(bag) for bag in bags], str.split))
    expected = summarizer.power_method(matrix, summarizer.epsilon)
    assert np.abs(text_rank.compute_ranks(TermBags.from_terms(bags)) - expected).max() < 1e-9


def plainly(
    step: Callable[[power_method.Floats], power_method.Floats],
    start: power_method.Floats,
    epsilon: float,
) -> power_method.Floats:
    """The power method, one product a step."""
    while np.linalg.norm((found := step(start)) - start) > epsilon:
        start = found
    return found


@settings(max_examples=200, deadline=None)
@given(BAGS, st.sampled_from([1, 40, 4_000_000]))
def test_fewer_products_give_the_ranks_of_the_power_method(
    bags: list[list[str]], entries: int
) -> None:
    # Small spaces that nothing leaves, and bases that are full at once and begun again.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(power_method, "MAX_BASIS_ENTRIES", entries)
        found = text_rank.compute_ranks(TermBags.from_terms(bags))
        patch.setattr(text_rank, "power_iteration", plainly)
        assert np.abs(found - text_rank.compute_ranks(TermBags.from_terms(bags))).max() < 1e-10


def test_a_slow_leak_takes_fewer_products_than_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    bags = TermBags.from_terms(
        [
            [f"w{(7 * i + j) % (50 + i % 40)}" for j in range(i % 9 + 2)] if i % 10 else []
            for i in range(1500)
        ]
    )
    times, products = sentence_graph.SentenceGraph.multiply_vector, 0

    def counted(
        self: sentence_graph.SentenceGraph, vector: sentence_graph.Floats
    ) -> sentence_graph.Floats:
        nonlocal products
        products += 1
        return times(self, vector)

    monkeypatch.setattr(sentence_graph.SentenceGraph, "multiply_vector", counted)
    found, few = text_rank.compute_ranks(bags), products
    monkeypatch.setattr(text_rank, "power_iteration", plainly)
    expected, every = text_rank.compute_ranks(bags), products - few
    assert few < 0.6 * every
    assert np.abs(found - expected).max() < 1e-10


def test_no_sentences_have_no_ranks() -> None:
    assert text_rank.compute_ranks(TermBags.from_terms([])).size == 0


def test_a_graph_too_large_to_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentence_graph, "MAX_ENTRIES", 10)
    with pytest.raises(DocumentTooLong):
        text_rank.compute_ranks(
            TermBags.from_terms([["a", "b", "c"], ["a", "b"], ["a"], ["b", "c", "a", "d"]])
        )
