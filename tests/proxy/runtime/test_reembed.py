"""`manage.py reembed` and what a worker does by itself: entries of a former embedder and of a plan
that was changed follow the settings, on every backend, and can be stopped in between."""

import asyncio
import logging
import threading
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

from plans.models import Plan, Tenant
from proxy.core.caching.envelope import Envelope
from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Candidate, SemanticEntry
from proxy.core.text.normalize import fold_text
from proxy.core.types import Message, Vector
from proxy.core.verification.conversation import build_chat_turns, pack_chat
from proxy.engines.embedders.words import WordEmbedder
from proxy.engines.inference.exported_models import MINILM_INT8_ID, WORD_INDEX_ID
from proxy.engines.semantic.pgvector import PgvectorCache
from proxy.engines.semantic.qdrant import QdrantCache
from proxy.engines.semantic.redis import RedisSearchCache
from proxy.runtime.embedder_change import (
    BACKGROUND_BATCH,
    IndexedPlans,
    open_indexes,
    reembed_in_background,
)
from proxy.sealer import get_sealer
from stats.database import build_conninfo
from stats.monitoring import gauges
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


def found_by(bucket: str, question: str) -> dict[str, list[str]]:
    """For plans that verify and those by cosine, the backends that find exactly this question."""
    return {
        match: [
            name
            for name, found in asyncio.run(_asked(bucket, question, match)).items()
            if [one.question for one in found] == [question]
        ]
        for match in ("verified", "cosine")
    }


def rows_of_entries() -> list[tuple[str, str, int]]:
    """Each entry of PostgreSQL, its embedder, and the transaction that last wrote it."""
    statement = "SELECT question, embedder, xmin::text::bigint FROM proxy_semanticentry ORDER BY 1"
    with psycopg.connect(build_conninfo()) as connection:
        return connection.execute(statement).fetchall()


@pytest.fixture
def plans() -> dict[str, Plan]:
    """One plan that verifies, one by cosine."""
    tenant = Tenant.objects.create(slug="both", name="both")
    return {match: tenant.plans.create(name=match, match=match) for match in ("verified", "cosine")}


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


def test_entries_go_where_their_plan_looks_and_follow_it_when_its_match_is_changed(
    stores: QdrantServer, settings: Any, plans: dict[str, Plan]
) -> None:
    _empty()
    verified, cosine = "Which wine goes with fish?", "How long is the river?"
    for question, plan in ((verified, plans["verified"]), (cosine, plans["cosine"])):
        asyncio.run(_fill(_former(settings), settings.INSTANCE, [question], plan=plan.pk))
    for question in (verified, cosine):
        assert found_by(settings.INSTANCE, question) == {"verified": [], "cosine": []}
    told = reembed()
    assert told.count("Embedder: ") == 2
    everywhere: dict[str, list[str]] = {"verified": [*BACKENDS], "cosine": [*BACKENDS]}
    assert found_by(settings.INSTANCE, verified) == everywhere | {"cosine": []}
    assert found_by(settings.INSTANCE, cosine) == everywhere | {"verified": []}

    before = rows_of_entries()
    assert [(question, embedder) for question, embedder, _ in before] == [
        (cosine, MINILM_INT8_ID),
        (verified, WORD_INDEX_ID),
    ]
    assert reembed().count("0 moved\n") == 6
    assert rows_of_entries() == before  # not even written again

    for match, other in (("verified", "cosine"), ("cosine", "verified")):
        Plan.objects.filter(pk=plans[match].pk).update(match=other)
    told = reembed("--dry-run")
    assert told.count("1 would be moved, 1 of ") == 6
    assert rows_of_entries() == before
    assert reembed().count("1 moved, 1 of ") == 6
    assert found_by(settings.INSTANCE, cosine) == everywhere | {"cosine": []}
    assert found_by(settings.INSTANCE, verified) == everywhere | {"verified": []}
    assert {question: embedder for question, embedder, _ in rows_of_entries()} == {
        cosine: WORD_INDEX_ID,
        verified: MINILM_INT8_ID,
    }


def test_without_a_plan_by_cosine_no_entry_stays_with_the_model(
    stores: QdrantServer, settings: Any, plans: dict[str, Plan]
) -> None:
    """Also those of a plan that was deleted, whose `match` nobody knows."""
    asyncio.run(
        _fill(_former(settings), settings.INSTANCE, ["Is it open?"], plan=plans["cosine"].pk)
    )
    reembed()
    assert {embedder for _, embedder, _ in rows_of_entries()} == {MINILM_INT8_ID, WORD_INDEX_ID}
    plans["cosine"].delete()
    assert reembed().count("Embedder: ") == 1
    assert {embedder for _, embedder, _ in rows_of_entries()} == {WORD_INDEX_ID}
    assert found_by(settings.INSTANCE, "Is it open?")["verified"] == [*BACKENDS]


def moved_of(backend: str) -> float:
    return float(gauges.ENTRIES_MOVED.labels(backend)._value.get())


def test_in_the_background_every_backend_that_answers_is_brought_over_and_counted(
    stores: QdrantServer, settings: Any, plans: dict[str, Plan], caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.run(
        _fill(_former(settings), settings.INSTANCE, ["Is it open?"], plan=plans["cosine"].pk)
    )
    before = {name: moved_of(name) for name in BACKENDS}
    stores.kill()
    with caplog.at_level(logging.INFO, "tokenthrift.proxy"):
        reembed_in_background(threading.Event())
    assert {name: moved_of(name) - before[name] for name in BACKENDS} == {
        "pgvector_semantic": 4,
        "redis_semantic": 4,
        "qdrant_semantic": 0,
    }
    assert f"pgvector_semantic: 3 entries moved to {WORD_INDEX_ID}" in caplog.messages
    assert f"redis_semantic: 1 entries moved to {MINILM_INT8_ID}" in caplog.messages
    there = ["pgvector_semantic", "redis_semantic"]
    for question in QUESTIONS:
        found = asyncio.run(_asked_of_those(settings.INSTANCE, question, there))
        assert found == there
    caplog.clear()
    reembed_in_background(threading.Event())
    assert [line for line in caplog.messages if "moved" in line] == []


async def _asked_of_those(bucket: str, question: str, names: Sequence[str]) -> list[str]:
    """Which of these backends find the question by its words."""
    async with open_indexes(IndexedPlans({}, frozenset()), timeout=2.0) as indexes:
        ((index, _),) = indexes
        vector = await index.embedder.embed(question)
        return [
            name
            for name in names
            if await index.caches[name].find_nearest(bucket, vector, floor=0.9, limit=5)
        ]


def test_a_worker_that_stops_leaves_the_rest_for_its_next_start(
    stores: QdrantServer, settings: Any
) -> None:
    _empty()
    many = [f"Is room {number} free?" for number in range(3 * BACKGROUND_BATCH + 20)]
    postgres = {"pgvector_semantic": _former(settings)["pgvector_semantic"]}
    asyncio.run(_fill(postgres, settings.INSTANCE, many))
    stopping = threading.Event()
    stopping.set()
    before = {name: moved_of(name) for name in BACKENDS}
    for moved in (1, 2):
        reembed_in_background(stopping)
        embedders = [embedder for _, embedder, _ in rows_of_entries()]
        assert embedders.count(WORD_INDEX_ID) == moved * BACKGROUND_BATCH
    # Not even the first page of the next backend.
    assert {name: moved_of(name) - before[name] for name in BACKENDS} == {
        "pgvector_semantic": 2 * BACKGROUND_BATCH,
        "redis_semantic": 0,
        "qdrant_semantic": 0,
    }
    stopping.clear()
    reembed_in_background(stopping)
    assert {embedder for _, embedder, _ in rows_of_entries()} == {WORD_INDEX_ID}
    assert moved_of("pgvector_semantic") - before["pgvector_semantic"] == len(many)
    assert moved_of("redis_semantic") - before["redis_semantic"] == len(QUESTIONS)
