"""What the running system can do: fills the port of `plans.capabilities` with live checks."""

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.db import DatabaseError, connection
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from gateway_project import qdrant
from plans.capabilities import CompressionEngine, Engine, KeyUse, Traffic
from proxy.conf import conf
from proxy.core.compression import catalogue
from proxy.core.compression.languages import LANGUAGES
from proxy.engines.catalogue import SEMANTIC
from proxy.models import Route
from stats import lately, selectors

DEADLINE: Final = 0.5  # seconds to connect, and as long again to answer
NO_SEARCH: Final = "The Redis of REDIS_SEMANTIC_URL has no search module (RediSearch): use Redis Stack or Redis 8."


class RunningCapabilities:
    """Compression as the catalogue lists it; cache backends as they answer now."""

    def compression_engines(self) -> list[CompressionEngine]:
        return [
            CompressionEngine(name, engine.title, focus=("question", "none") if engine.focus else ("none",))
            for name, engine in catalogue.ENGINES.items()
        ]

    def cache_engines(self) -> list[Engine]:
        return [_engine(name, title, self.refusal(name)) for name, (title, _) in BACKENDS.items()]

    def languages(self) -> list[str]:
        return list(LANGUAGES)

    def routes(self) -> list[str]:
        return list(Route.objects.filter(enabled=True).order_by("name").values_list("name", flat=True))

    def chats(self, plan_id: int) -> Traffic:
        return Traffic(*selectors.turns(plan_id))

    def saved_lately(self, plan_ids: Collection[int]) -> dict[int, Decimal]:
        return lately.saved_lately(plan_ids)

    def key_uses(self, key_ids: Collection[int]) -> dict[int, KeyUse]:
        return {key: KeyUse(requests, last_at) for key, (requests, last_at) in lately.key_uses(key_ids).items()}

    def refusal(self, backend: str) -> str | None:
        if backend not in BACKENDS:
            return f"Must be one of: {', '.join(BACKENDS)}."
        return BACKENDS[backend][1]()

    def verifier_refusal(self) -> str | None:
        from proxy.engines.verifiers.model import is_prepared  # brings numpy

        return None if is_prepared(conf.models) else "The verifier is not prepared: run manage.py prepare_embedder."


def _engine(name: str, title: str, refusal: str | None) -> Engine:
    return Engine(name, title, available=refusal is None, reason=refusal or "")


def _pgvector() -> str | None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'")
            return None if cursor.fetchone() else "PostgreSQL has no extension `vector`: install pgvector 0.8 or newer."
    except DatabaseError as error:
        return f"PostgreSQL does not answer ({type(error).__name__})."


def _redis() -> str | None:
    where = urlsplit(settings.REDIS_SEMANTIC_URL)
    shown = f"{where.hostname}:{where.port or 6379}"
    client = Redis.from_url(
        urlunsplit(where._replace(path="/0")),
        socket_connect_timeout=DEADLINE,
        socket_timeout=DEADLINE,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        client.execute_command("FT._LIST")  # type: ignore[no-untyped-call]
    except ResponseError as error:
        return NO_SEARCH if "unknown command" in str(error).lower() else f"Redis at {shown} refuses: {error}."
    except (RedisConnectionError, RedisError, OSError) as error:
        return f"Redis at {shown} does not answer ({type(error).__name__})."
    finally:
        client.close()
    return None


BACKENDS: Final[Mapping[str, tuple[str, Callable[[], str | None]]]] = {
    "pgvector_semantic": (SEMANTIC["pgvector_semantic"].title, _pgvector),
    "redis_semantic": (SEMANTIC["redis_semantic"].title, _redis),
    "qdrant_semantic": (SEMANTIC["qdrant_semantic"].title, qdrant.refusal),
}
