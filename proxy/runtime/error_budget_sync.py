"""Sync the error budgets in memory with the ledger: samples come in, tripped tiers go out.

The ledger is the only store. Without the database each worker goes by what it knows, and writes the
tiers it turned off later.
"""

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from django.db import connections

from plans.snapshot import PlanSnapshot
from proxy.core.ports import ConfigSource
from proxy.core.quality.cohort import derive_cohort
from proxy.core.quality.error_budget import ErrorBudgets, PlanCohort, TierKey, TierTrip
from stats.analysis.error_rate import Sample
from stats.monitoring import metrics
from stats.quality import samples, tier_switch

SYNC_INTERVAL_SECONDS = 0.5
# A sample is recorded within its own deadline and flushed a moment later; a later one is found when
# all are read again.
RECENT_SAMPLES_SECONDS = 180.0
FULL_READ_INTERVAL_SECONDS = 300.0


@dataclass(slots=True)
class _LedgerState:
    """What the ledger holds, by plan, cohort and tenant."""

    samples: dict[TierKey, dict[str, Sample]] = field(default_factory=dict)
    # (since in epoch seconds, reason).
    switches: dict[TierKey, tuple[float, str]] = field(default_factory=dict)


class ErrorBudgetSync:
    """One per worker; `judge` is the id of what scores hits, see `derive_cohort`."""

    def __init__(self, budgets: ErrorBudgets, source: ConfigSource, judge: str) -> None:
        self._budgets = budgets
        self._source = source
        self._scorer_id = judge
        self._full_read_at: dict[PlanCohort, float] = {}
        # A hung database blocks only this thread.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="budgets")
        self.off_plan_count = 0  # plans whose semantic tier is off for any tenant

    async def turn(self) -> None:
        """Save the tiers turned off here, and load what the other workers found.

        Raises what the database raises.
        """
        plans = self._list_budgeted_plans()
        trips = list(self._budgets.unsaved_trips)
        if plans or trips:
            found = await asyncio.get_running_loop().run_in_executor(
                self._executor, self._exchange_with_ledger, plans, trips
            )
            self._budgets.unsaved_trips = [
                trip for trip in self._budgets.unsaved_trips if trip not in trips
            ]
            self._apply_ledger_state(plans, found)
        self._budgets.retain_cohorts(plans.keys())
        self._report_metrics(plans)

    def close(self) -> None:
        self._executor.submit(connections.close_all)
        self._executor.shutdown(wait=False)

    def _list_budgeted_plans(self) -> dict[PlanCohort, PlanSnapshot]:
        """Return the plans with an error budget, by id and cohort."""
        found = {}
        for plan in self._source.config.plans.values():
            if (
                plan.cache is not None
                and plan.cache.backend is not None
                and plan.cache.max_error_rate is not None
            ):
                found[plan.id, derive_cohort(plan.cache, self._scorer_id)] = plan
        return found

    def _exchange_with_ledger(
        self, plans: Mapping[PlanCohort, PlanSnapshot], trips: list[TierTrip]
    ) -> _LedgerState:
        """Save the trips and read the ledger; runs in the thread."""
        try:
            for trip in trips:
                tier_switch.turn_tier_off(
                    trip.key, at=trip.tripped_at, reason=trip.reason, detail=trip.detail
                )
            return self._read_ledger(plans)
        except BaseException:
            connections.close_all()
            raise

    def _read_ledger(self, plans: Mapping[PlanCohort, PlanSnapshot]) -> _LedgerState:
        rows = tier_switch.load_tier_switches()
        found = _LedgerState(
            switches={
                key: (row.since.timestamp() if row.since else 0.0, row.reason)
                for key, row in rows.items()
            }
        )
        verified = {
            key
            for key, plan in plans.items()
            if plan.cache is not None and plan.cache.match == "verified"
        }
        now = time.monotonic()
        whole = set()
        for terms, plan in plans.items():
            if (
                now - self._full_read_at.get(terms, -FULL_READ_INTERVAL_SECONDS)
                >= FULL_READ_INTERVAL_SECONDS
                and plan.cache is not None
                and plan.cache.max_error_rate is not None
            ):
                newest = samples.load_newest_samples(
                    *terms, limit=plan.cache.max_error_rate, verified=terms in verified
                )
                found.samples |= {(*terms, tenant): counted for tenant, counted in newest.items()}
                self._full_read_at[terms] = now
                whole.add(terms)
        found.samples |= samples.load_recent_samples(
            plans.keys() - whole, verified=verified, seconds=RECENT_SAMPLES_SECONDS
        )
        return found

    def _apply_ledger_state(
        self, plans: Mapping[PlanCohort, PlanSnapshot], found: _LedgerState
    ) -> None:
        """Apply switches and samples to the error budgets."""
        told: dict[PlanCohort, set[int]] = {
            terms: self._budgets.list_tenants(plan, terms[1]) for terms, plan in plans.items()
        }
        for plan_id, basis, tenant in (*found.samples, *found.switches):
            told.setdefault((plan_id, basis), set()).add(tenant)
        for (plan_id, basis), plan in plans.items():
            for tenant in told[plan_id, basis]:
                since, off = found.switches.get((plan_id, basis, tenant), (0.0, ""))
                self._budgets.apply_switch(plan, basis, tenant, since=since, off=off)
                # It skips samples older than the last change of the switch.
                self._budgets.load_samples(
                    plan, basis, tenant, found.samples.get((plan_id, basis, tenant), {})
                )

    def _report_metrics(self, plans: Mapping[PlanCohort, PlanSnapshot]) -> None:
        off: dict[int, int] = {}  # tenants by plan
        for plan_id, _, _ in self._budgets.list_off_tiers():
            off[plan_id] = off.get(plan_id, 0) + 1
        self.off_plan_count = len(off)
        names: dict[str, int] = {}
        for plan in plans.values():
            names[plan.name] = names.get(plan.name, 0) + off.get(plan.id, 0)
        for name, tenants in names.items():
            metrics.SEMANTIC_OFF.labels(name).set(tenants > 0)
            metrics.SEMANTIC_OFF_TENANTS.labels(name).set(tenants)
