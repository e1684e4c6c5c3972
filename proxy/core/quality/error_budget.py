"""The error budgets of plans, in this worker's memory. The request path asks here and never waits;
`proxy.runtime.error_budget_sync` brings what other workers and the ledger know.

Every book is one tenant's. What a plan of the platform's serves to one tenant says nothing about the questions of another, and nobody
whose answers vary may turn the semantic tier off, or move its threshold, for others.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from plans.snapshot import CacheSettings, PlanSnapshot
from proxy.core.quality.anomaly import Jumps
from stats.analysis.error_rate import DAYS, Sample, learned, measured, window

log = logging.getLogger("tokenthrift.proxy")
Terms = tuple[int, str]  # plan id, basis
Key = tuple[int, str, int]  # plan id, basis, tenant id
ERROR_BUDGET = "error-budget"
MAX_JUMPS = 256  # tenants and plans whose look-ups are watched, those of the latest requests; each takes some 300 KB
BELOW = 0.1  # how far below the threshold it is worth looking whether it is too high


@dataclass(frozen=True, slots=True)
class Standing:
    """`threshold`: that hits must reach now; `off`: why the semantic tier serves nothing, "" while it does."""

    threshold: float
    off: str = ""


@dataclass(frozen=True, slots=True)
class Trip:
    """A semantic tier turned off by this worker: `reason` one word, `detail` a sentence."""

    key: Key
    plan: str
    at: float
    reason: str
    detail: str


@dataclass(slots=True)
class Book:
    """What is known of one plan under one basis, as one tenant uses it. `since`: samples before it do not count, as the tier was turned
    on again. `judged`: nothing came in since `standing` was found, under the budget `limit`."""

    samples: dict[str, Sample] = field(default_factory=dict)
    since: float = 0.0
    limit: float | None = None
    judged: bool = False
    standing: Standing | None = None


class Budgets:
    """Books by plan, basis and tenant. `clock`: epoch seconds. `trips`: what this worker turned off and nobody has written down yet."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._books: dict[Key, Book] = {}
        self._jumps: OrderedDict[Key, Jumps] = OrderedDict()
        self._clock = clock
        self.trips: list[Trip] = []

    def standing(self, plan: PlanSnapshot, basis: str, tenant: int) -> Standing:
        """What holds for the plan and this tenant now. Only for plans with a cache."""
        book = self._books.get((plan.id, basis, tenant))
        return book.standing if book and book.standing else Standing(_cache(plan).similarity_threshold)

    def keep(self, terms: Collection[Terms]) -> None:
        """Forget the books of all other plans and terms."""
        for key in [key for key in self._books if key[:2] not in terms]:
            del self._books[key]
            self._jumps.pop(key, None)

    def tenants(self, plan: PlanSnapshot, basis: str) -> set[int]:
        """Of whom anything is known."""
        return {tenant for plan_id, terms, tenant in self._books if (plan_id, terms) == (plan.id, basis)}

    def off(self) -> dict[Key, str]:
        """Which semantic tiers are off for whom, and why."""
        return {key: book.standing.off for key, book in self._books.items() if book.standing and book.standing.off}

    def sampled(self, plan: PlanSnapshot, basis: str, tenant: int, event_id: str, sample: Sample) -> None:
        """Count one sample, and turn the tier off when it breaks the budget. One more right answer turns nothing off: what it changes is
        seen at the next `load`, as to judge thousands of samples takes milliseconds."""
        book = self._book(plan, basis, tenant)
        if sample.verdict == "right" and book.standing is not None:
            book.samples[event_id], book.judged = sample, False
        else:
            self.load(plan, basis, tenant, {event_id: sample})

    def looked(self, plan: PlanSnapshot, basis: str, tenant: int, question: str, served: str) -> None:
        """A question was looked up, and the entry `served` would answer it; "" on a miss. Turns the tier off on a jump."""
        key = (plan.id, basis, tenant)
        jumps = self._jumps.setdefault(key, Jumps())
        self._jumps.move_to_end(key)
        if len(self._jumps) > MAX_JUMPS:
            self._jumps.popitem(last=False)
        if (alarm := jumps.note(question, served)) and not self.standing(plan, basis, tenant).off:
            self._trip(plan, key, self._book(plan, basis, tenant), *alarm)

    def load(self, plan: PlanSnapshot, basis: str, tenant: int, samples: Mapping[str, Sample]) -> None:
        """Take samples in, each once, and judge anew."""
        book = self._book(plan, basis, tenant)
        fresh = {name: sample for name, sample in samples.items() if name not in book.samples and sample.at >= book.since}
        if fresh or not book.judged or book.limit != _cache(plan).max_error_rate:
            book.samples |= fresh
            self._judge(plan, (plan.id, basis, tenant), book)

    def switch(self, plan: PlanSnapshot, basis: str, tenant: int, *, since: float, off: str) -> None:
        """What is written down: samples count from `since` on; `off`: why the tier is off, "" when it is on."""
        book, key = self._book(plan, basis, tenant), (plan.id, basis, tenant)
        if book.since == since and (self.standing(plan, basis, tenant).off == off or self._unwritten(key)):
            return
        if since > book.since:
            book.since = since
            self._jumps.pop(key, None)
        self._judge(plan, key, book, off=off)

    def _book(self, plan: PlanSnapshot, basis: str, tenant: int) -> Book:
        return self._books.setdefault((plan.id, basis, tenant), Book())

    def _unwritten(self, key: Key) -> bool:
        return any(trip.key == key for trip in self.trips)

    def _judge(self, plan: PlanSnapshot, key: Key, book: Book, *, off: str | None = None) -> None:
        cache = _cache(plan)
        book.limit, book.judged = cache.max_error_rate, True
        if cache.max_error_rate is None:
            return
        book.samples = _within(book, window(cache.max_error_rate), self._clock())
        threshold = learned(book.samples.values(), limit=cache.max_error_rate, threshold=cache.similarity_threshold)
        was_off = book.standing.off if book.standing else ""
        book.standing = Standing(threshold, was_off if off is None else off)
        found = measured(book.samples.values(), limit=cache.max_error_rate, threshold=threshold)
        if found.over and not book.standing.off:
            rate = f"{found.wrong} of {found.samples} sampled hits were wrong: at least {found.lower:.1%}"
            self._trip(plan, key, book, ERROR_BUDGET, f"{rate}, the budget is {cache.max_error_rate:.2%}")

    def _trip(self, plan: PlanSnapshot, key: Key, book: Book, reason: str, detail: str) -> None:
        book.standing = Standing(self.standing(plan, *key[1:]).threshold, reason)
        log.warning("plan %s, tenant %d: the semantic tier turns itself off (%s): %s", plan.name, key[2], reason, detail)
        self.trips.append(Trip(key, plan.name, self._clock(), reason, detail))


def _cache(plan: PlanSnapshot) -> CacheSettings:
    assert plan.cache is not None  # noqa: S101 -- a plan without a cache looks nothing up
    return plan.cache


def _within(book: Book, most: int, now: float) -> dict[str, Sample]:
    """The newest samples that count."""
    oldest = max(book.since, now - DAYS * 86_400)
    kept = sorted(((name, sample) for name, sample in book.samples.items() if sample.at >= oldest), key=lambda each: -each[1].at)
    return dict(kept[:most])
