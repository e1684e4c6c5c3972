"""Engines by name, one file each, loaded when chosen. A third party adds a file and a row."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """The import path of an engine (`module:Class`) and its display name."""

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
        "proxy.engines.verifiers.alignment:AlignmentVerifier",
        "The words of both questions and what all-MiniLM-L6-v2 makes of them, held side by side.",
    ),
    "pair_model": EngineSpec(
        "proxy.engines.verifiers.pair_model:PairModelVerifier",
        "A model of the operator's own that reads both questions together.",
    ),
}


CHAT_VERIFIERS: Mapping[str, EngineSpec] = {
    "alignment": EngineSpec(
        "proxy.engines.verifiers.chats:AlignmentChatVerifier",
        "The sentences of both chats by their words' vectors, held side by side.",
    ),
}


def load_engine(row: EngineSpec) -> Any:
    """Import the engine's class. Raises ImportError or AttributeError for a wrong path."""
    module, _, name = row.class_path.partition(":")
    return getattr(import_module(module), name)
