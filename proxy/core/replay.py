"""Simulate what another cache would have done with the requests of the last days. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from plans.snapshot import CacheSettings
from proxy.core.text.word_vectors import WORD_VECTOR_DIMENSION

SimulatedTier = Literal["exact", "semantic", "miss"]
# Two caches are simulated side by side over the same requests, one under the current settings and
# one under the draft. Where both do the same with a request, what really happened is counted, so
# that the current settings replay to the ledger's own figures; where they differ, the draft's
# outcome counts. A cache here knows only the requests of these days: its first hours are as empty
# as after a restart, for both.
MAX_NEIGHBOURS: Final = 4
# The default of TOKENTHRIFT_SIMILARITY_FLOOR: questions less alike are not compared.
MIN_SIMILARITY: Final = 0.50
# Cosines that differ by less are of one pair: vectors of one byte per dimension are off by less.
SAME_PAIR_TOLERANCE: Final = 0.02
BAND_WIDTH: Final = 0.02
ROUNDING_TOLERANCE: Final = 0.001  # of rounding
MIN_SAMPLES: Final = 20
BLOCK_ROWS: Final = 512
THRESHOLD_REASONS: Final = frozenset(
    {"", "verifier", "question-similarity", "shadow", "collapsed"}
)  # reasons that a lower threshold may overcome
# With it the score is a bound, and no rule has looked at the pair.
BOUNDED_REASON: Final = "words"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """A request as it was answered; costs in US dollars, 0 without a price."""

    at: float
    key: int
    end_user: str
    # These two: see `stats.events`.
    request_digest: bytes
    bucket: bytes | None
    # Of unit length.
    vector: npt.NDArray[np.float32] | None
    # What answered it, or would have in shadow mode.
    tier: SimulatedTier
    reason: str
    # Of its best neighbour.
    similarity: float | None
    # The verifier's, if it was asked.
    score: float | None
    # Without a plan.
    baseline_cost: Decimal
    paid_cost: Decimal
    # Of the baseline.
    saved_cost: Decimal


@dataclass(frozen=True, slots=True)
class SimulatedOutcome:
    """What a simulated cache does with a request."""

    tier: SimulatedTier = "miss"
    # 1 except for a near question without a verdict of its own.
    probability: float = 1.0
    # The request whose answer it gives.
    source_digest: bytes = b""
    # A near question that cannot be decided.
    is_open: bool = False


@dataclass(slots=True)
class Totals:
    """Sums over all requests under one plan; `semantic` may be a fraction, an expected value."""

    exact: float = 0.0
    semantic: float = 0.0
    saved: Decimal = Decimal(0)
    paid: Decimal = Decimal(0)

    @property
    def hits(self) -> float:
        return self.exact + self.semantic


@dataclass(slots=True)
class ReplayResult:
    """The two plans compared."""

    requests: int = 0
    now: Totals = field(default_factory=Totals)
    then: Totals = field(default_factory=Totals)
    # Hits gained and lost.
    gained: float = 0.0
    lost: float = 0.0
    # Requests that get another stored answer.
    other: int = 0
    # Near questions that cannot be decided, counted as misses.
    open: int = 0
    # Hits estimated from similar pairs.
    guessed: float = 0.0
    # Virtual keys with a request that is answered differently.
    keys: set[int] = field(default_factory=set)

    @property
    def changed_requests(self) -> float:
        """Requests that are answered differently."""
        return self.gained + self.lost + self.other


def replay_requests(
    rows: Sequence[RecordedRequest], ours: CacheSettings | None, draft: CacheSettings | None
) -> ReplayResult:
    """Replay the requests, oldest first, under both settings; None is no cache.

    CPU work: seconds for tens of thousands, so not for the event loop.
    """
    near = find_neighbours(rows)
    found = ReplayResult(requests=len(rows))
    for row, one, other in zip(
        rows, _simulate_cache(rows, near, ours), _simulate_cache(rows, near, draft), strict=True
    ):
        _count_request(found, row, one, other)
    return found


def _count_request(
    found: ReplayResult, row: RecordedRequest, one: SimulatedOutcome, other: SimulatedOutcome
) -> None:
    was = 0.0 if row.tier == "miss" else 1.0
    found.now.exact += row.tier == "exact"
    found.now.semantic += row.tier == "semantic"
    found.now.saved += row.saved_cost
    found.now.paid += row.paid_cost
    found.open += other.is_open and not one.is_open
    if (one.tier, one.probability, one.source_digest) == (
        other.tier,
        other.probability,
        other.source_digest,
    ):
        found.then.exact += row.tier == "exact"
        found.then.semantic += row.tier == "semantic"
        found.then.saved += row.saved_cost
        found.then.paid += row.paid_cost
        return
    share = 0.0 if other.tier == "miss" else other.probability
    found.then.exact += other.tier == "exact"
    found.then.semantic += share if other.tier == "semantic" else 0.0
    found.guessed += share if share < 1 else 0.0
    part = Decimal(repr(round(share, 6)))
    found.then.saved += part * row.baseline_cost + (1 - part) * (
        Decimal(0) if was else row.saved_cost
    )
    found.then.paid += (1 - part) * (row.baseline_cost if was else row.paid_cost)
    found.gained += max(0.0, share - was)
    found.lost += max(0.0, was - share)
    found.other += bool(
        was and share == 1.0 and other.source_digest != one.source_digest and one.tier != "miss"
    )
    if share != was or (one.tier != "miss" and other.source_digest != one.source_digest):
        found.keys.add(row.key)


def _simulate_cache(
    rows: Sequence[RecordedRequest],
    near: Sequence[Sequence[tuple[int, float]]],
    cache: CacheSettings | None,
) -> Iterator[SimulatedOutcome]:
    """Yield what this cache does with each request."""
    if cache is None:
        yield from (SimulatedOutcome() for _ in rows)
        return
    kept: dict[tuple[object, bytes], float] = {}
    chance, embedded = (
        AcceptanceModel(rows, cache),
        {row.request_digest for row in rows if row.vector is not None},
    )
    # The average TTL: each entry's own depends on its key, which is not stored whole.
    lives = cache.ttl * (1 - cache.ttl_jitter / 2)
    for row, others in zip(rows, near, strict=True):
        owner = {"tenant": None, "key": row.key, "user": row.end_user}[cache.scope]
        if owner == "":
            yield SimulatedOutcome()
            continue
        done = SimulatedOutcome()
        if cache.exact and kept.get((owner, row.request_digest), -np.inf) + lives >= row.at:
            done = SimulatedOutcome("exact", source_digest=row.request_digest)
        elif (
            cache.backend is not None
            and row.request_digest in embedded
            and kept.get((owner, row.request_digest), -np.inf) + lives >= row.at
        ):
            # The identical question.
            done = SimulatedOutcome("semantic", source_digest=row.request_digest)
        elif cache.backend is not None:
            live = [
                (rows[index], cosine)
                for index, cosine in others
                if kept.get((owner, rows[index].request_digest), -np.inf) + lives >= row.at
            ]
            done = _simulate_near(row, live, chance)
        if done.tier == "miss" or done.probability < 0.5:
            kept[owner, row.request_digest] = row.at
        yield done


def _simulate_near(
    row: RecordedRequest, live: Sequence[tuple[RecordedRequest, float]], chance: "AcceptanceModel"
) -> SimulatedOutcome:
    """Decide a near question by the first of its live neighbours that may answer it."""
    unknown = False
    for other, cosine in live:
        share = chance.estimate(row, cosine)
        if share is None:
            unknown = True
        elif share > 0:
            return SimulatedOutcome("semantic", share, other.request_digest)
    return SimulatedOutcome(is_open=unknown)


# Whether a near question may have the stored answer was decided for the neighbours that requests
# really had. Another pair is taken to be like the real ones of that similarity: the share of those
# that pass under the draft, non-decreasing in the cosine (isotonic regression, Ayer et al., Annals
# of Mathematical Statistics 26, 1955). With fewer than `MIN_SAMPLES` real ones nothing is
# estimated: the pair counts as open.
class AcceptanceModel:
    """Estimates how likely a near question may have the stored answer under a cache's settings."""

    def __init__(self, rows: Sequence[RecordedRequest], cache: CacheSettings) -> None:
        self._cache = cache
        # Cosines of word vectors are none that a plan's threshold is about.
        self._is_blind = cache.match == "cosine" and any(_is_by_words(row) for row in rows)
        sizes = [row.vector.size for row in rows if row.vector is not None]
        known = [
            (row.similarity, passes)
            for row in rows
            # Of the latest embedder alone: cosines of two are not comparable.
            if (row.vector is None or row.vector.size == sizes[-1])
            and row.similarity is not None
            and (passes := self._own_pair_passes(row)) is not None
        ]
        self._bands = _fit_isotonic(known) if len(known) >= MIN_SAMPLES else []

    def estimate(self, row: RecordedRequest, cosine: float) -> float | None:
        """Return the probability for this pair; None if it cannot be estimated."""
        least = self._cache.threshold
        if self._is_blind:
            return None
        if self._cache.match == "cosine" and cosine < least - SAME_PAIR_TOLERANCE:
            return 0.0
        if (
            row.similarity is not None
            and abs(row.similarity - cosine) <= SAME_PAIR_TOLERANCE
            and (passes := self._own_pair_passes(row)) is not None
        ):
            return float(passes)
        if not self._bands:
            return None
        return next(
            (share for low, share in reversed(self._bands) if cosine >= low - ROUNDING_TOLERANCE),
            0.0,
        )

    def _own_pair_passes(self, row: RecordedRequest) -> bool | None:
        """Return whether the request's own best neighbour would pass; None if that is unknown."""
        if row.reason == BOUNDED_REASON and row.tier != "semantic":
            # A bound of the verifier's score, which decides nothing where cosines do.
            fails = row.score is not None and row.score < self._cache.threshold
            return False if fails and self._cache.match == "verified" else None
        if row.tier != "semantic" and row.reason not in THRESHOLD_REASONS:
            return False
        number = row.score if self._cache.match == "verified" else row.similarity
        return None if number is None else number >= self._cache.threshold


def _is_by_words(row: RecordedRequest) -> bool:
    """Whether the request was looked up by word vectors."""
    return row.vector is not None and row.vector.size == WORD_VECTOR_DIMENSION


def _fit_isotonic(known: Sequence[tuple[float, bool]]) -> list[tuple[float, float]]:
    """Return lower ends of cosine bands and the share that passes in each, non-decreasing."""
    bands: dict[int, list[int]] = {}
    for cosine, passes in known:
        band = bands.setdefault(int(cosine / BAND_WIDTH + 1e-9), [0, 0])
        band[0] += passes
        band[1] += 1
    pooled: list[list[float]] = []
    for number, (passed, trials) in sorted(bands.items()):
        pooled.append([number * BAND_WIDTH, passed, trials])
        while len(pooled) > 1 and pooled[-1][1] * pooled[-2][2] < pooled[-2][1] * pooled[-1][2]:
            _, passed_above, trials_above = pooled.pop()
            pooled[-1][1] += passed_above
            pooled[-1][2] += trials_above
    return [(low, passed / trials) for low, passed, trials in pooled]


def find_neighbours(rows: Sequence[RecordedRequest]) -> list[list[tuple[int, float]]]:
    """Return for each row the earlier rows with the nearest questions as (index, cosine).

    Nearest first, one per distinct request.
    """
    found: list[list[tuple[int, float]]] = [[] for _ in rows]
    vectors: dict[bytes, npt.NDArray[np.float32]] = {}
    # An exact hit was not embedded, but another occurrence of the same request may have been.
    # Vectors of another length are another embedder's; the latest counts.
    bucket_of: dict[bytes, tuple[bytes, int]] = {}
    for row in rows:
        if row.vector is not None and row.bucket is not None:
            vectors[row.request_digest] = row.vector
            bucket_of[row.request_digest] = (row.bucket, row.vector.size)
    buckets: dict[tuple[bytes, int], list[int]] = {}
    for index, row in enumerate(rows):
        if row.request_digest in bucket_of:
            buckets.setdefault(bucket_of[row.request_digest], []).append(index)
    for members in buckets.values():
        _find_in_bucket(rows, members, vectors, found)
    return found


def _find_in_bucket(
    rows: Sequence[RecordedRequest],
    members: list[int],
    vectors: dict[bytes, npt.NDArray[np.float32]],
    found: list[list[tuple[int, float]]],
) -> None:
    """Find the neighbours within one bucket."""
    # Each distinct request is compared once: with those first asked before it, and with those first
    # asked later, which precede it when it is repeated.
    first: dict[bytes, int] = {}
    for index in members:
        first.setdefault(rows[index].request_digest, index)
    asked = list(first)
    matrix = np.stack([vectors[each] for each in asked])
    columns = np.arange(len(asked))
    near: dict[bytes, list[tuple[float, int]]] = {}
    for begin in range(0, len(asked), BLOCK_ROWS):
        own = columns[begin : begin + BLOCK_ROWS, None]
        cosines = matrix[begin : begin + BLOCK_ROWS] @ matrix.T
        best = np.hstack(
            [_top_columns(np.where(side, cosines, -1)) for side in (columns < own, columns > own)]
        )
        for number, each in enumerate(asked[begin : begin + BLOCK_ROWS]):
            pairs = {
                (float(cosines[number, column]), first[asked[column]])
                for column in best[number]
                if column != begin + number
            }
            near[each] = sorted((pair for pair in pairs if pair[0] >= MIN_SIMILARITY), reverse=True)
    for index in members:
        found[index] = [
            (other, cosine) for cosine, other in near[rows[index].request_digest] if other < index
        ][:MAX_NEIGHBOURS]


def _top_columns(cosines: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """Return the columns of the MAX_NEIGHBOURS highest values of each row, unordered."""
    count = min(MAX_NEIGHBOURS, cosines.shape[1])
    return np.argpartition(-cosines, count - 1, axis=1)[:, :count]
