"""Any other embedding model, by sentence-transformers on torch, in 400 MB and more (sbert.net).

A name on the hub or a folder.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LoadTimeout
from importlib.util import find_spec
from typing import Any

from proxy.core.errors import ToolUnavailable
from proxy.core.types import Vector
from proxy.engines.embedders.base import ThreadedEmbedder
from proxy.engines.embedders.comprehension import PieceSplitter, build_piece_splitter

MAX_ID_LENGTH = 100  # of the column that holds it


class SentenceTransformersEmbedder(ThreadedEmbedder):
    """An embedder that loads its model in the constructor, which takes seconds and may download it.

    If that fails or takes longer than `load_timeout` seconds, every call raises ToolUnavailable
    with the reason, until the next start.
    """

    name = "embedder"

    def __init__(self, model: str, *, load_timeout: float = 300.0) -> None:
        super().__init__()
        self.id, self.dimension = _build_id(model, 0), 0
        self._load_failure = ""
        self._model: Any = None
        try:
            # Loaded here because its dimension decides which index is used.
            self._model = (
                ThreadPoolExecutor(1, thread_name_prefix="load")
                .submit(_load_model, model)
                .result(load_timeout)
            )
            self.dimension = int(self._model.get_embedding_dimension())
            self.id = _build_id(model, self.dimension)
        except LoadTimeout:
            self._load_failure = f"{model} was not loaded within {load_timeout:g} s"
        except Exception as error:
            # A wrong name, no network, no such file, a broken model: each library raises its own.
            lines = str(error).strip().splitlines() or [""]
            self._load_failure = f"{model} cannot be loaded: {type(error).__name__}: {lines[0]}"

    def _encode(self, texts: Sequence[str]) -> Sequence[Vector]:
        if self._load_failure:
            raise ToolUnavailable(self.name, self._load_failure)
        vectors: Vector = self._model.encode(
            list(texts), convert_to_numpy=True, normalize_embeddings=True, show_progress_bar=False
        )
        return list(vectors)

    def _open_vocabulary(self) -> PieceSplitter:
        """Return the splitter of a fast tokenizer."""
        if self._load_failure:
            raise ToolUnavailable(self.name, self._load_failure)
        inner = getattr(self._model.tokenizer, "backend_tokenizer", None)
        if inner is None:
            # This tokenizer has no offsets; without pieces every question is left to the exact
            # tier.
            return lambda text: ()
        return build_piece_splitter(inner)


def find_missing_library() -> str | None:
    """Return what to install for this engine; None if it is there."""
    if all(find_spec(name) for name in ("torch", "sentence_transformers")):
        return None
    return (
        "sentence-transformers or torch is not installed: pip install -r requirements-embedders.txt"
    )


def _load_model(model: str) -> Any:
    if missing := find_missing_library():
        raise ModuleNotFoundError(missing)
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)
    return SentenceTransformer(model, device="cpu")


def _build_id(model: str, dimension: int) -> str:
    """Build the id of model, engine and dimension."""
    suffix = f"@sentence-transformers-{dimension}"
    if len(model) + len(suffix) > MAX_ID_LENGTH:
        # A name too long for the column is truncated and distinguished by its digest.
        model = f"{hashlib.sha256(model.encode()).hexdigest()[:16]}-{model[-(MAX_ID_LENGTH - len(suffix) - 17) :]}"  # noqa: E501 -- no blank to break it at
    return model + suffix
