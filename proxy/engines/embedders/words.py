"""Embed questions by a table of word vectors: some twenty microseconds, without a model.

Among five neighbours by the mean of their words the right stored question is found as often as
among three by the model that the table comes from (docs/verifier.md). Which of them asks the same
it cannot tell: the verifier does.
"""

import asyncio
import math
from pathlib import Path

from proxy.core.errors import ToolUnavailable
from proxy.core.text.word_vectors import WORD_VECTOR_DIMENSION, WordVectors
from proxy.core.types import Vector
from proxy.engines.embedders.comprehension import MIN_COMPREHENSION
from proxy.engines.embedders.onnx import OnnxEmbedder
from proxy.engines.inference.exported_models import WORD_INDEX_ID, is_prepared
from proxy.engines.inference.word_table import open_word_table


class WordEmbedder:
    """Embeds a text as the mean of its words' vectors, of unit length.

    `models`: the folder of exported models; `model`: whose vocabulary the words are of. The first
    call loads the table; while it is missing, every call raises ToolUnavailable and looks again.
    """

    name = "embedder"
    id = WORD_INDEX_ID
    dimension = WORD_VECTOR_DIMENSION

    def __init__(self, models: Path, model: OnnxEmbedder) -> None:
        self._models, self._model = models, model
        self._table: WordVectors | None = None

    async def embed(
        self, text: str, *, tenant: int | None = None, within: float = math.inf
    ) -> Vector:
        """Embed the text; see the port. Raises ToolUnavailable also if it has no word."""
        table = self._table or await self._load_table()
        mean = table.embed_words(text).mean
        if not mean.any():
            raise ToolUnavailable(self.name, "the text has no word", skipped=True)
        return mean

    async def has_vocabulary_for(self, text: str) -> bool:
        """Whether the vocabulary covers most of the text, and any word; see the port."""
        table = self._table or await self._load_table()
        share = table.measure_coverage(text)
        if share is not None:
            return share >= MIN_COMPREHENSION
        return table.has_word(text) and await self._model.has_vocabulary_for(text)

    async def close(self) -> None:
        """Nothing to close: the model is its owner's."""

    async def _load_table(self) -> WordVectors:
        """Load the table in a thread. Raises ToolUnavailable."""
        if not is_prepared(self._models):
            raise ToolUnavailable(
                self.name, "the model has not been exported: run manage.py prepare_embedder"
            )
        self._table = await asyncio.to_thread(open_word_table, self._models)
        return self._table
