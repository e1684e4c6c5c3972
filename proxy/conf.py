"""Deployment settings of the gateway, read from Django's settings at the moment of use."""

from pathlib import Path

from django.conf import settings

from proxy.core.formats.body_limits import BodyLimits
from proxy.pipeline.toolbox import Limits


class Conf:
    """One attribute a setting. Times in seconds."""

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
        """Redis and the database in it that holds the exact tier."""
        return str(settings.REDIS_URL)

    @property
    def exact_key_prefix(self) -> str:
        """The key prefix of the django-redis alias `exact`."""
        return str(settings.CACHES["exact"]["KEY_PREFIX"])

    @property
    def exact_memory_bytes(self) -> int:
        """Bytes of exact entries that each worker keeps in memory; 0 for none."""
        return int(settings.EXACT_MEMORY)

    @property
    def semantic_redis_url(self) -> str:
        return str(settings.REDIS_SEMANTIC_URL)

    @property
    def qdrant_access(self) -> tuple[str, str]:
        """Address and API key of the Qdrant server; empty where there is none."""
        return str(settings.QDRANT_URL), str(settings.QDRANT_API_KEY)

    @property
    def instance_name(self) -> str:
        """What sets this installation's keys apart on a shared Redis or Qdrant."""
        return str(settings.INSTANCE)

    @property
    def spool_folder(self) -> Path:
        return Path(settings.SPOOL_DIR)

    @property
    def max_spool_bytes(self) -> int:
        """What the spool of each worker may take of the disk; 0 for as much as there is."""
        return int(settings.SPOOL_BYTES)

    @property
    def spool_memory_bytes(self) -> int:
        """Bytes of lines that each worker keeps in memory while the disk does not take them."""
        return int(settings.SPOOL_MEMORY_BYTES)

    @property
    def embedder_name(self) -> str:
        """`minilm`, or the name or path of a sentence-transformers model."""
        return str(settings.EMBEDDER)

    @property
    def compressor_processes(self) -> int:
        """Compression processes beside each worker."""
        return int(settings.COMPRESSORS)

    @property
    def compression_timeout_seconds(self) -> float:
        """Seconds for one compression; then `trim` runs instead."""
        return float(settings.COMPRESSION_DEADLINE)

    @property
    def max_feedback_per_minute(self) -> int:
        """Calls of /v1/cache/feedback for each tenant."""
        return int(settings.FEEDBACK_PER_MINUTE)

    @property
    def gateway_version(self) -> str:
        """Of the gateway."""
        return str(settings.VERSION)

    @property
    def is_tracing_enabled(self) -> bool:
        """Whether requests are exported as traces."""
        return bool(settings.TRACING)

    @property
    def is_request_log_enabled(self) -> bool:
        """Whether each finished request is a line in the log."""
        return bool(settings.LOG_REQUESTS)

    @property
    def otlp_endpoint(self) -> str:
        """The collector's address; "" where the OTEL_* variables give it."""
        return str(settings.OTLP_ENDPOINT)

    @property
    def models_folder(self) -> Path:
        """Where exported models lie."""
        return Path(settings.VAR_DIR) / "models"


conf = Conf()
