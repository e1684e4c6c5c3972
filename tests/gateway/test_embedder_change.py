"""After an upgrade nobody has to know of another embedder: a worker brings stored questions over by
itself, one worker for all, and says how many."""

import asyncio
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import numpy as np
import psycopg
import pytest

from proxy.core.text.word_vectors import WORD_VECTOR_DIMENSION
from proxy.engines.inference.exported_models import (
    MINILM_DIMENSION,
    MINILM_INT8_ID,
    WORD_INDEX_ID,
)
from proxy.engines.semantic.pgvector import PgvectorCache
from proxy.engines.semantic.redis import RedisSearchCache
from tests.support.backends import AnyCache
from tests.support.gateways import Gateway, running_gateway
from tests.support.upstream import MockUpstream

QUESTION, OTHER_WORDS = "How do I return a parcel?", "how do i RETURN a parcel, please"
FORMER, FORMER_DIMENSION = "former@1", 8
DIMENSIONS = {WORD_INDEX_ID: WORD_VECTOR_DIMENSION, MINILM_INT8_ID: MINILM_DIMENSION}
# By backend and `match`; and which embedder finds the entries of such a plan.
PLANS = {
    ("pgvector_semantic", "verified"): WORD_INDEX_ID,
    ("pgvector_semantic", "cosine"): MINILM_INT8_ID,
    ("redis_semantic", "verified"): WORD_INDEX_ID,
}
GENEROUS = 60.0  # seconds: it begins five after a worker's start
MOVED = re.compile(r'^tokenthrift_entries_moved_total\{backend="(\w+)"\} (\S+)$', re.MULTILINE)


@pytest.fixture
def gateway(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(upstream, tmp_path_factory.mktemp("upgraded"), workers=2) as running:
        yield running


def open_cache(gateway: Gateway, backend: str, embedder: str, dimension: int) -> AnyCache:
    if backend == "pgvector_semantic":
        return PgvectorCache(gateway.environment["DATABASE_URL"], embedder, dimension, timeout=10)
    redis = urlsplit(gateway.environment["REDIS_URL"])._replace(path="/0").geturl()
    prefix = gateway.environment["TOKENTHRIFT_INSTANCE"]
    return RedisSearchCache(redis, embedder, dimension, prefix=prefix, timeout=10)


async def downgrade(gateway: Gateway, backend: str, embedder: str, entry_id: str) -> None:
    """Store the entry as an earlier release did, whose vectors nobody can compare any more."""
    present = open_cache(gateway, backend, embedder, DIMENSIONS[embedder])
    former = open_cache(gateway, backend, FORMER, FORMER_DIMENSION)
    entry = await present.get(entry_id)
    assert entry is not None, f"{backend} has no entry of {embedder}"
    await present.delete(entry_id)
    vector = np.eye(FORMER_DIMENSION, dtype=np.float32)[0]
    await former.add(replace(entry, embedder=FORMER, vector=vector))
    for cache in (present, former):
        await cache.close()


def add_plan(gateway: Gateway, backend: str, match: str) -> str:
    name = f"{match}-{uuid.uuid4().hex[:8]}"
    cache = {"backend": backend, "match": match}
    made = gateway.api("POST", "/token-saving/plans", json={"plan_name": name, "cache": cache})
    assert made.status_code == 201, made.text
    gateway.wait_plan(name)
    return name


def entry_of(gateway: Gateway, plan: str) -> str:
    """The id of the plan's only entry, once the ledger has it."""
    deadline = time.monotonic() + 20
    with psycopg.connect(gateway.environment["DATABASE_URL"], autocommit=True) as connection:
        while time.monotonic() < deadline:
            statement = "SELECT entry_id FROM stats_cacheentry WHERE plan = %s"
            if found := connection.execute(statement, [plan]).fetchall():
                ((entry_id,),) = found
                return str(entry_id)
            time.sleep(0.1)
    raise AssertionError(f"the ledger has no entry of {plan}")


def tier(gateway: Gateway, plan: str) -> str:
    """How the same question in other words is answered, if it is; it is never stored."""
    reply = gateway.chat(OTHER_WORDS, token_saving_plan_id=plan, cache={"only-if-cached": True})
    return str(reply.headers["x-tokenthrift-cache"])


def moved(gateway: Gateway) -> dict[str, float]:
    found = MOVED.findall(gateway.api("GET", "/metrics").text)
    return {backend: float(count) for backend, count in found}


def test_a_worker_brings_entries_of_a_former_embedder_over_by_itself(gateway: Gateway) -> None:
    names = {key: add_plan(gateway, *key) for key in PLANS}
    for name in names.values():
        assert gateway.chat(QUESTION, token_saving_plan_id=name).status_code == 200
    ids = {key: entry_of(gateway, name) for key, name in names.items()}
    assert {tier(gateway, name) for name in names.values()} == {"semantic"}
    assert sum(moved(gateway).values()) == 0

    gateway.stop()
    for key, embedder in PLANS.items():
        asyncio.run(downgrade(gateway, key[0], embedder, ids[key]))
    gateway.restart()

    deadline = time.monotonic() + GENEROUS
    while {tier(gateway, name) for name in names.values()} != {"semantic"}:
        assert time.monotonic() < deadline, gateway.log.read_text()[-2000:]
        time.sleep(0.5)
    with psycopg.connect(gateway.environment["DATABASE_URL"]) as connection:
        found = connection.execute("SELECT entry_id, embedder FROM proxy_semanticentry").fetchall()
    assert dict(found) == {
        ids[key]: embedder for key, embedder in PLANS.items() if key[0] == "pgvector_semantic"
    }
    # By one of the workers, which counts what it moved a moment later.
    while sum(moved(gateway).values()) < len(PLANS):
        assert time.monotonic() < deadline, moved(gateway)
        time.sleep(0.5)
    assert moved(gateway) == {"pgvector_semantic": 2.0, "redis_semantic": 1.0}
