"""all-MiniLM-L6-v2 on onnxruntime and tokenizers alone, in 130 MB.

Importing sentence_transformers takes 400 MB and more. The graph is exported once by `manage.py
prepare_embedder` (huggingface.co/sentence-transformers/all-MiniLM-L6-v2). Its weights are in a file
beside it, which onnxruntime maps into memory: workers share it, and only used pages of the word
table are read.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from proxy.core.errors import ToolUnavailable
from proxy.core.types import Vector
from proxy.engines.embedders.base import ThreadedEmbedder
from proxy.engines.embedders.comprehension import PieceSplitter, build_piece_splitter
from proxy.engines.inference.exported_models import (
    GRAPH_FILE,
    MINILM_DIMENSION,
    MINILM_ID,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
)
from proxy.engines.inference.session import open_session, open_tokenizer

MAX_TEXT_TOKENS = 256


def is_prepared(folder: Path) -> bool:
    """Whether the exported model exists; it is moved in atomically, so its files are complete."""
    return all((folder / name).is_file() for name in (GRAPH_FILE, WEIGHTS_FILE, TOKENIZER_FILE))


class OnnxEmbedder(ThreadedEmbedder):
    """A BERT-like model in `models / embedder_id`: mean pooling over at most 256 tokens.

    As all-MiniLM-L6-v2 was trained. The first `embed` loads the model; while it is missing, every
    call raises ToolUnavailable and looks for it again.
    """

    name = "embedder"

    def __init__(
        self, models: Path, *, embedder_id: str = MINILM_ID, dimension: int = MINILM_DIMENSION
    ) -> None:
        super().__init__()
        self.id = embedder_id
        self.dimension = dimension
        self._folder = models / embedder_id
        self._load_lock = threading.Lock()
        self._model: tuple[Any, Any] | None = None

    def _encode(self, texts: Sequence[str]) -> Sequence[Vector]:
        session, tokenizer = self._load_model()
        encoded = [tokenizer.encode(text) for text in texts]
        ids = np.zeros((len(texts), max(len(each.ids) for each in encoded)), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, each in enumerate(encoded):
            ids[row, : len(each.ids)] = each.ids
            mask[row, : len(each.ids)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (states,) = session.run(["last_hidden_state"], inputs)  # texts x tokens x dimension
        pooled: Vector = (states * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return list(pooled)

    def _open_vocabulary(self) -> PieceSplitter:
        _, tokenizer = self._load_model()
        return build_piece_splitter(tokenizer)

    def _load_model(self) -> tuple[Any, Any]:
        with self._load_lock:
            if self._model is None:
                if not is_prepared(self._folder):
                    raise ToolUnavailable(
                        self.name, "the model has not been exported: run manage.py prepare_embedder"
                    )
                self._model = (
                    open_session(self._folder / GRAPH_FILE),
                    open_tokenizer(self._folder / TOKENIZER_FILE, MAX_TEXT_TOKENS),
                )
            return self._model
