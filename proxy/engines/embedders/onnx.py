"""all-MiniLM-L6-v2 on onnxruntime and tokenizers alone (`proxy.engines.inference`).

The graph is exported once by `manage.py prepare_embedder`
(huggingface.co/sentence-transformers/all-MiniLM-L6-v2).
"""

import asyncio
import math
from pathlib import Path

from proxy.core.types import Vector
from proxy.engines.embedders.comprehension import (
    MIN_COMPREHENSION,
    PieceSplitter,
    build_piece_splitter,
    measure_comprehension,
)
from proxy.engines.inference.sentence_reader import SentenceReader


class OnnxEmbedder:
    """Embeds as `reader` reads: the mean of at most 256 tokens, of unit length.

    `models`: the folder of exported models. The first `embed` loads the model; while it is missing,
    every call raises ToolUnavailable and looks for it again.
    """

    name = "embedder"
    id = SentenceReader.id
    dimension = SentenceReader.dimension

    def __init__(self, models: Path) -> None:
        self.reader = SentenceReader(models)
        self._piece_splitter: PieceSplitter | None = None

    async def embed(
        self, text: str, *, tenant: int | None = None, within: float = math.inf
    ) -> Vector:
        """Embed the beginning of the text; see the port."""
        return (await self.reader.read(text, tenant=tenant, within=within)).mean

    async def has_vocabulary_for(self, text: str) -> bool:
        """Whether the vocabulary covers most of the text; see the port."""
        if not self._piece_splitter:
            # In a thread the first time, as the model may have to be loaded.
            tokenizer = await asyncio.to_thread(self.reader.open_tokenizer)
            self._piece_splitter = build_piece_splitter(tokenizer)
        return measure_comprehension(text, self._piece_splitter) >= MIN_COMPREHENSION

    async def close(self) -> None:
        """Let the thread end; texts that were not begun are dropped."""
        await self.reader.close()
