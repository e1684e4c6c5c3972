"""How near the meaning of each segment is to the question's: by the table of words for all, by the model where that matters most.

The model takes milliseconds a text, so it reads the few that the table finds near, short ones first as they cost least; it remembers
them. Where it has read enough, a line through what both say puts the rest on the model's scale: in one chat all is about one thing and
every cosine is high, in another none is.
"""

import numpy as np
from numpy.typing import NDArray

from proxy.core.compression.bm25 import Floats
from proxy.core.compression.history import History
from proxy.core.compression.meanings import Meanings, Vectors, unit
from proxy.core.compression.memory import Memory, Model
from proxy.core.compression.segments import Segments

# Texts that a line is drawn through.
ENOUGH = 8
# What a text costs the model beside its characters, as characters.
OPENING = 12


def closeness(history: History, segments: Segments) -> Floats:
    """The cosine of each segment to the question, 0 at least; zeros where nothing tells of meanings."""
    memory = history.memory
    if memory.meanings is None or not history.question.strip():
        return np.zeros(len(segments))
    texts = [*segments.texts()]
    found = _by_words(texts, history.question, memory, memory.meanings)
    if memory.model is not None:
        found = _by_model(texts, history.question, memory, memory.model, found)
    nearness: Floats = np.maximum(found, 0)
    return nearness


def _by_words(texts: list[str], question: str, memory: Memory, meanings: Meanings) -> Floats:
    """Cosines as seen from the middle of the chat."""
    vectors = _rows(memory.gather("meaning", "", [*texts, question], lambda some: [row.tobytes() for row in meanings.texts(some)]))
    centred = unit(vectors - vectors[:-1].mean(axis=0))
    found: Floats = (centred[:-1] @ centred[-1]).astype(np.float64)
    return found


def _by_model(texts: list[str], question: str, memory: Memory, model: Model, cosines: Floats) -> Floats:
    """The model's cosines, of texts that it has not read those to be expected; what was given where it has read few."""
    seen = memory.known("embedding", model.id, texts)
    read = np.array([one is not None for one in seen], dtype=bool)
    read[_worth_reading(texts, cosines, read, model.letters)] = True
    if read.sum() < ENOUGH:
        return cosines
    asked, *rows = memory.gather("embedding", model.id, [question, *(texts[i] for i in np.flatnonzero(read))], model.embed)
    said = (_rows(rows) @ _rows([asked])[0]).astype(np.float64)
    slope, height = _line(cosines[read], said)
    found = height + slope * cosines
    found[read] = said
    return found


def _worth_reading(texts: list[str], cosines: Floats, read: NDArray[np.bool_], letters: int) -> NDArray[np.intp]:
    """The unread that the model may read: those near the question for their length, up to so many characters with what it has read of the
    chat before. So the first question of a chat waits for it, and the next ones hardly do."""
    lengths = np.array([len(text) + OPENING for text in texts])
    order = np.argsort(-(np.maximum(cosines, 0) ** 2) / lengths, kind="stable")
    order = order[~read[order]]
    chosen: NDArray[np.intp] = order[np.cumsum(lengths[order]) <= letters - lengths[read].sum()]
    return chosen


def _line(cosines: Floats, said: Floats) -> tuple[float, float]:
    """Slope, 0 at least, and height at 0 of the line through what the table and the model say of the same texts."""
    apart = cosines - cosines.mean()
    slope = max(0.0, float(apart @ said) / max(float(apart @ apart), 1e-9))
    return slope, float(said.mean() - slope * cosines.mean())


def _rows(vectors: list[bytes]) -> Vectors:
    return np.frombuffer(b"".join(vectors), dtype=np.float32).reshape(len(vectors), -1)
