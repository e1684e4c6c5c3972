"""Replay ledger rows and their fingerprints, in this process or in one of its own.

`python -m proxy.engines.replay_worker` reads a pickled `ReplayJob` from stdin and writes a pickled
`ReplayResult`. A process yields to those that answer requests, and can be killed at a deadline,
which a thread cannot.
"""

import os
import pickle
import sys
from decimal import Decimal
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from plans.snapshot import CacheSettings
from proxy.core.replay import RecordedRequest, ReplayResult, SimulatedTier, replay_requests

# Distinct questions to compare, the latest ones: the work grows with their square.
MAX_COMPARED_QUESTIONS: Final = 8_000
NICENESS: Final = 10
# Rows, newest first, each: at, key, end user, asked, bucket, vector, tier, would, shadow, reason,
# similarity, score, baseline cost, billed, spent (dollars); then the cache settings in force, and
# the draft's.
ReplayJob = tuple[list[tuple[Any, ...]], CacheSettings | None, CacheSettings | None]


def replay_rows(work: ReplayJob) -> ReplayResult:
    """Replay the rows of a job; see `proxy.core.replay.replay_requests`."""
    raw, ours, draft = work
    return replay_requests(_build_requests(raw), ours, draft)


def _build_requests(raw: list[tuple[Any, ...]]) -> list[RecordedRequest]:
    """Build the requests, oldest first."""
    questions: set[bytes] = set()
    rows = []
    for row in raw:
        asked = row[3].bytes
        # Only the latest distinct questions keep their vectors.
        if row[5] is not None and len(questions) < MAX_COMPARED_QUESTIONS:
            questions.add(asked)
        rows.append(_build_request(row, asked, with_vector=asked in questions))
    rows.reverse()
    return rows


def _build_request(row: tuple[Any, ...], asked: bytes, *, with_vector: bool) -> RecordedRequest:
    (
        at,
        key,
        user,
        _,
        bucket,
        vector,
        tier,
        would,
        shadow,
        reason,
        similarity,
        score,
        whole,
        billed,
        spent,
    ) = row
    does: SimulatedTier = (
        would if shadow and would else tier if tier in ("exact", "semantic") else "miss"
    )
    whole, paid = whole or Decimal(0), (billed or Decimal(0)) + spent
    if shadow:  # the provider was paid for all of it, which is what a hit would have saved
        whole, paid = paid, Decimal(0) if does != "miss" else paid
    return RecordedRequest(
        at=at,
        key=key,
        end_user=user,
        request_digest=asked,
        bucket=bucket.bytes if bucket and with_vector else None,
        vector=_unpack_vector(vector) if vector is not None and with_vector else None,
        tier=does,
        reason=reason,
        similarity=similarity,
        score=score,
        baseline_cost=whole,
        paid_cost=paid,
        saved_cost=whole - paid,
    )


def _unpack_vector(stored: "memoryview | bytes") -> npt.NDArray[np.float32]:
    vector = np.frombuffer(stored, dtype=np.int8).astype(np.float32)
    return vector / (np.linalg.norm(vector) or np.float32(1))


if __name__ == "__main__":
    os.nice(NICENESS)
    sys.stdout.buffer.write(pickle.dumps(replay_rows(pickle.load(sys.stdin.buffer))))  # noqa: S301 -- of the process that started it
