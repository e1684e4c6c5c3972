"""Probe whether the stores of the semantic caches can serve now, and if not, why."""

from importlib.util import find_spec
from typing import Final
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.db import DatabaseError, connection
from redis.exceptions import RedisError, ResponseError

from stats.redis_connection import open_redis

REDIS_TIMEOUT_SECONDS: Final = 0.5  # to connect, and again to answer
NO_SEARCH_MODULE: Final = (
    "The Redis of REDIS_SEMANTIC_URL has no search module (RediSearch): use Redis Stack or Redis 8."
)


def probe_pgvector() -> str | None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'")
            return (
                None
                if cursor.fetchone()
                else "PostgreSQL has no extension `vector`: install pgvector 0.8 or newer."
            )
    except DatabaseError as error:
        return f"PostgreSQL does not answer ({type(error).__name__})."


def probe_redis_search() -> str | None:
    """Return why it cannot serve; None if it can."""
    try:
        where = urlsplit(settings.REDIS_SEMANTIC_URL)
        shown = f"{where.hostname}:{where.port or 6379}" if where.hostname else where.path
        # The search module knows no other database.
        with open_redis(
            settings.REDIS_SEMANTIC_URL, seconds=REDIS_TIMEOUT_SECONDS, database=0
        ) as client:
            client.execute_command("FT._LIST")  # type: ignore[no-untyped-call]
    except ValueError:
        return "REDIS_SEMANTIC_URL is no address of a Redis."
    except ResponseError as error:
        return (
            NO_SEARCH_MODULE
            if "unknown command" in str(error).lower()
            else f"Redis at {shown} refuses: {error}."
        )
    except (RedisError, OSError) as error:
        return f"Redis at {shown} does not answer ({type(error).__name__})."
    return None


# Plans may choose `qdrant_semantic` if its client is installed, a server is configured, and it
# answers.

QDRANT_TIMEOUT_SECONDS: Final = 0.5  # for each step
NO_QDRANT_SERVER: Final = (
    "No Qdrant server is configured: set QDRANT_URL. Without a server each worker would have "
    "entries of its own, which others cannot see."
)
NO_QDRANT_CLIENT: Final = (
    "The package qdrant-client is not installed: pip install -r requirements-qdrant.txt."
)


def probe_qdrant() -> str | None:
    """Return why Qdrant cannot serve now; None if it can."""
    url = settings.QDRANT_URL
    if not url:
        return NO_QDRANT_SERVER
    if find_spec("qdrant_client") is None:
        return NO_QDRANT_CLIENT
    headers = {"api-key": settings.QDRANT_API_KEY} if settings.QDRANT_API_KEY else {}
    try:
        where = urlsplit(url)
        # The client's own default, whatever the scheme.
        at = f"{where.hostname}:{where.port or 6333}"
        reply = httpx.get(
            f"{where.scheme}://{at}{where.path.rstrip('/')}/collections",
            headers=headers,
            timeout=QDRANT_TIMEOUT_SECONDS,
        )
        if reply.status_code in (401, 403):
            return (
                f"Qdrant at {at} refuses the key of TOKENTHRIFT_QDRANT_API_KEY "
                f"({reply.status_code})."
            )
        reply.raise_for_status().json()["result"]["collections"]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError) as error:
        return f"No Qdrant answers at the address of QDRANT_URL ({type(error).__name__})."
    return None
