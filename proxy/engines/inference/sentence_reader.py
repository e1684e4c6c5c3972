"""Read texts with all-MiniLM-L6-v2 in 8 bits: a vector of each text, and one of each token.

One reading serves both the look-up of a question and its comparison with others. Importing
sentence_transformers instead takes 400 MB and more.
"""

import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from proxy.core.errors import ToolUnavailable
from proxy.core.text.word_vectors import normalize_rows
from proxy.core.verification.pair_features import TokenReading
from proxy.engines.inference.exported_models import (
    GRAPH_FILE,
    MINILM_DIMENSION,
    MINILM_INT8_ID,
    TOKENIZER_FILE,
    is_prepared,
)
from proxy.engines.inference.session import open_session, open_tokenizer
from proxy.engines.inference.text_queue import TextQueue

# With the two around it. all-MiniLM-L6-v2 was trained on 256 at most.
MAX_TEXT_TOKENS: Final = 256
# A longer text is found, but never compared: its end would not be.
MAX_COMPARED_TOKENS: Final = 128
MAX_REMEMBERED_READINGS: Final = 1024  # some 10 KB each


class SentenceReader:
    """Runs the model of the folder `models` in a thread, which is loaded by the first `read`."""

    name = "embedder"
    id = MINILM_INT8_ID
    dimension = MINILM_DIMENSION

    def __init__(self, models: Path) -> None:
        self._models = models
        self._load_lock = threading.Lock()
        self._model: tuple[Any, Any] | None = None
        self._queue: TextQueue[TokenReading] = TextQueue(
            self.name, self._read_texts, MAX_REMEMBERED_READINGS
        )

    async def read(
        self, text: str, *, tenant: int | None = None, within: float = math.inf
    ) -> TokenReading:
        """Read the beginning of a folded text; the reading is remembered for `tenant` alone.

        Raises ToolUnavailable, at once if it would take longer than `within` seconds.
        """
        return await self._queue.read(text, tenant=tenant, within=within)

    def read_now(self, text: str) -> TokenReading:
        """Read one text in this thread; milliseconds. Raises ToolUnavailable."""
        session, tokenizer = self._load()
        ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
        inputs = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        (states,) = session.run(["last_hidden_state"], inputs)  # 1 x tokens x dimension
        mean = states[0].mean(axis=0, keepdims=True)
        if not np.isfinite(mean).all() or not mean.any():
            raise ToolUnavailable(self.name, "the model gave no vector")
        mean = normalize_rows(mean)[0]
        # Several callers share it.
        mean.flags.writeable = False
        is_whole = ids.shape[1] < MAX_COMPARED_TOKENS
        tokens = states[0, 1:-1] if is_whole else states[0, :0]
        # Half as many bytes to remember; cosines move by a thousandth.
        return TokenReading(normalize_rows(tokens).astype(np.float16), mean, is_whole)

    def open_tokenizer(self) -> Any:
        """Return the model's tokenizer. Raises ToolUnavailable."""
        return self._load()[1]

    async def close(self) -> None:
        """Let the thread end; texts that were not begun are dropped."""
        self._queue.close()

    def _read_texts(self, texts: Sequence[str]) -> list[TokenReading]:
        # One by one: with weights of 8 bits a text comes out slightly differently in a batch.
        return [self.read_now(text) for text in texts]

    def _load(self) -> tuple[Any, Any]:
        """Load the model once; return session and tokenizer."""
        with self._load_lock:
            if self._model is None:
                if not is_prepared(self._models):
                    raise ToolUnavailable(
                        self.name, "the model has not been exported: run manage.py prepare_embedder"
                    )
                folder = self._models / MINILM_INT8_ID
                self._model = (
                    open_session(folder / GRAPH_FILE),
                    open_tokenizer(folder / TOKENIZER_FILE, MAX_TEXT_TOKENS),
                )
            return self._model
