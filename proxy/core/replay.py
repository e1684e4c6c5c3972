"""What another cache would have done with the requests of the last days. Pure.

Two caches run side by side over the same requests, one under the settings in force and one under the draft. Where both do the same with a
request, what really happened happens again, so that the settings in force replay to the ledger's own figures; where they differ, the
draft's decides. A cache here knows only what was asked in these days: its first hours are as empty as after a restart, for both.

Whether a near question may have the stored answer was decided for the neighbours that requests really had. Another pair is taken to be
like the real ones that were as near: the share of those that pass under the draft, non-decreasing in the cosine (isotonic regression,
Ayer et al., Annals of Mathematical Statistics 26, 1955). With fewer than `FEW` real ones nothing is guessed: the pair counts as open.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from plans.snapshot import CacheSettings

Does = Literal["exact", "semantic", "miss"]
NEIGHBOURS: Final = 4
FLOOR: Final = 0.70  # `proxy.pipeline.question_matching.NEAR`: questions less alike are not compared
ALIKE: Final = 0.02  # two cosines are of one pair: vectors of one byte a dimension are off by less
BAND: Final = 0.02
SLACK: Final = 0.001  # of rounding
FEW: Final = 20
BLOCK: Final = 512
BELOW: Final = frozenset({"", "verifier", "question-similarity", "shadow", "collapsed"})  # reasons that a lower threshold may overcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A request as it went. `asked`, `bucket`: see `stats.events`; `vector`: of unit length. `does`: what answered it, or would have in
    shadow; of its best neighbour the `similarity`, and the `score` where the verifier was asked. US dollars, 0 without a price: `whole`
    without a plan, `paid`, and `saved` of what it would have cost."""

    at: float
    key: int
    end_user: str
    asked: bytes
    bucket: bytes | None
    vector: npt.NDArray[np.float32] | None
    does: Does
    reason: str
    similarity: float | None
    score: float | None
    whole: Decimal
    paid: Decimal
    saved: Decimal


@dataclass(frozen=True, slots=True)
class Done:
    """What a cache does with a request. `share`: how likely, 1 but for a near question that nobody judged; `source`: which request's
    answer it gives; `open`: a near question of which nothing can be said."""

    does: Does = "miss"
    share: float = 1.0
    source: bytes = b""
    open: bool = False


@dataclass(slots=True)
class Side:
    """All requests under one plan. `semantic` may be a fraction, where it is expected."""

    exact: float = 0.0
    semantic: float = 0.0
    saved: Decimal = Decimal(0)
    paid: Decimal = Decimal(0)

    @property
    def hits(self) -> float:
        return self.exact + self.semantic


@dataclass(slots=True)
class Replayed:
    """`gained`/`lost`: hits that there would be more and that would be none any more; `other`: requests that get another stored answer;
    `open`: near questions of which nothing can be said, misses here; `keys`: whose requests are treated otherwise; `guessed`: hits that
    rest on pairs as near, not on their own."""

    requests: int = 0
    now: Side = field(default_factory=Side)
    then: Side = field(default_factory=Side)
    gained: float = 0.0
    lost: float = 0.0
    other: int = 0
    open: int = 0
    guessed: float = 0.0
    keys: set[int] = field(default_factory=set)

    @property
    def touched(self) -> float:
        """Requests that are answered otherwise."""
        return self.gained + self.lost + self.other


def replay(rows: Sequence[Past], ours: CacheSettings | None, draft: CacheSettings | None) -> Replayed:
    """The requests, oldest first, under both. None: no cache. CPU work: seconds for tens of thousands, so not for the event loop."""
    near = neighbours(rows)
    found = Replayed(requests=len(rows))
    for row, one, other in zip(rows, _cached(rows, near, ours), _cached(rows, near, draft), strict=True):
        _count(found, row, one, other)
    return found


def _count(found: Replayed, row: Past, one: Done, other: Done) -> None:
    was = 0.0 if row.does == "miss" else 1.0
    found.now.exact += row.does == "exact"
    found.now.semantic += row.does == "semantic"
    found.now.saved += row.saved
    found.now.paid += row.paid
    found.open += other.open and not one.open
    if (one.does, one.share, one.source) == (other.does, other.share, other.source):
        found.then.exact += row.does == "exact"
        found.then.semantic += row.does == "semantic"
        found.then.saved += row.saved
        found.then.paid += row.paid
        return
    share = 0.0 if other.does == "miss" else other.share
    found.then.exact += other.does == "exact"
    found.then.semantic += share if other.does == "semantic" else 0.0
    found.guessed += share if share < 1 else 0.0
    part = Decimal(repr(round(share, 6)))
    found.then.saved += part * row.whole + (1 - part) * (Decimal(0) if was else row.saved)
    found.then.paid += (1 - part) * (row.whole if was else row.paid)
    found.gained += max(0.0, share - was)
    found.lost += max(0.0, was - share)
    found.other += bool(was and share == 1.0 and other.source != one.source and one.does != "miss")
    if share != was or (one.does != "miss" and other.source != one.source):
        found.keys.add(row.key)


def _cached(rows: Sequence[Past], near: Sequence[Sequence[tuple[int, float]]], cache: CacheSettings | None) -> Iterator[Done]:
    """What this cache does with each."""
    if cache is None:
        yield from (Done() for _ in rows)
        return
    kept: dict[tuple[object, bytes], float] = {}
    chance, embedded = Chance(rows, cache), {row.asked for row in rows if row.vector is not None}
    lives = cache.ttl * (1 - cache.ttl_jitter / 2)  # on average; which entry lives how long is told by its key, which is not kept whole
    for row, others in zip(rows, near, strict=True):
        owner = {"tenant": None, "key": row.key, "user": row.end_user}[cache.scope]
        if owner == "":
            yield Done()
            continue
        done = Done()
        if cache.exact and kept.get((owner, row.asked), -np.inf) + lives >= row.at:
            done = Done("exact", source=row.asked)
        elif cache.backend is not None and row.asked in embedded and kept.get((owner, row.asked), -np.inf) + lives >= row.at:
            done = Done("semantic", source=row.asked)  # the very same question says the same
        elif cache.backend is not None:
            live = [(rows[index], cosine) for index, cosine in others if kept.get((owner, rows[index].asked), -np.inf) + lives >= row.at]
            done = _near(row, live, chance)
        if done.does == "miss" or done.share < 0.5:
            kept[owner, row.asked] = row.at
        yield done


def _near(row: Past, live: Sequence[tuple[Past, float]], chance: "Chance") -> Done:
    """By the first of its neighbours, of those whose answers are kept, that may answer it."""
    unknown = False
    for other, cosine in live:
        share = chance.of(row, cosine)
        if share is None:
            unknown = True
        elif share > 0:
            return Done("semantic", share, other.asked)
    return Done(open=unknown)


class Chance:
    """How likely a near question may have the stored answer under a cache's settings."""

    def __init__(self, rows: Sequence[Past], cache: CacheSettings) -> None:
        self._cache = cache
        known = [(row.similarity, passes) for row in rows if row.similarity is not None and (passes := self._passes(row)) is not None]
        self._bands = _isotonic(known) if len(known) >= FEW else []

    def of(self, row: Past, cosine: float) -> float | None:
        """Of this pair; None: nothing can be said."""
        least = self._cache.similarity_threshold
        if self._cache.match == "cosine" and cosine < least - ALIKE:
            return 0.0
        if row.similarity is not None and abs(row.similarity - cosine) <= ALIKE and (passes := self._passes(row)) is not None:
            return float(passes)
        if not self._bands:
            return None
        return next((share for low, share in reversed(self._bands) if cosine >= low - SLACK), 0.0)

    def _passes(self, row: Past) -> bool | None:
        """Whether the request's own best neighbour would do; None where nobody asked what would have to be known."""
        if row.does != "semantic" and row.reason not in BELOW:
            return False
        number = row.score if self._cache.match == "verified" else row.similarity
        return None if number is None else number >= self._cache.similarity_threshold


def _isotonic(known: Sequence[tuple[float, bool]]) -> list[tuple[float, float]]:
    """Lower ends of bands of cosines and the share that passes in each, pooled until it never falls."""
    bands: dict[int, list[int]] = {}
    for cosine, passes in known:
        band = bands.setdefault(int(cosine / BAND + 1e-9), [0, 0])
        band[0] += passes
        band[1] += 1
    pooled: list[list[float]] = []
    for number, (passed, trials) in sorted(bands.items()):
        pooled.append([number * BAND, passed, trials])
        while len(pooled) > 1 and pooled[-1][1] * pooled[-2][2] < pooled[-2][1] * pooled[-1][2]:
            _, passed_above, trials_above = pooled.pop()
            pooled[-1][1] += passed_above
            pooled[-1][2] += trials_above
    return [(low, passed / trials) for low, passed, trials in pooled]


def neighbours(rows: Sequence[Past]) -> list[list[tuple[int, float]]]:
    """For each row the earlier ones with the nearest questions, nearest first, one for each different request: (index, cosine)."""
    found: list[list[tuple[int, float]]] = [[] for _ in rows]
    vectors: dict[bytes, npt.NDArray[np.float32]] = {}
    bucket_of: dict[bytes, bytes] = {}  # an exact hit was not embedded; another time the same request was
    for row in rows:
        if row.vector is not None and row.bucket is not None:
            vectors.setdefault(row.asked, row.vector)
            bucket_of.setdefault(row.asked, row.bucket)
    buckets: dict[bytes, list[int]] = {}
    for index, row in enumerate(rows):
        if row.asked in bucket_of:
            buckets.setdefault(bucket_of[row.asked], []).append(index)
    for members in buckets.values():
        _within(rows, members, vectors, found)
    return found


def _within(
    rows: Sequence[Past], members: list[int], vectors: dict[bytes, npt.NDArray[np.float32]], found: list[list[tuple[int, float]]]
) -> None:
    """Of one bucket. Each different request is compared once: with those first asked before it, and with those first asked later, which
    stand before it when it is asked again."""
    first: dict[bytes, int] = {}
    for index in members:
        first.setdefault(rows[index].asked, index)
    asked = list(first)
    matrix = np.stack([vectors[each] for each in asked])
    columns = np.arange(len(asked))
    near: dict[bytes, list[tuple[float, int]]] = {}
    for begin in range(0, len(asked), BLOCK):
        own = columns[begin : begin + BLOCK, None]
        cosines = matrix[begin : begin + BLOCK] @ matrix.T
        best = np.hstack([_best(np.where(side, cosines, -1)) for side in (columns < own, columns > own)])
        for number, each in enumerate(asked[begin : begin + BLOCK]):
            pairs = {(float(cosines[number, column]), first[asked[column]]) for column in best[number] if column != begin + number}
            near[each] = sorted((pair for pair in pairs if pair[0] >= FLOOR), reverse=True)
    for index in members:
        found[index] = [(other, cosine) for cosine, other in near[rows[index].asked] if other < index][:NEIGHBOURS]


def _best(cosines: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """The columns of the highest few of each row, in no order."""
    count = min(NEIGHBOURS, cosines.shape[1])
    return np.argpartition(-cosines, count - 1, axis=1)[:, :count]
