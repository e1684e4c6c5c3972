"""Brings the error budgets in memory together with the ledger:
samples of all workers come in, tiers turned off here go out.

The ledger is the only store. While the database is away each worker goes by what it knows, and
writes down later what it turned off.
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

EVERY = 0.5
# A sample is recorded within its own deadline and flushed a moment later; what comes later than
# this is found when all are read again.
LATELY = 180.0
ALL_AGAIN = 300.0


@dataclass(slots=True)
class _Found:
    """What the database said, by plan, terms and tenant:
    (since in epoch seconds, reason) of the switches."""

    samples: dict[TierKey, dict[str, Sample]] = field(default_factory=dict)
    switches: dict[TierKey, tuple[float, str]] = field(default_factory=dict)


class Keeper:
    """One per worker. `judge`: the id of what gives hits their score, see `derive_cohort`."""

    def __init__(self, budgets: ErrorBudgets, source: ConfigSource, judge: str) -> None:
        self._budgets = budgets
        self._source = source
        self._judge = judge
        self._read_at: dict[PlanCohort, float] = {}
        # A hung database holds it up, and nothing else.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="budgets")
        self.off = 0  # plans whose tier is off for anybody

    async def turn(self) -> None:
        """Write down what was turned off, and take in what the others found.

        Raises what the database raises.
        """
        plans = self._plans()
        trips = list(self._budgets.unsaved_trips)
        if plans or trips:
            found = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._exchange, plans, trips
            )
            self._budgets.unsaved_trips = [
                trip for trip in self._budgets.unsaved_trips if trip not in trips
            ]
            self._take(plans, found)
        self._budgets.retain_cohorts(plans.keys())
        self._tell(plans)

    def close(self) -> None:
        self._thread.submit(connections.close_all)
        self._thread.shutdown(wait=False)

    def _plans(self) -> dict[PlanCohort, PlanSnapshot]:
        """Those with an error budget, by id and terms."""
        found = {}
        for plan in self._source.config.plans.values():
            if (
                plan.cache is not None
                and plan.cache.backend is not None
                and plan.cache.max_error_rate is not None
            ):
                found[plan.id, derive_cohort(plan.cache, self._judge)] = plan
        return found

    def _exchange(self, plans: Mapping[PlanCohort, PlanSnapshot], trips: list[TierTrip]) -> _Found:
        """In the thread."""
        try:
            for trip in trips:
                tier_switch.turn_off(
                    trip.key, at=trip.tripped_at, reason=trip.reason, detail=trip.detail
                )
            return self._read(plans)
        except BaseException:
            connections.close_all()
            raise

    def _read(self, plans: Mapping[PlanCohort, PlanSnapshot]) -> _Found:
        rows = tier_switch.positions()
        found = _Found(
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
                now - self._read_at.get(terms, -ALL_AGAIN) >= ALL_AGAIN
                and plan.cache is not None
                and plan.cache.max_error_rate is not None
            ):
                newest = samples.newest(
                    *terms, limit=plan.cache.max_error_rate, verified=terms in verified
                )
                found.samples |= {(*terms, tenant): counted for tenant, counted in newest.items()}
                self._read_at[terms] = now
                whole.add(terms)
        found.samples |= samples.lately(plans.keys() - whole, verified=verified, seconds=LATELY)
        return found

    def _take(self, plans: Mapping[PlanCohort, PlanSnapshot], found: _Found) -> None:
        """Samples from before a switch was moved are left out by the books themselves."""
        told: dict[PlanCohort, set[int]] = {
            terms: self._budgets.list_tenants(plan, terms[1]) for terms, plan in plans.items()
        }
        for plan_id, basis, tenant in (*found.samples, *found.switches):
            told.setdefault((plan_id, basis), set()).add(tenant)
        for (plan_id, basis), plan in plans.items():
            for tenant in told[plan_id, basis]:
                since, off = found.switches.get((plan_id, basis, tenant), (0.0, ""))
                self._budgets.apply_switch(plan, basis, tenant, since=since, off=off)
                self._budgets.load_samples(
                    plan, basis, tenant, found.samples.get((plan_id, basis, tenant), {})
                )

    def _tell(self, plans: Mapping[PlanCohort, PlanSnapshot]) -> None:
        off: dict[int, int] = {}  # tenants by plan
        for plan_id, _, _ in self._budgets.list_off_tiers():
            off[plan_id] = off.get(plan_id, 0) + 1
        self.off = len(off)
        names: dict[str, int] = {}
        for plan in plans.values():
            names[plan.name] = names.get(plan.name, 0) + off.get(plan.id, 0)
        for name, tenants in names.items():
            metrics.SEMANTIC_OFF.labels(name).set(tenants > 0)
            metrics.SEMANTIC_OFF_TENANTS.labels(name).set(tenants)
