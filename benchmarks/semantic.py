"""A semantic hit in a bucket of 100,000 entries through the gateway,
and how a look-up's time grows with the bucket.

The bucket is that of one question asked through the gateway; what fills it carries that question's
answer. Every request asks a stored question in words of its own, so that none can be an exact hit
and each one must be embedded.
"""

import asyncio
import json
import statistics
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np
import psycopg
from psycopg.rows import dict_row

from benchmarks import load, vectors
from benchmarks.bench import PLAN_SECONDS, Bench
from benchmarks.curves import Curve
from benchmarks.fill import Filled, fill_postgres
from benchmarks.questions import ask, chat
from benchmarks.wire import Request
from demo.accounts import TENANT
from demo.management_api import create_plan, explain
from gateway_project.embedded import configuration
from proxy.core.caching.envelope import decode_envelope, encode_envelope
from proxy.core.ports import SemanticEntry
from proxy.core.sealing import Sealer
from proxy.core.text.word_vectors import WORD_VECTOR_DIMENSION
from proxy.core.types import Vector
from proxy.core.verification.conversation import build_chat_turns, pack_chat
from proxy.engines.inference.exported_models import WORD_INDEX_ID
from proxy.engines.semantic.pgvector import PgvectorCache

PLAN = "bench-semantic"
THRESHOLD = 0.85
SIZES = (1_000, 10_000, 100_000)
STORED = 900  # questions
MAX_EXPLAINED = 3_000  # wordings that the gateway is asked about
WARM, LOOKUPS, MAX_MEASURED = 50, 200, 600  # requests: before measuring; measured at least, at most
WORDINGS = ("{} please", "hello, {}", "please, {}", "{} thanks in advance", "please tell me: {}")
FLOOR, LIMIT = 0.50, 5  # as the gateway asks
SECONDS, HOUR = 60.0, 3600.0
FIRST = "How do I reset the clock of my kettle?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Semantic:
    """Milliseconds.

    `hit`: through the gateway, one connection, `hits` requests; `look_ups`: median of the backend
    alone by entries in the bucket; `growth`: the largest against the smallest; `filled`: what the
    largest step of filling took.
    """

    hit_p50_ms: float
    hit_p99_ms: float
    hits: int
    growth: float
    look_ups: Curve
    filled: Filled


def measure(bench: Bench) -> Semantic:
    """Fill a bucket of pgvector step by step and measure.

    Raises what sending raises, and RuntimeError when hits do not come.
    """
    create_plan(
        bench.url,
        bench.keys["admin_key"],
        json.dumps({"plan_name": PLAN, "cache": {"similarity_threshold": THRESHOLD}}),
    )
    time.sleep(PLAN_SECONDS)
    texts = vectors.real_questions()[:STORED]
    real = vectors.embedded(texts, bench.place.var / "models")
    dsn, first = bench.place.services.database, _first(bench)
    entries = _entries(first, texts, real, _sealer(bench))
    curve: Curve = []
    filled = Filled(0.0, 0.0, 0)
    for before, size in zip((0, *SIZES), SIZES, strict=False):
        filled = fill_postgres(dsn, islice(entries, size - before))
        took = asyncio.run(
            _look_ups(dsn, first.bucket, vectors.entries(real, WARM + LOOKUPS, seed=2))
        )
        curve.append((size, statistics.median(took)))
    requests = [_chat(bench, asked) for asked in _choose_hits(bench, _wordings(texts))]
    found = _hits(bench, requests)
    return Semantic(
        hit_p50_ms=found.p50,
        hit_p99_ms=found.p99,
        hits=len(requests) - WARM,
        growth=curve[-1][1] / curve[0][1],
        look_ups=curve,
        filled=filled,
    )


def _hits(bench: Bench, requests: Sequence[Request]) -> load.Measured:
    wanted = len(requests) - WARM
    if wanted < LOOKUPS:
        raise RuntimeError(f"benchmarks.semantic: {len(requests)} wordings would hit, too few")
    load.send_all(bench.chat, requests[:WARM], tally=bench.tally, connections=1)
    before = bench.tally.tiers["semantic"]
    found = bench.closed(iter(requests[WARM:]), connections=1, seconds=SECONDS, warm=0.0)
    hits = bench.tally.tiers["semantic"] - before
    if hits < 0.99 * wanted:
        raise RuntimeError(f"benchmarks.semantic: {hits} of {wanted} requests were semantic hits")
    return found


def _first(bench: Bench) -> SemanticEntry:
    """Ask the first question and read back the entry it left.

    Raises RuntimeError when it left none.
    """
    load.send_all(bench.chat, [_chat(bench, FIRST)], tally=bench.tally)
    deadline = time.monotonic() + 10
    query = (
        "SELECT entry_id, bucket, scope, plan_id, embedder, question, envelope "
        "FROM proxy_semanticentry WHERE question = %s"
    )
    with psycopg.connect(
        bench.place.services.database, autocommit=True, row_factory=dict_row
    ) as connection:
        while (row := connection.execute(query, [FIRST]).fetchone()) is None:
            if time.monotonic() > deadline:
                raise RuntimeError("benchmarks.semantic: the first question was not stored")
            time.sleep(0.05)
    now = time.time()
    return SemanticEntry(
        vector=np.zeros(WORD_VECTOR_DIMENSION, np.float32),
        created_at=now,
        expires_at=now + HOUR,
        **row,
    )


def _sealer(bench: Bench) -> Sealer:
    """The gateway's: what it did not seal itself is a miss."""
    pepper = configuration.load_secret(bench.place.var, "TOKENTHRIFT_KEY_PEPPER")
    return Sealer(pepper, configuration.derive_instance(bench.place.services.database))


def _entries(
    first: SemanticEntry, texts: Sequence[str], real: Vector, sealer: Sealer
) -> Iterator[SemanticEntry]:
    """The real questions, then wordings of them without end,
    each under the text it is a wording of; all with the first one's answer."""
    answer = decode_envelope(first.envelope, sealer)
    made = (
        (number, vector)
        for own, moved in vectors.around(real, SIZES[-1], seed=1)
        for number, vector in zip(own, moved, strict=True)
    )
    for number, vector in chain(enumerate(real), made):
        entry_id, question = uuid.uuid4().hex * 2, texts[number]
        chat = pack_chat(build_chat_turns([{"role": "user", "content": question}]), "")
        sealed = encode_envelope(
            replace(answer, entry_id=entry_id, question=question, chat=chat), sealer
        )
        yield replace(first, entry_id=entry_id, question=question, vector=vector, envelope=sealed)


async def _look_ups(dsn: str, bucket: str, asked: Vector) -> list[float]:
    """Milliseconds of each look-up after the warm-up, one after the other."""
    took = []
    cache = _cache(dsn)
    for vector in asked:
        begin = time.perf_counter()
        await cache.find_nearest(bucket, vector, floor=FLOOR, limit=LIMIT)
        took.append(1000 * (time.perf_counter() - begin))
    await cache.close()
    return took[WARM:]


def _wordings(texts: Sequence[str]) -> Iterator[str]:
    """Stored questions in other words, each once and none of them stored, spread over all texts."""
    known = set(texts)
    made = dict.fromkeys(
        wording.format(text[0].lower() + text[1:]) for text in texts for wording in WORDINGS
    )
    return (asked for asked in made if asked not in known)


def _choose_hits(bench: Bench, wordings: Iterator[str]) -> list[str]:
    """The first wordings that the gateway would answer by meaning, by its own explanation.

    What rules and verifier accept is their business: a copy of their decision here went out of
    date.
    """
    hits = (asked for asked in islice(wordings, MAX_EXPLAINED) if _would_hit(bench, asked))
    return list(islice(hits, WARM + MAX_MEASURED))


def _would_hit(bench: Bench, asked: str) -> bool:
    found = explain(bench.url, bench.keys["admin_key"], PLAN, ask(asked), tenant=TENANT)
    return bool(found["decision"]["tier"] == "semantic")


def _cache(dsn: str) -> PgvectorCache:
    return PgvectorCache(dsn, WORD_INDEX_ID, WORD_VECTOR_DIMENSION, timeout=5.0)


def _chat(bench: Bench, question: str) -> Request:
    """As `questions.chat`, but for any answer: a semantic hit has another question's."""
    request = chat(bench.chat, question, key=bench.keys["virtual_key"], plan=PLAN)
    return request._replace(sign=b"")
