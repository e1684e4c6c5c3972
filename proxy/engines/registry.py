"""Engines by name, each one file, loaded when chosen. A third party adds a file and a row."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """Where an engine lives (`module:Class`) and what people call it."""

    class_path: str
    title: str


SEMANTIC_CACHES: Mapping[str, EngineSpec] = {
    "pgvector_semantic": EngineSpec(
        "proxy.engines.semantic.pgvector:PgvectorCache", "PostgreSQL with pgvector"
    ),
    "redis_semantic": EngineSpec(
        "proxy.engines.semantic.redis:RedisSearchCache", "Redis with the search module"
    ),
    "qdrant_semantic": EngineSpec("proxy.engines.semantic.qdrant:QdrantCache", "Qdrant"),
}
EMBEDDERS: Mapping[str, EngineSpec] = {
    "minilm": EngineSpec(
        "proxy.engines.embedders.onnx:OnnxEmbedder",
        "all-MiniLM-L6-v2 on onnxruntime: small, quick, no torch in the process.",
    ),
    "sentence_transformers": EngineSpec(
        "proxy.engines.embedders.sentence_transformers:SentenceTransformersEmbedder",
        "Any sentence-transformers model.",
    ),
}
VERIFIERS: Mapping[str, EngineSpec] = {
    "minilm": EngineSpec(
        "proxy.engines.verifiers.onnx:OnnxVerifier",
        "all-MiniLM-L6-v2 reading both questions, with what was learned for it.",
    ),
}


def load_engine(row: EngineSpec) -> Any:
    """The class behind a row. Raises ImportError or AttributeError when the row is wrong."""
    module, _, name = row.class_path.partition(":")
    return getattr(import_module(module), name)
