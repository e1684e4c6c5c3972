"""Deployment settings of the gateway, read from Django's settings when used."""

import os
from pathlib import Path

from django.conf import settings

from proxy.core.formats.body_limits import BodyLimits
from proxy.core.outbound_proxy import EnvironmentProxies, read_environment_proxies
from proxy.pipeline.toolbox import Limits


class Conf:
    """One property per setting; times in seconds."""

    @property
    def limits(self) -> Limits:
        return Limits(
            max_body_bytes=settings.MAX_BODY_BYTES,
            body_limits=BodyLimits(
                depth=settings.MAX_DEPTH,
                values=settings.MAX_JSON_VALUES,
                messages=settings.MAX_MESSAGES,
                parts=settings.MAX_PARTS,
            ),
            cache_seconds=settings.CACHE_BUDGET,
            store_seconds=settings.STORE_BUDGET,
            key_pepper=settings.KEY_PEPPER,
            min_similarity=settings.SIMILARITY_FLOOR,
            max_candidates=settings.CANDIDATES,
            max_requests_per_key=settings.REQUESTS_PER_KEY,
            records_fingerprints=settings.IMPRINT_DAYS > 0,
        )

    @property
    def exact_redis_url(self) -> str:
        """URL of the Redis database of the exact tier."""
        return str(settings.REDIS_URL)

    @property
    def exact_key_prefix(self) -> str:
        """The key prefix of the django-redis alias `exact`."""
        return str(settings.CACHES["exact"]["KEY_PREFIX"])

    @property
    def exact_memory_bytes(self) -> int:
        """Bytes of exact entries that each worker holds in memory; 0 for none."""
        return int(settings.EXACT_MEMORY)

    @property
    def semantic_redis_url(self) -> str:
        return str(settings.REDIS_SEMANTIC_URL)

    @property
    def qdrant_access(self) -> tuple[str, str]:
        """URL and API key of the Qdrant server; empty if there is none."""
        return str(settings.QDRANT_URL), str(settings.QDRANT_API_KEY)

    @property
    def instance_name(self) -> str:
        """Prefix that separates this installation's keys on a shared Redis or Qdrant."""
        return str(settings.INSTANCE)

    @property
    def spool_folder(self) -> Path:
        return Path(settings.SPOOL_DIR)

    @property
    def max_spool_bytes(self) -> int:
        """Most bytes of disk for each worker's spool; 0 for no limit."""
        return int(settings.SPOOL_BYTES)

    @property
    def spool_memory_bytes(self) -> int:
        """Bytes of lines that each worker holds in memory while the disk does not take them."""
        return int(settings.SPOOL_MEMORY_BYTES)

    @property
    def embedder_name(self) -> str:
        """`minilm`, or the name or path of a sentence-transformers model."""
        return str(settings.EMBEDDER)

    @property
    def verifier_folder(self) -> Path | None:
        """The folder of the operator's own verifier; None for ours."""
        return None if settings.VERIFIER == "minilm" else Path(settings.VERIFIER)

    @property
    def foreign_languages(self) -> dict[str, frozenset[str]]:
        """Languages besides English in which questions are compared by meaning.

        By the `match` of a plan: those named, where a model of the operator's own decides.
        """
        named = frozenset(settings.COMPARED_LANGUAGES) - {"en"}
        return {
            "verified": named if self.verifier_folder is not None else frozenset(),
            "cosine": named if self.embedder_name != "minilm" else frozenset(),
        }

    @property
    def compressor_processes(self) -> int:
        """Compression processes per worker."""
        return int(settings.COMPRESSORS)

    @property
    def compression_timeout_seconds(self) -> float:
        """Timeout of one compression; then `trim` runs instead."""
        return float(settings.COMPRESSION_DEADLINE)

    @property
    def max_feedback_per_minute(self) -> int:
        """Calls of /v1/cache/feedback allowed to each tenant."""
        return int(settings.FEEDBACK_PER_MINUTE)

    @property
    def gateway_version(self) -> str:
        """The gateway's version."""
        return str(settings.VERSION)

    @property
    def is_tracing_enabled(self) -> bool:
        """Whether requests are exported as traces."""
        return bool(settings.TRACING)

    @property
    def is_request_log_enabled(self) -> bool:
        """Whether each finished request is logged."""
        return bool(settings.LOG_REQUESTS)

    @property
    def environment_proxies(self) -> EnvironmentProxies:
        """The proxies to providers that the environment names, if they are to be used.

        Raises ValueError.
        """
        asked = settings.PROXY_FROM_ENVIRONMENT
        return read_environment_proxies(os.environ) if asked else EnvironmentProxies()

    @property
    def otlp_endpoint(self) -> str:
        """The collector's URL; "" if the OTEL_* variables set it."""
        return str(settings.OTLP_ENDPOINT)

    @property
    def models_folder(self) -> Path:
        """Folder of exported models."""
        return Path(settings.VAR_DIR) / "models"


conf = Conf()
