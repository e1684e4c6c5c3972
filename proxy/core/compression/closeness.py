"""How near the meaning of each segment is to the question's."""

import numpy as np

from proxy.core.compression.bm25 import Floats
from proxy.core.compression.history import History
from proxy.core.compression.meanings import unit
from proxy.core.compression.segments import Segments


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
