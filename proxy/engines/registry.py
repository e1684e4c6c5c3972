"""Engines by name, each one file, loaded when chosen. A third party adds a file and a row."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """Where an engine lives (`module:Class`) and what people call it."""

    path: str
    title: str


SEMANTIC: Mapping[str, Row] = {
    "pgvector_semantic": Row(
        "proxy.engines.semantic.pgvector:PgvectorCache", "PostgreSQL with pgvector"
    ),
    "redis_semantic": Row(
        "proxy.engines.semantic.redis:RedisSearchCache", "Redis with the search module"
    ),
    "qdrant_semantic": Row("proxy.engines.semantic.qdrant:QdrantCache", "Qdrant"),
}
EMBEDDERS: Mapping[str, Row] = {
    "minilm": Row(
        "proxy.engines.embedders.onnx:OnnxEmbedder",
        "all-MiniLM-L6-v2 on onnxruntime: small, quick, no torch in the process.",
    ),
    "sentence_transformers": Row(
        "proxy.engines.embedders.sentence_transformers:SentenceTransformersEmbedder",
        "Any sentence-transformers model.",
    ),
}
VERIFIERS: Mapping[str, Row] = {
    "minilm": Row(
        "proxy.engines.verifiers.onnx:OnnxVerifier",
        "all-MiniLM-L6-v2 reading both questions, with what was learned for it.",
    ),
}


def load(row: Row) -> Any:
    """The class behind a row. Raises ImportError or AttributeError when the row is wrong."""
    module, _, name = row.path.partition(":")
    return getattr(import_module(module), name)
