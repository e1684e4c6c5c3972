"""all-MiniLM-L6-v2 on onnxruntime and tokenizers alone: 190 MB, where importing sentence_transformers takes 400 and more.

The graph is exported once by `manage.py prepare_embedder` (huggingface.co/sentence-transformers/all-MiniLM-L6-v2).
"""

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Vector
from proxy.engines.embedders.threaded import ThreadedEmbedder

MINILM_ID = "all-MiniLM-L6-v2@onnx-fp32-384"
MINILM_DIMENSION = 384
MAX_TOKENS = 256
GRAPH = "model.onnx"
TOKENIZER = "tokenizer.json"


def is_prepared(folder: Path) -> bool:
    """Whether the exported model is there. It is moved in whole, so both files are complete."""
    return (folder / GRAPH).is_file() and (folder / TOKENIZER).is_file()


class OnnxEmbedder(ThreadedEmbedder):
    """A BERT-like model in `models / embedder_id`: mean pooling over at most 256 tokens, as all-MiniLM-L6-v2 was trained.

    The model is loaded by the first `embed`; while it is missing every call raises ToolUnavailable and looks again.
    """

    name = "embedder"

    def __init__(self, models: Path, *, embedder_id: str = MINILM_ID, dimension: int = MINILM_DIMENSION, threads: int = 2) -> None:
        super().__init__(threads)
        self.id = embedder_id
        self.dimension = dimension
        self._folder = models / embedder_id
        self._loading = threading.Lock()
        self._model: tuple[Any, Any] | None = None

    def _encode(self, text: str) -> Vector:
        session, tokenizer = self._loaded()
        encoded = tokenizer.encode(text)
        mask = np.array([encoded.attention_mask], dtype=np.int64)
        inputs = {
            "input_ids": np.array([encoded.ids], dtype=np.int64),
            "attention_mask": mask,
            "token_type_ids": np.array([encoded.type_ids], dtype=np.int64),
        }
        (states,) = session.run(["last_hidden_state"], inputs)  # 1 x tokens x dimension
        pooled: Vector = (states[0] * mask[0][:, None]).sum(axis=0) / mask.sum()
        return pooled

    def _loaded(self) -> tuple[Any, Any]:
        with self._loading:
            if self._model is None:
                if not is_prepared(self._folder):
                    raise ToolUnavailable(self.name, "the model has not been exported: run manage.py prepare_embedder")
                self._model = _load(self._folder)
            return self._model


def _load(folder: Path) -> tuple[Any, Any]:
    """Session and tokenizer. One thread a run: several questions at once use the cores better than one question on all of them."""
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    # Two threads halve the time of a long text (256 tokens: 49 instead of 116 ms) and cost short ones nothing.
    options.intra_op_num_threads, options.inter_op_num_threads = min(2, len(os.sched_getaffinity(0))), 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(folder / GRAPH), options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    return session, tokenizer
