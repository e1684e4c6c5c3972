"""System checks of the services, each with a timeout of one second.

`manage.py check --deploy`, `serve` and (PostgreSQL) `migrate` run them. tokenthrift.E010 PostgreSQL
does not answer, E011 no pgvector 0.8; tokenthrift.E020 Redis does not answer, E021 older than 7;
tokenthrift.W022 the semantic Redis does not answer or cannot search, W023 exact and semantic
entries share a database; tokenthrift.W024 the embedding model is not prepared; tokenthrift.W025 the
Qdrant of QDRANT_URL cannot serve; tokenthrift.W026 the verifier is not prepared; tokenthrift.E033
what loads the model of TOKENTHRIFT_EMBEDDER is not installed.
"""

import re
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's own name
from django.db import DatabaseError, connections
from redis.exceptions import RedisError, ResponseError

from gateway_project import backend_probes
from proxy.conf import conf
from proxy.core.text.language_detection import KNOWN_LANGUAGES
from proxy.engines.inference.exported_models import is_prepared
from stats.redis_connection import open_redis

MIN_PGVECTOR_VERSION = (
    0,
    8,
)  # the first with iterative scans: a filtered search finds all it should
MIN_REDIS_VERSION = 7
PROBE_TIMEOUT_SECONDS = 1.0  # per service
Apps = Sequence[AppConfig] | None


def check_all_services() -> list[CheckMessage]:
    """Check PostgreSQL, Redis and Qdrant, and the operator's own verifier and embedder."""
    return [
        *check_postgres(None, databases=["default"]),
        *check_redis(None),
        *check_qdrant(),
        *check_own_verifier(),
        *check_languages(),
        *check_embedder_library(),
    ]


@register(Tags.database)
def check_postgres(
    app_configs: Apps, *, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Check that PostgreSQL answers and has pgvector: E010, E011."""
    if not databases or "default" not in databases:
        return []
    query = (
        # One row, or none if the extension is not available.
        "SELECT default_version, installed_version FROM pg_available_extensions "
        "WHERE name = 'vector'"
    )
    try:
        with connections["default"].cursor() as cursor:
            cursor.execute(query)
            row = cursor.fetchone()
    except DatabaseError as error:
        return [
            Error(
                f"PostgreSQL does not answer: {_format_error(error)}",
                hint="See DATABASE_URL.",
                id="tokenthrift.E010",
            )
        ]
    if row is None:
        return [
            Error(
                "PostgreSQL has no extension `vector`.",
                hint="Install pgvector 0.8 or newer.",
                id="tokenthrift.E011",
            )
        ]
    version = row[1] or row[0]
    if _parse_version(version) < MIN_PGVECTOR_VERSION:
        hint = f"0.8 or newer is needed; available: {row[0]}. Then: ALTER EXTENSION vector UPDATE."
        return [Error(f"The extension `vector` is {version}.", hint=hint, id="tokenthrift.E011")]
    return []


@register(deploy=True)
def check_deployment(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """Run all checks of this file."""
    # Those of PostgreSQL too, which Django runs only with `--database`.
    return [*check_all_services(), *check_embedder()]


def check_redis(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """Check both Redis services: E020, E021, W022, W023."""
    found: list[CheckMessage] = []
    try:
        with open_redis(settings.REDIS_URL, seconds=PROBE_TIMEOUT_SECONDS) as client:
            version = str(client.info("server")["redis_version"])
    except (RedisError, OSError) as error:
        return [
            Error(
                f"Redis does not answer: {_format_error(error)}",
                hint="See REDIS_URL.",
                id="tokenthrift.E020",
            )
        ]
    if _parse_version(version) < (MIN_REDIS_VERSION,):
        found.append(
            Error(f"Redis is {version}.", hint="Redis 7 or newer is needed.", id="tokenthrift.E021")
        )
    if settings.REDIS_URL == settings.REDIS_SEMANTIC_URL:
        hint = (
            "Name a database other than 0 in REDIS_URL: what clears the exact cache would clear "
            "the semantic one too."
        )
        found.append(
            Warning(
                "Exact and semantic entries share a Redis database.",
                hint=hint,
                id="tokenthrift.W023",
            )
        )
    return [*found, *_check_redis_search()]


def check_qdrant() -> list[CheckMessage]:
    """Check Qdrant, if a server is configured: W025."""
    reason = backend_probes.probe_qdrant() if settings.QDRANT_URL else None
    hint = (
        "Plans with qdrant_semantic are refused until then; those that exist answer from the "
        "exact cache alone."
    )
    return [Warning(reason, hint=hint, id="tokenthrift.W025")] if reason else []


def check_own_verifier() -> list[CheckMessage]:
    """Check that the verifier that the operator names can be used: E030."""
    if conf.verifier_folder is None:
        return []
    from proxy.engines.verifiers.pair_model import find_folder_problem  # takes a tenth of a second

    problem = find_folder_problem(conf.verifier_folder)
    hint = "See TOKENTHRIFT_VERIFIER in docs/verifier.md; without it the gateway uses its own."
    return [Error(problem, hint=hint, id="tokenthrift.E030")] if problem else []


def check_languages() -> list[CheckMessage]:
    """Check that the languages to be compared by meaning are known and have a model: E031, W032."""
    known = ", ".join(sorted(KNOWN_LANGUAGES))
    if unknown := sorted(set(settings.COMPARED_LANGUAGES) - set(KNOWN_LANGUAGES)):
        problem = f"TOKENTHRIFT_LANGUAGES names {', '.join(unknown)}; accepted are {known}."
        return [Error(problem, id="tokenthrift.E031")]
    others = set(settings.COMPARED_LANGUAGES) - {"en"}
    if not others or any(conf.foreign_languages.values()):
        return []
    hint = (
        "Set TOKENTHRIFT_VERIFIER (match: verified) or TOKENTHRIFT_EMBEDDER (match: cosine) to a "
        "model that reads them; ours reads English."
    )
    problem = f"TOKENTHRIFT_LANGUAGES has no effect on {', '.join(sorted(others))}."
    return [Warning(problem, hint=hint, id="tokenthrift.W032")]


def check_embedder() -> list[CheckMessage]:
    """Check that embedding model and verifier are prepared: W024, W026."""
    found: list[CheckMessage] = []
    if is_prepared(conf.models_folder):
        return found
    if conf.embedder_name == "minilm":
        hint = (
            "Run manage.py prepare_embedder (manage.py serve does). Until then nothing is "
            "found by meaning."
        )
        found.append(
            Warning(
                f"The embedding model is not prepared in {conf.models_folder}.",
                hint=hint,
                id="tokenthrift.W024",
            )
        )
    if conf.verifier_folder is not None:
        return found
    hint = (
        "Run manage.py prepare_embedder (manage.py serve does). Until then plans that verify "
        "serve what reads the same alone."
    )
    found.append(
        Warning(
            f"The verifier is not prepared in {conf.models_folder}.",
            hint=hint,
            id="tokenthrift.W026",
        )
    )
    return found


def check_embedder_library() -> list[CheckMessage]:
    """Check that what loads an embedder of the operator's choice is installed: E033."""
    if conf.embedder_name == "minilm":
        return []
    from proxy.engines.embedders.sentence_transformers import find_missing_library

    if missing := find_missing_library():
        problem = f"TOKENTHRIFT_EMBEDDER is {conf.embedder_name}, and {missing}."
        return [Error(problem, id="tokenthrift.E033")]
    return []


def _check_redis_search() -> list[CheckMessage]:
    hint = (
        "Plans with redis_semantic are refused until then; pgvector_semantic needs no "
        "Redis with search."
    )
    try:
        with open_redis(settings.REDIS_SEMANTIC_URL, seconds=PROBE_TIMEOUT_SECONDS) as client:
            client.execute_command("FT._LIST")  # type: ignore[no-untyped-call]
    except ResponseError:
        return [
            Warning(
                "The Redis of REDIS_SEMANTIC_URL has no search module.",
                hint=hint,
                id="tokenthrift.W022",
            )
        ]
    except (RedisError, OSError) as error:
        return [
            Warning(
                f"The Redis of REDIS_SEMANTIC_URL does not answer: {_format_error(error)}",
                hint=hint,
                id="tokenthrift.W022",
            )
        ]
    return []


def _parse_version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


def _format_error(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
