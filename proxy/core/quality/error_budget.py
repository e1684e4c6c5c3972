"""The error budgets of plans in this worker's memory, read by requests without waiting.

`proxy.runtime.error_budget_sync` loads what other workers and the ledger know.
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
PlanCohort = tuple[int, str]  # plan id, cohort
# Per tenant: what a platform plan serves to one says nothing about the questions of another, and no
# tenant whose answers vary may turn the semantic tier off, or move its threshold, for others.
TierKey = tuple[int, str, int]  # plan id, cohort, tenant id
ERROR_BUDGET = "error-budget"
# Monitors kept, those of the latest requests; each takes some 300 KB.
MAX_MONITORS = 256
# Candidates this far below the threshold are sampled, to learn whether it is too high.
THRESHOLD_PROBE_MARGIN = 0.1


@dataclass(frozen=True, slots=True)
class TierState:
    """The threshold that hits must reach now, and why the semantic tier is off ("" if it is on)."""

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
    """Samples and tier state of one plan under one cohort, as one tenant uses it.

    `counted_since`: samples before it do not count, as the tier was turned on again.
    `is_evaluated`: no sample came in since `state` was found, under the budget `max_error_rate`.
    """

    samples: dict[str, Sample] = field(default_factory=dict)
    counted_since: float = 0.0
    max_error_rate: float | None = None
    is_evaluated: bool = False
    state: TierState | None = None


class ErrorBudgets:
    """Samples and tier states by plan, cohort (`basis`) and tenant.

    `clock`: epoch seconds. `unsaved_trips`: tiers turned off by this worker, not saved yet.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._samples_by_tier: dict[TierKey, PlanSamples] = {}
        self._monitors: OrderedDict[TierKey, HitRateMonitor] = OrderedDict()
        self._clock = clock
        self.unsaved_trips: list[TierTrip] = []

    def tier_state(self, plan: PlanSnapshot, basis: str, tenant: int) -> TierState:
        """Return the tier's current state for this tenant. Only for plans with a cache."""
        book = self._samples_by_tier.get((plan.id, basis, tenant))
        return book.state if book and book.state else TierState(_cache_settings(plan).threshold)

    def retain_cohorts(self, terms: Collection[PlanCohort]) -> None:
        """Drop the samples of all other plans and cohorts."""
        for key in [key for key in self._samples_by_tier if key[:2] not in terms]:
            del self._samples_by_tier[key]
            self._monitors.pop(key, None)

    def list_tenants(self, plan: PlanSnapshot, basis: str) -> set[int]:
        """Return the tenants of whom samples or a switch are known."""
        return {
            tenant
            for plan_id, terms, tenant in self._samples_by_tier
            if (plan_id, terms) == (plan.id, basis)
        }

    def list_off_tiers(self) -> dict[TierKey, str]:
        """Return the semantic tiers that are off, with the reason."""
        return {
            key: book.state.off_reason
            for key, book in self._samples_by_tier.items()
            if book.state and book.state.off_reason
        }

    def add_sample(
        self, plan: PlanSnapshot, basis: str, tenant: int, event_id: str, sample: Sample
    ) -> None:
        """Count one sample, and turn the tier off if it breaks the error budget."""
        book = self._get_samples(plan, basis, tenant)
        # One more right answer turns nothing off, and evaluating thousands of samples takes
        # milliseconds: its effect is seen at the next `load_samples`.
        if sample.verdict == "right" and book.state is not None:
            book.samples[event_id], book.is_evaluated = sample, False
        else:
            self.load_samples(plan, basis, tenant, {event_id: sample})

    def observe_lookup(
        self, plan: PlanSnapshot, basis: str, tenant: int, question: str, served: str
    ) -> None:
        """Count one lookup, and turn the tier off if the monitor raises an alarm.

        `served`: the entry that would answer the question, "" on a miss.
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
        """Add samples, each counted once, and evaluate the tier again if anything changed."""
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
        """Apply the saved switch: samples count from `since` on, `off` is the reason or ""."""
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
            book.samples.values(), limit=cache.max_error_rate, threshold=cache.threshold
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
    """Return the newest samples that count, at most `most` of them."""
    oldest = max(book.counted_since, now - WINDOW_DAYS * 86_400)
    kept = sorted(
        ((name, sample) for name, sample in book.samples.items() if sample.at >= oldest),
        key=lambda each: -each[1].at,
    )
    return dict(kept[:most])
