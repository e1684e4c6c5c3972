"""What is known of one question when it is compared: words, and tokens as a model reads them.

A question is read once, whatever it is compared with: only short sums are left for each pair.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy.core.text.languages import load_stemmer
from proxy.core.text.normalize import fold_text
from proxy.core.text.word_vectors import WordVectors, normalize_rows
from proxy.engines.embedders.onnx import (
    GRAPH_FILE,
    MINILM_ID,
    TOKENIZER_FILE,
    WORD_VECTORS_FILE,
)
from proxy.engines.inference.session import open_session, open_tokenizer

Floats = NDArray[np.float32]

MAX_TOKENS = 128
BATCH_TEXTS = 32
# Words that say little of what a question is about.
FUNCTION_WORDS = frozenset(
    (
        "a an the of to in on at for from by with and or i my me we our you your he she it its "
        "they them their is are was were be been am do does did can could will would should may "
        "might have has had there this that these those what who where when why how which please "
        "so as if not no than then up out about into over"
    ).split()
)
_FUNCTION_TOKENS = (
    "a an the of to in on at for from by with and or i my me we our you your he she it they is "
    "are was were be am do does did can could will would should may have has had this that these "
    "those what who where when why how which please so as if ? . , ! ' s"
)


@dataclass(frozen=True, slots=True, eq=False)
class UnitVectors:
    """The words, or tokens, of a text. `vectors`: unit rows; `is_content`: not a function word.

    `weights`: how rare each is; at least one, however common.
    """

    vectors: Floats
    weights: Floats
    is_content: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class TextReading:
    """`stems`: of its words, in order; `mean`: the model's unit vector of the whole text."""

    stems: tuple[str, ...]
    words: UnitVectors
    tokens: UnitVectors
    mean: Floats


class TextReader:
    """Reads texts with the exported all-MiniLM-L6-v2 and its word table; each text once."""

    def __init__(self, models: Path) -> None:
        folder = models / MINILM_ID
        self._session: Any = open_session(folder / GRAPH_FILE)
        self._tokenizer: Any = open_tokenizer(folder / TOKENIZER_FILE, MAX_TOKENS)
        self._table = WordVectors.load(models / WORD_VECTORS_FILE)
        self._piece_weights = self._table.piece_weights
        self._function_ids = frozenset(
            self._tokenizer.encode(_FUNCTION_TOKENS, add_special_tokens=False).ids
        )
        self._stem = load_stemmer("english")
        self._known: dict[str, TextReading] = {}

    def read(self, texts: Iterable[str]) -> dict[str, TextReading]:
        """Read what is new among the texts, in batches of one length; return all that is known."""
        waiting = sorted({text for text in texts if text not in self._known}, key=len)
        for start in range(0, len(waiting), BATCH_TEXTS):
            batch = waiting[start : start + BATCH_TEXTS]
            self._known.update(zip(batch, self._read_batch(batch), strict=True))
        return self._known

    def _read_batch(self, texts: Sequence[str]) -> list[TextReading]:
        encoded = [self._tokenizer.encode(fold_text(text)) for text in texts]
        ids = np.zeros((len(texts), max(len(each.ids) for each in encoded)), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, each in enumerate(encoded):
            ids[row, : len(each.ids)], mask[row, : len(each.ids)] = each.ids, 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (states,) = self._session.run(["last_hidden_state"], inputs)  # texts x tokens x dimension
        means = normalize_rows((states * mask[:, :, None]).sum(axis=1))
        return [
            TextReading(
                *self._read_words(text),
                self._read_tokens(each.ids[1:-1], states[row, 1 : len(each.ids) - 1]),
                means[row],
            )
            for row, (text, each) in enumerate(zip(texts, encoded, strict=True))
        ]

    def _read_words(self, text: str) -> tuple[tuple[str, ...], UnitVectors]:
        words, vectors, weights = self._table.embed_words(fold_text(text))
        content = np.array([word not in FUNCTION_WORDS for word in words], dtype=bool)
        return tuple(map(self._stem, words)), UnitVectors(vectors, weights, content)

    def _read_tokens(self, ids: Sequence[int], states: Floats) -> UnitVectors:
        content = np.array([token not in self._function_ids for token in ids], dtype=bool)
        return UnitVectors(normalize_rows(states), self._piece_weights[list(ids)], content)
