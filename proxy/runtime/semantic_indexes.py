"""Open the configured embedder, its verifier, and the backends that hold its entries."""

import logging

from proxy.conf import conf
from proxy.core.ports import Embedder, SemanticCache, Verifier
from proxy.core.quality.cohort import derive_scorer_id
from proxy.engines import registry
from proxy.engines.embedders.onnx import OnnxEmbedder
from proxy.engines.embedders.words import WordEmbedder
from proxy.pipeline.toolbox import SemanticIndex
from stats.database import build_conninfo

log = logging.getLogger("tokenthrift.proxy")


def open_embedder() -> Embedder:
    """Load the configured embedder: our exported MiniLM or any sentence-transformers model."""
    if conf.embedder_name == "minilm":
        made: Embedder = registry.load_engine(registry.EMBEDDERS["minilm"])(conf.models_folder)
    else:
        made = registry.load_engine(registry.EMBEDDERS["sentence_transformers"])(conf.embedder_name)
    return made


def open_word_index(embedder: Embedder, **times: float) -> SemanticIndex | None:
    """Open the index of word vectors; None beside an embedder of another vocabulary."""
    if not isinstance(embedder, OnnxEmbedder):
        return None
    words = WordEmbedder(conf.models_folder, embedder)
    return SemanticIndex(words, open_semantic_caches(words, **times))


def open_verifier(embedder: Embedder) -> Verifier:
    """Load the configured verifier; ours shares the readings of an embedder with its model."""
    if conf.verifier_folder is not None:
        own: Verifier = registry.load_engine(registry.VERIFIERS["pair_model"])(conf.verifier_folder)
        return own
    made: Verifier = registry.load_engine(registry.VERIFIERS["minilm"])(
        conf.models_folder, getattr(embedder, "reader", None)
    )
    return made


def find_scorer_id() -> str:
    """Return the id of the configured embedder and verifier, as `Toolbox.scorer_id` does.

    For processes without a toolbox.
    """
    embedder = open_embedder()
    return derive_scorer_id(embedder.id, open_verifier(embedder).id)


def open_semantic_caches(embedder: Embedder, **times: float) -> dict[str, SemanticCache]:
    """Open every configured backend; `times` overrides their deadlines."""
    times = {"timeout": conf.limits.cache_seconds} | times
    postgres, redis = (
        registry.load_engine(registry.SEMANTIC_CACHES[name])
        for name in ("pgvector_semantic", "redis_semantic")
    )
    made = {
        "pgvector_semantic": postgres(build_conninfo(), embedder.id, embedder.dimension, **times),
        "redis_semantic": redis(
            conf.semantic_redis_url,
            embedder.id,
            embedder.dimension,
            prefix=conf.instance_name,
            **times,
        ),
    }
    return made | _open_qdrant(embedder, times)


def _open_qdrant(embedder: Embedder, times: dict[str, float]) -> dict[str, SemanticCache]:
    """Open the Qdrant backend if a server is configured."""
    url, api_key = conf.qdrant_access
    # Its client takes 47 MB of memory.
    if not url:
        return {}
    try:
        made = registry.load_engine(registry.SEMANTIC_CACHES["qdrant_semantic"])
        return {
            "qdrant_semantic": made.from_url(
                url, api_key, embedder.id, embedder.dimension, prefix=conf.instance_name, **times
            )
        }
    except (ImportError, ValueError) as error:  # not installed, or an invalid URL
        log.warning("QDRANT_URL is set, and qdrant_semantic is off: %s", error)
        return {}
