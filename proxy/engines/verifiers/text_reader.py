"""Read one question for comparison: its words by a table, its tokens by all-MiniLM-L6-v2.

A question is read once, whatever it is compared with: only short sums are left for each pair.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from proxy.core.errors import ToolUnavailable
from proxy.core.text.normalize import fold_text
from proxy.core.text.word_vectors import WordVectors, normalize_rows
from proxy.core.verification.pair_features import TokenReading, WordReading
from proxy.engines.inference.exported_models import (
    GRAPH_FILE,
    MINILM_INT8_ID,
    TOKENIZER_FILE,
    WORD_VECTORS_FILE,
)
from proxy.engines.inference.session import open_session, open_tokenizer
from proxy.engines.verifiers.weights import is_prepared

MAX_TEXT_TOKENS = 128  # with the two around it; of a longer text the end would not be compared
# Words that say little of what a question is about, in English.
FUNCTION_WORDS = frozenset(
    (
        "a an the of to in on at for from by with and or i my me we our us you your he she it its "
        "they them their is are was were be been am do does did can could will would should may "
        "might have has had there this that these those what who where when why how which please "
        "so as if not no than then up out about into over"
    ).split()
)


class TextReader:
    """`models`: the folder of exported models. Reading words and tokens may be in two threads."""

    def __init__(self, models: Path) -> None:
        self._models = models
        self._lock = threading.Lock()
        self._model: tuple[Any, Any, WordVectors] | None = None

    def read_words(self, text: str) -> WordReading:
        """Read the content words; some ten microseconds each. Raises ToolUnavailable."""
        _, _, table = self._load()
        words, vectors, weights = table.embed_words(fold_text(text))
        content = np.array([word not in FUNCTION_WORDS for word in words], dtype=bool)
        return WordReading(vectors[content], weights[content])

    def read_tokens(self, texts: Sequence[str]) -> list[TokenReading]:
        """Read the tokens of each text; milliseconds each. Raises ToolUnavailable."""
        # One by one: with weights of 8 bits a text comes out slightly differently in a batch.
        return [self._read_tokens(text) for text in texts]

    def _read_tokens(self, text: str) -> TokenReading:
        session, tokenizer, _ = self._load()
        ids = np.array([tokenizer.encode(fold_text(text)).ids], dtype=np.int64)
        inputs = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        (states,) = session.run(["last_hidden_state"], inputs)  # 1 x tokens x dimension
        if not np.isfinite(states).all():
            raise ToolUnavailable("verifier", "the model gave no number")
        return TokenReading(
            normalize_rows(states[0, 1:-1]),
            normalize_rows(states[0].mean(axis=0, keepdims=True))[0],
            is_whole=ids.shape[1] < MAX_TEXT_TOKENS,
        )

    def _load(self) -> tuple[Any, Any, WordVectors]:
        """Load what is needed once; return session, tokenizer, table of words."""
        with self._lock:
            if self._model is None:
                if not is_prepared(self._models):
                    raise ToolUnavailable(
                        "verifier", "its model is not exported: run manage.py prepare_embedder"
                    )
                folder = self._models / MINILM_INT8_ID
                self._model = (
                    open_session(folder / GRAPH_FILE),
                    open_tokenizer(folder / TOKENIZER_FILE, MAX_TEXT_TOKENS),
                    WordVectors.load(self._models / WORD_VECTORS_FILE),
                )
            return self._model
