"""`python -m benchmarks.large` (LARGE=1000000, BACKENDS=pgvector,redis):
the semantic tier at size, on the project's own services.

For each backend one bucket of LARGE / 100 and then one of LARGE entries: what loading, building and
adding take, bytes an entry, how long a look-up takes, and how often it finds what an exact
comparison with every entry finds. Prints one Markdown table.
"""

import asyncio
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import psycopg
import redis

from benchmarks import vectors
from benchmarks.fill import Filled, fill_postgres, fill_redis
from demo.options import Options
from demo.stage import stage
from demo.workspace import empty
from gateway_project.embedded import configuration
from proxy.core.caching.envelope import Envelope, encode_envelope
from proxy.core.ports import SemanticCache, SemanticEntry
from proxy.core.sealing import Sealer
from proxy.core.text.word_vectors import WORD_VECTOR_DIMENSION
from proxy.core.types import Vector
from proxy.engines.inference.exported_models import WORD_INDEX_ID
from proxy.engines.semantic.pgvector import PgvectorCache
from proxy.engines.semantic.redis import RedisSearchCache

SIZE = 1_000_000
WARM, LOOKUPS, INSERTS = 50, 400, 200
NEAR_ENOUGH = 0.001  # of cosine: half-precision vectors may swap two entries that are as near
SECONDS = 10.0  # for one call: what is late is to be seen, not cut off
DAY = 86_400.0
SEALER = Sealer("bench")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table, times in milliseconds.

    `recall`: the share of look-ups that found the entry an exact comparison finds.
    """

    backend: str
    entries: int
    filled: Filled
    insert_p50: float
    insert_p99: float
    p50: float
    p99: float
    recall: float


@dataclass(frozen=True, slots=True)
class Store:
    """One backend: how to reach it, fill it and empty it."""

    name: str
    make: Callable[[], SemanticCache]
    fill: Callable[[Iterator[SemanticEntry]], Filled]
    clear: Callable[[], None]


def main() -> None:
    """Needs memory for the vectors and both stores: about 8 GB at a million entries."""
    size = int(os.environ.get("LARGE") or SIZE)
    chosen = (os.environ.get("BACKENDS") or "pgvector,redis").split(",")
    with tempfile.TemporaryDirectory(
        prefix="tokenthrift-large-", dir=os.environ.get("TMPDIR")
    ) as folder:
        var = Path(folder)
        var.chmod(0o755)
        empty(var)
        with stage(
            Options(
                data=None, json=None, provider=None, model="gpt-4o-mini", latency_ms=0, var=var
            ),
            var,
        ):
            real = vectors.embedded(vectors.real_questions(), var / "models")
            stores = [
                store for store in _stores(configuration.resolve_urls(var)) if store.name in chosen
            ]
            rows = [
                measure(store, real, entries)
                for store in stores
                for entries in (max(1, size // 100), size)
            ]
    print(table(rows))


def measure(store: Store, real: Vector, entries: int) -> Row:
    """Fill the store anew and measure it.

    Look-ups go one after the other, as a single client's do.
    """
    store.clear()
    kept = vectors.entries(real, entries, seed=1)
    asked = vectors.entries(real, WARM + LOOKUPS, seed=2)
    bucket = uuid.uuid4().hex
    filled = store.fill(_entries(bucket, kept))
    took, found = asyncio.run(_look_up(store.make(), bucket, asked))
    best = np.concatenate(
        [(part @ kept.T).max(axis=1) for part in np.array_split(asked[WARM:], 10)]
    )
    recall = float(np.mean(np.array(found) >= best - NEAR_ENOUGH))
    added = vectors.entries(real, INSERTS, seed=3)
    inserts = asyncio.run(_add(store.make(), list(_entries(bucket, added))))
    row = Row(
        backend=store.name,
        entries=entries,
        filled=filled,
        insert_p50=statistics.median(inserts),
        insert_p99=float(np.quantile(inserts, 0.99)),
        p50=statistics.median(took),
        p99=float(np.quantile(took, 0.99)),
        recall=recall,
    )
    print(line(row), flush=True)
    return row


async def _look_up(
    cache: SemanticCache, bucket: str, asked: Vector
) -> tuple[list[float], list[float]]:
    """Milliseconds and best similarity of each look-up after the warm-up;
    -1 where nothing was found."""
    took, found = [], []
    for number, vector in enumerate(asked):
        begin = time.perf_counter()
        near = await cache.find_nearest(bucket, vector, floor=0.0, limit=3)
        if number >= WARM:
            took.append(1000 * (time.perf_counter() - begin))
            found.append(near[0].similarity if near else -1.0)
    await cache.close()
    return took, found


async def _add(cache: SemanticCache, entries: list[SemanticEntry]) -> list[float]:
    took = []
    for entry in entries:
        begin = time.perf_counter()
        await cache.add(entry)
        took.append(1000 * (time.perf_counter() - begin))
    await cache.close()
    return took[len(took) // 10 :]


def _entries(bucket: str, kept: Vector) -> Iterator[SemanticEntry]:
    """Entries with an answer of usual length: about 100 tokens of text
    that does not compress to nothing."""
    now, scope = time.time(), uuid.uuid4().hex * 2
    for number, vector in enumerate(kept):
        expires_at = now + DAY + number / 10  # each at its own time, as entries come in
        text = " ".join(uuid.uuid4().hex for _ in range(14))
        answer = orjson.dumps(
            {
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": text},
                        "finish_reason": "stop",
                    }
                ]
            }
        )
        envelope = Envelope(
            scope=scope,
            plan_id=1,
            created_at=now,
            expires_at=expires_at,
            completion=answer,
            asked_tokens=40,
            question_tokens=12,
            completion_tokens=100,
        )
        yield SemanticEntry(
            entry_id=uuid.uuid4().hex * 2,
            bucket=bucket,
            scope=scope,
            plan_id=1,
            embedder=WORD_INDEX_ID,
            question="A question of about the usual length, such as: how do I return a parcel?",
            vector=vector,
            envelope=encode_envelope(envelope, SEALER),
            created_at=now,
            expires_at=expires_at,
        )


def _stores(urls: configuration.ServiceUrls) -> list[Store]:
    def postgres() -> SemanticCache:
        return PgvectorCache(
            urls.database,
            WORD_INDEX_ID,
            WORD_VECTOR_DIMENSION,
            timeout=SECONDS,
            write_timeout=SECONDS,
        )

    def search() -> SemanticCache:
        return RedisSearchCache(
            urls.redis_semantic,
            WORD_INDEX_ID,
            WORD_VECTOR_DIMENSION,
            prefix="large",
            timeout=SECONDS,
            write_timeout=SECONDS,
        )

    return [
        Store(
            "pgvector",
            postgres,
            lambda entries: fill_postgres(urls.database, entries),
            lambda: _truncate(urls.database),
        ),
        Store(
            "redis",
            search,
            lambda entries: fill_redis(urls.redis_semantic, search(), entries),
            lambda: _flush(urls.redis_semantic),
        ),
    ]


def _truncate(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET statement_timeout = 0; TRUNCATE proxy_semanticentry")


def _flush(url: str) -> None:
    """Empty database 0, index included; and no limit to its memory,
    which the project sets to 512 MB for a start."""
    with redis.Redis.from_url(url, db=0, socket_timeout=300) as client:
        client.config_set("maxmemory", 0)
        client.flushdb()


def table(rows: list[Row]) -> str:
    """Markdown, with the growth of each backend below."""
    head = (
        "| backend | entries | load s | index build s | bytes an entry | insert p50 / p99 ms | "
        "look-up p50 / p99 ms | recall@1 |"
    )
    lines = [
        head,
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(line(row) for row in rows),
    ]
    for small, large in zip(rows[::2], rows[1::2], strict=True):
        lines.append(
            f"\n{small.backend}: {large.entries:,} against {small.entries:,} entries takes "
            f"{large.p50 / small.p50:.2f} times as long."
        )
    return "\n".join(lines)


def line(row: Row) -> str:
    filled = row.filled
    build = f"{filled.build_seconds:,.0f}" if filled.build_seconds else "while loading"
    return (
        f"| {row.backend} | {row.entries:,} | {filled.load_seconds:,.0f} | {build} | "
        f"{filled.size / row.entries:,.0f} | {row.insert_p50:.1f} / {row.insert_p99:.1f} | "
        f"{row.p50:.2f} / {row.p99:.2f} | {row.recall:.3f} |"
    )


if __name__ == "__main__":
    main()
