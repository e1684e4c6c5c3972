"""The error budgets of plans, in this worker's memory. The request path asks here and never waits; `proxy.keeper` brings what other workers
and the ledger know."""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from plans.snapshot import CacheSettings, PlanSnapshot
from proxy.core.jumps import Jumps
from stats.evidence import DAYS, Sample, learned, measured, window

log = logging.getLogger("tokenthrift.proxy")
Key = tuple[int, str]  # plan id, basis
ERROR_BUDGET = "error-budget"
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
    """What is known of one plan under one basis. `since`: samples before it do not count, as the tier was turned on again. `judged`:
    nothing came in since `standing` was found, under the budget `limit`."""

    samples: dict[str, Sample] = field(default_factory=dict)
    since: float = 0.0
    limit: float | None = None
    judged: bool = False
    standing: Standing | None = None
    jumps: Jumps = field(default_factory=Jumps)


class Budgets:
    """Books by plan and basis. `clock`: epoch seconds. `trips`: what this worker turned off and nobody has written down yet."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._books: dict[Key, Book] = {}
        self._clock = clock
        self.trips: list[Trip] = []

    def standing(self, plan: PlanSnapshot, basis: str) -> Standing:
        """What holds for the plan now. Only for plans with a cache."""
        book = self._books.get((plan.id, basis))
        return book.standing if book and book.standing else Standing(_cache(plan).similarity_threshold)

    def keep(self, keys: Collection[Key]) -> None:
        """Forget the books of all other plans and terms."""
        self._books = {key: book for key, book in self._books.items() if key in keys}

    def off(self) -> dict[Key, str]:
        """Which semantic tiers are off, and why."""
        return {key: book.standing.off for key, book in self._books.items() if book.standing and book.standing.off}

    def sampled(self, plan: PlanSnapshot, basis: str, event_id: str, sample: Sample) -> None:
        """Count one sample, and turn the tier off when it breaks the budget. One more right answer turns nothing off: what it changes is
        seen at the next `load`, as to judge thousands of samples takes milliseconds."""
        book = self._books.setdefault((plan.id, basis), Book())
        if sample.verdict == "right" and book.standing is not None:
            book.samples[event_id], book.judged = sample, False
        else:
            self.load(plan, basis, {event_id: sample})

    def looked(self, plan: PlanSnapshot, basis: str, question: str, served: str) -> None:
        """A question was looked up, and the entry `served` would answer it; "" on a miss. Turns the tier off on a jump."""
        book = self._books.setdefault((plan.id, basis), Book())
        if (alarm := book.jumps.note(question, served)) and not self.standing(plan, basis).off:
            self._trip(plan, basis, book, *alarm)

    def load(self, plan: PlanSnapshot, basis: str, samples: Mapping[str, Sample]) -> None:
        """Take samples in, each once, and judge anew."""
        book = self._books.setdefault((plan.id, basis), Book())
        fresh = {name: sample for name, sample in samples.items() if name not in book.samples and sample.at >= book.since}
        if fresh or not book.judged or book.limit != _cache(plan).max_error_rate:
            book.samples |= fresh
            self._judge(plan, basis, book)

    def switch(self, plan: PlanSnapshot, basis: str, *, since: float, off: str) -> None:
        """What is written down: samples count from `since` on; `off`: why the tier is off, "" when it is on."""
        book = self._books.setdefault((plan.id, basis), Book())
        if book.since == since and (self.standing(plan, basis).off == off or self._unwritten((plan.id, basis))):
            return
        if since > book.since:
            book.since, book.jumps = since, Jumps()
        self._judge(plan, basis, book, off=off)

    def _unwritten(self, key: Key) -> bool:
        return any(trip.key == key for trip in self.trips)

    def _judge(self, plan: PlanSnapshot, basis: str, book: Book, *, off: str | None = None) -> None:
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
            self._trip(plan, basis, book, ERROR_BUDGET, f"{rate}, the budget is {cache.max_error_rate:.2%}")

    def _trip(self, plan: PlanSnapshot, basis: str, book: Book, reason: str, detail: str) -> None:
        book.standing = Standing(self.standing(plan, basis).threshold, reason)
        log.warning("plan %s: the semantic tier turns itself off (%s): %s", plan.name, reason, detail)
        self.trips.append(Trip((plan.id, basis), plan.name, self._clock(), reason, detail))


def _cache(plan: PlanSnapshot) -> CacheSettings:
    assert plan.cache is not None  # noqa: S101 -- a plan without a cache looks nothing up
    return plan.cache


def _within(book: Book, most: int, now: float) -> dict[str, Sample]:
    """The newest samples that count."""
    oldest = max(book.since, now - DAYS * 86_400)
    kept = sorted(((name, sample) for name, sample in book.samples.items() if sample.at >= oldest), key=lambda each: -each[1].at)
    return dict(kept[:most])
