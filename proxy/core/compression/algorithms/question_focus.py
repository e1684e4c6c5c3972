"""What of a chat its final question needs, by words and by meanings."""

from itertools import accumulate

import numpy as np

from proxy.core.compression.algorithms.bm25 import Floats, Index
from proxy.core.compression.algorithms.message_dates import matches
from proxy.core.compression.document import History, Segments
from proxy.core.text.languages import numbers
from proxy.core.text.word_vectors import unit
from proxy.core.types import Integers

# How near the meaning of each segment is to the question's.


def closeness(history: History, segments: Segments) -> Floats:
    """The cosine of each segment to the question as seen from the middle of the chat, 0 at least; zeros where nothing tells of meanings.
    Each text is looked up once."""
    memory = history.memory
    meanings = memory.meanings
    if meanings is None or not history.question.strip():
        return np.zeros(len(segments))
    texts = [*segments.texts(), history.question]
    found = memory.gather("meaning", "", texts, lambda some: [row.tobytes() for row in meanings.texts(some)])
    vectors = np.frombuffer(b"".join(found), dtype=np.float32).reshape(len(texts), -1)
    centred = unit(vectors - vectors[:-1].mean(axis=0))
    nearness: Floats = np.maximum((centred[:-1] @ centred[-1]).astype(np.float64), 0)
    return nearness


# What of a chat its final question needs: TextRank's question, asked of words and meanings instead
# of a graph.
#
# A segment is worth what its words say (BM25, to which words of like meaning count too, and the
# date that holds for it), what is said around it, for a question and its reply belong together and
# so do the turns of a topic, and how near its meaning is to the question's. Of a long text the best
# counts most.

# A term of the chat is asked for as much as its cosine to a term of the question is above ALIKE, to this power.
ALIKE, LIKENESS = 0.3, 1.5
# One strong hit says more than several weak ones.
STRONG = 1.5
# What of a segment's score its neighbour gets, and that one's neighbour of this, and so on.
NEAR = 0.6
# How much meaning counts beside words.
MEANING = 0.5


def rank(history: History) -> list[float]:
    """A score for each piece, that of its segment; 0 for what has nothing to do with the question."""
    segments = Segments(history.pieces)
    if not len(segments):
        return []
    said = spread(_words(history, segments) ** STRONG)
    scores = _even(said) + MEANING * _even(closeness(history, segments) ** STRONG)
    found: list[float] = covering(scores, segments.source)[segments.of].tolist()
    return found


def covering(scores: Floats, source: Integers) -> Floats:
    """The best segment of each text as it is, the second by half, the third by a third: all of one long answer says less than a little of
    several. `source`: the text of each segment."""
    order = np.lexsort((-scores, source))
    first = np.searchsorted(source[order], source[order])
    found = np.empty(len(scores))
    found[order] = scores[order] / (1 + np.arange(len(scores)) - first)
    return found


def spread(scores: Floats) -> Floats:
    """The sum over all segments of their scores, less with every step between: two passes."""
    ahead = np.array([*accumulate(scores.tolist(), _carry)])
    back = np.array([*accumulate(scores[::-1].tolist(), _carry)])
    found: Floats = ahead + back[::-1] - scores
    return found


def _carry(before: float, own: float) -> float:
    return NEAR * before + own


def _words(history: History, segments: Segments) -> Floats:
    """How much of what is asked each segment says."""
    bags = history.bags
    index = Index(bags.terms, np.repeat(segments.of, bags.sizes), len(segments))
    text = history.question
    question = np.unique(np.frombuffer(b"".join(numbers(text, [(0, len(text))], history.language)), dtype=np.int64))
    scores: Floats = index.scores(_asked(question, index.vocabulary, history))
    dated = matches(text, history.pieces.sources)
    if dated is not None:
        scores = scores + dated[segments.source]
    return scores


def _asked(question: Integers, vocabulary: Integers, history: History) -> Floats:
    """How much each term of the chat is asked for: 1 for those in the question, less for those alike."""
    exact = np.isin(vocabulary, question).astype(np.float64)
    meanings = history.memory.meanings
    if meanings is None or not len(question) or not len(vocabulary):
        return exact
    cosines = meanings.terms(vocabulary, history.language) @ meanings.terms(question, history.language).T
    alike = np.clip((cosines.max(axis=1) - ALIKE) / (1 - ALIKE), 0, 1) ** LIKENESS
    found: Floats = np.maximum(exact, alike)
    return found


def _even(scores: Floats) -> Floats:
    """In units of their standard deviation, so that words and meanings can be added."""
    spread_of = scores.std()
    return scores / spread_of if spread_of > 0 else scores
