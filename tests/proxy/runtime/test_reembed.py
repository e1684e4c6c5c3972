"""`manage.py reembed`: entries of a former embedder follow the settings, on every backend,
and can be stopped in between."""

import asyncio
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from django.core.management import CommandError, call_command

from plans.models import Tenant
from proxy.core.caching.envelope import Envelope
from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Candidate, SemanticEntry
from proxy.core.text.normalize import fold_text
from proxy.core.types import Message, Vector
from proxy.core.verification.conversation import build_chat_turns, pack_chat
from proxy.engines.embedders.words import WordEmbedder
from proxy.engines.semantic.pgvector import PgvectorCache
from proxy.engines.semantic.qdrant import QdrantCache
from proxy.engines.semantic.redis import RedisSearchCache
from proxy.runtime.embedder_change import IndexedPlans, open_indexes
from proxy.sealer import get_sealer
from stats.database import build_conninfo
from tests.support.backends import AnyCache
from tests.support.entries import decode, encode, envelope
from tests.support.servers import QdrantServer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("models")]
QUESTIONS = ["How do I return a parcel?", "Where is my invoice?", "Can I pay by card?"]
FORMER = "former@1"
BACKENDS = ("pgvector_semantic", "redis_semantic", "qdrant_semantic")


@pytest.fixture
def stores(settings: Any, tmp_path: Path) -> Iterator[Any]:
    """An installation of its own with the three backends,
    filled as the former embedder had them."""
    server = QdrantServer(tmp_path)
    settings.INSTANCE, settings.QDRANT_URL = uuid.uuid4().hex[:12], server.url

    _empty()
    asyncio.run(_fill(_former(settings), settings.INSTANCE, QUESTIONS))
    yield server
    server.kill()
    _empty()


def _former(settings: Any) -> dict[str, AnyCache]:
    return {
        "pgvector_semantic": PgvectorCache(build_conninfo(), FORMER, 8, timeout=2),
        "redis_semantic": RedisSearchCache(
            settings.REDIS_SEMANTIC_URL, FORMER, 8, prefix=settings.INSTANCE, timeout=2
        ),
        "qdrant_semantic": QdrantCache.from_url(
            settings.QDRANT_URL, "", FORMER, 8, prefix=settings.INSTANCE, timeout=2
        ),
    }


async def _fill(
    caches: dict[str, AnyCache],
    instance: str,
    questions: Sequence[str],
    kept: Envelope | None = None,
    plan: int = 1,
) -> None:
    vector: Vector = np.eye(8, dtype=np.float32)[0]
    now = time.time()
    for cache in caches.values():
        for question in questions:
            entry = SemanticEntry(
                entry_id=f"{instance}{question}",
                bucket=instance,
                scope="s",
                plan_id=plan,
                embedder=FORMER,
                question=question,
                vector=vector,
                envelope=encode(
                    replace(
                        kept or envelope(),
                        entry_id=f"{instance}{question}",
                        bucket=instance,
                        question=question,
                    ),
                    get_sealer(),
                ),
                created_at=now,
                expires_at=now + 60,
            )
            await cache.add(entry)
        await cache.close()


def _empty() -> None:
    """The table, which other tests fill too."""
    with psycopg.connect(build_conninfo(), autocommit=True) as connection:
        connection.execute("DELETE FROM proxy_semanticentry")


async def _asked(bucket: str, question: str, match: str = "verified") -> dict[str, list[Candidate]]:
    """What each backend finds for plans with that `match`."""
    plans = IndexedPlans({}, frozenset({0}))
    async with open_indexes(plans, timeout=2.0) as indexes:
        (index,) = (index for index, found in indexes if match in found.finds)
        vector = await index.embedder.embed(question)
        return {
            name: await cache.find_nearest(bucket, vector, floor=0.9, limit=5)
            for name, cache in index.caches.items()
        }


def reembed(*arguments: str) -> str:
    out = StringIO()
    call_command("reembed", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_entries_of_a_former_embedder_are_found_again(stores: QdrantServer, settings: Any) -> None:
    nothing: dict[str, list[Candidate]] = {name: [] for name in BACKENDS}
    assert asyncio.run(_asked(settings.INSTANCE, QUESTIONS[0])) == nothing
    counted = reembed("--dry-run")
    assert counted.count("3 would be moved") == 3
    assert asyncio.run(_asked(settings.INSTANCE, QUESTIONS[0])) == nothing

    assert reembed("--batch", "2").count("3 moved, 3 of ") == 3
    for question in QUESTIONS:
        for found in asyncio.run(_asked(settings.INSTANCE, question)).values():
            assert [
                (one.question, decode(one.envelope, get_sealer()).question, one.scope)
                for one in found
            ] == [(question, question, "s")]
    assert reembed().count("0 moved\n") == 3


def test_a_chat_is_found_by_its_window_again(stores: QdrantServer, settings: Any) -> None:
    turns = [
        "I am flying to Lisbon in May with my two children.",
        "We like castles and the sea.",
        "Not the first week.",
    ]
    messages: list[Message] = [
        {"role": "user", "content": turn} for turn in (*turns, "Where should we stay?")
    ]
    chat, plan = (
        build_chat_turns(messages),
        Tenant.objects.create(slug="c", name="c").plans.create(name="chats", window=1),
    )
    kept = envelope(chat=pack_chat(chat, "By the sea."))
    asyncio.run(_fill(_former(settings), settings.INSTANCE, [chat.question], kept, plan.pk))
    reembed()
    for found in asyncio.run(
        _asked(settings.INSTANCE, fold_text(f"{turns[-1]}\n{chat.question}"))
    ).values():
        assert [(one.question, one.similarity > 0.99) for one in found] == [(chat.question, True)]
    assert asyncio.run(_asked(settings.INSTANCE, chat.question)) == {name: [] for name in BACKENDS}


def test_what_was_not_sealed_by_us_is_passed_over(stores: QdrantServer, settings: Any) -> None:
    with psycopg.connect(build_conninfo(), autocommit=True) as connection:
        connection.execute(
            "UPDATE proxy_semanticentry SET envelope = 'planted'::bytea WHERE question = %s",
            (QUESTIONS[0],),
        )
    told = reembed("--backend", "pgvector_semantic")
    assert "2 moved" in told
    assert "1 passed over: not sealed by this gateway" in told


def test_one_backend_alone(stores: QdrantServer, settings: Any) -> None:
    told = reembed("--backend", "redis_semantic")
    assert "redis_semantic: 3 moved" in told
    assert "pgvector" not in told
    assert {
        name: len(found)
        for name, found in asyncio.run(_asked(settings.INSTANCE, QUESTIONS[1])).items()
    } == {
        "pgvector_semantic": 0,
        "redis_semantic": 1,
        "qdrant_semantic": 0,
    }


def test_an_entry_left_behind_is_an_error_and_comes_with_the_next_run(
    stores: QdrantServer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = WordEmbedder.embed

    async def failing(self: WordEmbedder, text: str, **options: Any) -> Vector:
        if text == QUESTIONS[1]:
            raise ToolUnavailable("embedder", "no memory")
        return await whole(self, text, **options)

    with monkeypatch.context() as broken:
        broken.setattr(WordEmbedder, "embed", failing)
        with pytest.raises(CommandError, match="Run the command again"):
            reembed("--backend", "qdrant_semantic")
    assert "qdrant_semantic: 1 moved, 1 of " in reembed("--backend", "qdrant_semantic")


def test_a_backend_that_is_down_matters_where_a_plan_or_the_caller_needs_it(
    stores: QdrantServer,
) -> None:
    stores.kill()
    assert "qdrant_semantic: passed by: Qdrant does not answer" in reembed()
    with pytest.raises(CommandError):
        reembed("--backend", "qdrant_semantic")
    Tenant.objects.create(slug="t", name="t").plans.create(name="p", backend="qdrant_semantic")
    with pytest.raises(CommandError):
        reembed()
