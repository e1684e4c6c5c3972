"""The error budgets of plans, in this worker's memory. The request path asks here and never waits;
`proxy.runtime.error_budget_sync` brings what other workers and the ledger know.

Every book is one tenant's. What a plan of the platform's serves to one tenant says nothing about
the questions of another, and nobody whose answers vary may turn the semantic tier off, or move its
threshold, for others.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from plans.snapshot import CacheSettings, PlanSnapshot
from proxy.core.quality.anomaly import HitRateMonitor
from stats.analysis.error_rate import (
    WINDOW_DAYS,
    Sample,
    compute_window_size,
    estimate_error_rate,
    learn_threshold,
)

log = logging.getLogger("tokenthrift.proxy")
PlanCohort = tuple[int, str]  # plan id, basis
TierKey = tuple[int, str, int]  # plan id, basis, tenant id
ERROR_BUDGET = "error-budget"
# Tenants and plans whose look-ups are watched, those of the latest requests; each takes some 300
# KB.
MAX_MONITORS = 256
# How far below the threshold it is worth looking whether it is too high.
THRESHOLD_PROBE_MARGIN = 0.1


@dataclass(frozen=True, slots=True)
class TierState:
    """`threshold`: that hits must reach now; `off`: why the semantic tier serves nothing,
    "" while it does."""

    threshold: float
    off_reason: str = ""


@dataclass(frozen=True, slots=True)
class TierTrip:
    """A semantic tier turned off by this worker: `reason` one word, `detail` a sentence."""

    key: TierKey
    plan_name: str
    tripped_at: float
    reason: str
    detail: str


@dataclass(slots=True)
class PlanSamples:
    """What is known of one plan under one basis, as one tenant uses it.

    `counted_since`: samples before it do not count, as the tier was turned on again.
    `is_evaluated`: nothing came in since `standing` was found, under the budget `max_error_rate`.
    """

    samples: dict[str, Sample] = field(default_factory=dict)
    counted_since: float = 0.0
    max_error_rate: float | None = None
    is_evaluated: bool = False
    state: TierState | None = None


class ErrorBudgets:
    """Books by plan, basis and tenant.

    `clock`: epoch seconds. `unsaved_trips`: what this worker turned off and nobody has written down
    yet.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._samples_by_tier: dict[TierKey, PlanSamples] = {}
        self._monitors: OrderedDict[TierKey, HitRateMonitor] = OrderedDict()
        self._clock = clock
        self.unsaved_trips: list[TierTrip] = []

    def tier_state(self, plan: PlanSnapshot, basis: str, tenant: int) -> TierState:
        """What holds for the plan and this tenant now. Only for plans with a cache."""
        book = self._samples_by_tier.get((plan.id, basis, tenant))
        return (
            book.state
            if book and book.state
            else TierState(_cache_settings(plan).similarity_threshold)
        )

    def retain_cohorts(self, terms: Collection[PlanCohort]) -> None:
        """Forget the books of all other plans and terms."""
        for key in [key for key in self._samples_by_tier if key[:2] not in terms]:
            del self._samples_by_tier[key]
            self._monitors.pop(key, None)

    def list_tenants(self, plan: PlanSnapshot, basis: str) -> set[int]:
        """Of whom anything is known."""
        return {
            tenant
            for plan_id, terms, tenant in self._samples_by_tier
            if (plan_id, terms) == (plan.id, basis)
        }

    def list_off_tiers(self) -> dict[TierKey, str]:
        """Which semantic tiers are off for whom, and why."""
        return {
            key: book.state.off_reason
            for key, book in self._samples_by_tier.items()
            if book.state and book.state.off_reason
        }

    def add_sample(
        self, plan: PlanSnapshot, basis: str, tenant: int, event_id: str, sample: Sample
    ) -> None:
        """Count one sample, and turn the tier off when it breaks the budget.

        One more right answer turns nothing off: what it changes is seen at the next `load_samples`,
        as to judge thousands of samples takes milliseconds.
        """
        book = self._get_samples(plan, basis, tenant)
        if sample.verdict == "right" and book.state is not None:
            book.samples[event_id], book.is_evaluated = sample, False
        else:
            self.load_samples(plan, basis, tenant, {event_id: sample})

    def observe_lookup(
        self, plan: PlanSnapshot, basis: str, tenant: int, question: str, served: str
    ) -> None:
        """A question was looked up, and the entry `served` would answer it; "" on a miss.

        Turns the tier off on a jump.
        """
        key = (plan.id, basis, tenant)
        jumps = self._monitors.setdefault(key, HitRateMonitor())
        self._monitors.move_to_end(key)
        if len(self._monitors) > MAX_MONITORS:
            self._monitors.popitem(last=False)
        if (alarm := jumps.observe_lookup(question, served)) and not self.tier_state(
            plan, basis, tenant
        ).off_reason:
            self._trip_tier(plan, key, self._get_samples(plan, basis, tenant), *alarm)

    def load_samples(
        self, plan: PlanSnapshot, basis: str, tenant: int, samples: Mapping[str, Sample]
    ) -> None:
        """Take samples in, each once, and judge anew."""
        book = self._get_samples(plan, basis, tenant)
        fresh = {
            name: sample
            for name, sample in samples.items()
            if name not in book.samples and sample.at >= book.counted_since
        }
        if (
            fresh
            or not book.is_evaluated
            or book.max_error_rate != _cache_settings(plan).max_error_rate
        ):
            book.samples |= fresh
            self._evaluate_tier(plan, (plan.id, basis, tenant), book)

    def apply_switch(
        self, plan: PlanSnapshot, basis: str, tenant: int, *, since: float, off: str
    ) -> None:
        """What is written down: samples count from `counted_since` on;
        `off`: why the tier is off, "" when it is on."""
        book, key = self._get_samples(plan, basis, tenant), (plan.id, basis, tenant)
        if book.counted_since == since and (
            self.tier_state(plan, basis, tenant).off_reason == off or self._has_unsaved_trip(key)
        ):
            return
        if since > book.counted_since:
            book.counted_since = since
            self._monitors.pop(key, None)
        self._evaluate_tier(plan, key, book, off=off)

    def _get_samples(self, plan: PlanSnapshot, basis: str, tenant: int) -> PlanSamples:
        return self._samples_by_tier.setdefault((plan.id, basis, tenant), PlanSamples())

    def _has_unsaved_trip(self, key: TierKey) -> bool:
        return any(trip.key == key for trip in self.unsaved_trips)

    def _evaluate_tier(
        self, plan: PlanSnapshot, key: TierKey, book: PlanSamples, *, off: str | None = None
    ) -> None:
        cache = _cache_settings(plan)
        book.max_error_rate, book.is_evaluated = cache.max_error_rate, True
        if cache.max_error_rate is None:
            return
        book.samples = _select_counted(
            book, compute_window_size(cache.max_error_rate), self._clock()
        )
        threshold = learn_threshold(
            book.samples.values(), limit=cache.max_error_rate, threshold=cache.similarity_threshold
        )
        was_off = book.state.off_reason if book.state else ""
        book.state = TierState(threshold, was_off if off is None else off)
        found = estimate_error_rate(
            book.samples.values(), limit=cache.max_error_rate, threshold=threshold
        )
        if found.is_over_budget and not book.state.off_reason:
            rate = (
                f"{found.wrong} of {found.samples} sampled hits were wrong: at least "
                f"{found.lower:.1%}"
            )
            self._trip_tier(
                plan, key, book, ERROR_BUDGET, f"{rate}, the budget is {cache.max_error_rate:.2%}"
            )

    def _trip_tier(
        self, plan: PlanSnapshot, key: TierKey, book: PlanSamples, reason: str, detail: str
    ) -> None:
        book.state = TierState(self.tier_state(plan, *key[1:]).threshold, reason)
        log.warning(
            "plan %s, tenant %d: the semantic tier turns itself off (%s): %s",
            plan.name,
            key[2],
            reason,
            detail,
        )
        self.unsaved_trips.append(TierTrip(key, plan.name, self._clock(), reason, detail))


def _cache_settings(plan: PlanSnapshot) -> CacheSettings:
    assert plan.cache is not None  # noqa: S101 -- a plan without a cache looks nothing up
    return plan.cache


def _select_counted(book: PlanSamples, most: int, now: float) -> dict[str, Sample]:
    """The newest samples that count."""
    oldest = max(book.counted_since, now - WINDOW_DAYS * 86_400)
    kept = sorted(
        ((name, sample) for name, sample in book.samples.items() if sample.at >= oldest),
        key=lambda each: -each[1].at,
    )
    return dict(kept[:most])
