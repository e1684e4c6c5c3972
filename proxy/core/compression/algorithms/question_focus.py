"""Rank the pieces of a chat by what its final question needs, by words and by meaning."""

from itertools import accumulate

import numpy as np

from proxy.core.compression.algorithms.bm25 import BM25Index, Floats
from proxy.core.compression.algorithms.message_dates import score_date_matches
from proxy.core.compression.document import Document, Segments
from proxy.core.text.languages import number_terms
from proxy.core.text.word_vectors import normalize_rows
from proxy.core.types import IntegerArray


def question_similarity(history: Document, segments: Segments) -> Floats:
    """Return each segment's cosine to the question, centred on the chat's mean, at least 0.

    Zeros without word vectors. Each text is embedded once.
    """
    memory = history.memo
    meanings = memory.word_vectors
    if meanings is None or not history.question.strip():
        return np.zeros(len(segments))
    texts = [*segments.iter_texts(), history.question]
    found = memory.get_or_compute_all(
        "meaning", "", texts, lambda some: [row.tobytes() for row in meanings.embed_texts(some)]
    )
    vectors = np.frombuffer(b"".join(found), dtype=np.float32).reshape(len(texts), -1)
    centred = normalize_rows(vectors - vectors[:-1].mean(axis=0))
    nearness: Floats = np.maximum((centred[:-1] @ centred[-1]).astype(np.float64), 0)
    return nearness


# A segment scores by its words (BM25, in which words of similar meaning count too, and the date
# that applies to it), by the words of its neighbours, because a question and its reply belong
# together and so do the turns of a topic, and by the similarity of its meaning to the question's.
# The best segments of a long text count most.

# The query weight of a term is its cosine to a term of the question, scaled from
# MIN_TERM_SIMILARITY..1 to 0..1, to this power.
MIN_TERM_SIMILARITY, SIMILARITY_POWER = 0.3, 1.5
# One strong hit says more than several weak ones.
SCORE_POWER = 1.5
# The share of a segment's score that its neighbour gets, and of that one's share the next, and so
# on.
NEIGHBOUR_SHARE = 0.6
# The weight of meaning relative to words.
MEANING_WEIGHT = 0.5


def rank(history: Document) -> list[float]:
    """Return for each piece the score of its segment; 0 if it is unrelated to the question."""
    segments = Segments(history.pieces)
    if not len(segments):
        return []
    said = spread_to_neighbours(_score_words(history, segments) ** SCORE_POWER)
    scores = _standardize_scores(said) + MEANING_WEIGHT * _standardize_scores(
        question_similarity(history, segments) ** SCORE_POWER
    )
    found: list[float] = discount_same_source(scores, segments.source)[
        segments.segment_by_piece
    ].tolist()
    return found


def discount_same_source(scores: Floats, source: IntegerArray) -> Floats:
    """Divide the k-th best segment score of each text by k; `source` is the text per segment."""
    # All of one long answer says less than a little of several.
    order = np.lexsort((-scores, source))
    first = np.searchsorted(source[order], source[order])
    found = np.empty(len(scores))
    found[order] = scores[order] / (1 + np.arange(len(scores)) - first)
    return found


def spread_to_neighbours(scores: Floats) -> Floats:
    """Add to each score those of all others, decaying with every step between: two passes."""
    ahead = np.array([*accumulate(scores.tolist(), _carry_over)])
    back = np.array([*accumulate(scores[::-1].tolist(), _carry_over)])
    found: Floats = ahead + back[::-1] - scores
    return found


def _carry_over(before: float, own: float) -> float:
    return NEIGHBOUR_SHARE * before + own


def _score_words(history: Document, segments: Segments) -> Floats:
    """Score each segment by the question's words and dates."""
    bags = history.bags
    index = BM25Index(
        bags.terms, np.repeat(segments.segment_by_piece, bags.term_counts), len(segments)
    )
    text = history.question
    question = np.unique(
        np.frombuffer(
            b"".join(number_terms(text, [(0, len(text))], history.language)), dtype=np.int64
        )
    )
    scores: Floats = index.score_segments(_weigh_terms(question, index.vocabulary, history))
    dated = score_date_matches(text, history.pieces.sources)
    if dated is not None:
        scores = scores + dated[segments.source]
    return scores


def _weigh_terms(question: IntegerArray, vocabulary: IntegerArray, history: Document) -> Floats:
    """Return a query weight per term of the chat: 1 if in the question, less if only similar."""
    exact = np.isin(vocabulary, question).astype(np.float64)
    meanings = history.memo.word_vectors
    if meanings is None or not len(question) or not len(vocabulary):
        return exact
    cosines = (
        meanings.embed_terms(vocabulary, history.language)
        @ meanings.embed_terms(question, history.language).T
    )
    alike = (
        np.clip((cosines.max(axis=1) - MIN_TERM_SIMILARITY) / (1 - MIN_TERM_SIMILARITY), 0, 1)
        ** SIMILARITY_POWER
    )
    found: Floats = np.maximum(exact, alike)
    return found


def _standardize_scores(scores: Floats) -> Floats:
    """Divide by the standard deviation, so that words and meanings can be added."""
    spread_of = scores.std()
    return scores / spread_of if spread_of > 0 else scores
