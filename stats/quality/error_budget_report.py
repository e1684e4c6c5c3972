"""The state of plans' error budgets, for the API and the dashboard."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from django.db.models import QuerySet

from plans import capabilities
from plans.models import Plan, Tenant
from plans.snapshot import CacheSettings, find_serving_route
from stats.analysis.error_rate import (
    ErrorRateEstimate,
    Sample,
    compute_error_rate,
    estimate_error_rate,
    learn_threshold,
)
from stats.models.cache_entries import CacheEntry
from stats.models.requests import RequestEvent, SemanticSwitch
from stats.quality import cohorts, samples, tier_switch
from stats.reports.rollup_query import RollupQuery
from stats.reports.totals import Totals, compute_totals

MAX_WRONG_HITS_SHOWN = 5
MAX_TENANTS_SHOWN = 20  # of a plan, on the dashboard
MAX_TENANTS_LISTED = 100  # in a response of the API


@dataclass(frozen=True, slots=True)
class WrongHit:
    """A sample that was found wrong.

    `number`: the score or cosine that made it a hit; `entry_id`: of the stored answer;
    `entry_exists`: it can still be looked at.
    """

    at: datetime
    request_id: str
    number: float | None
    entry_id: str
    entry_exists: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanErrorBudget:
    """The error budget of a plan for one tenant; `tenant` is its slug, "" for all tenants or none.

    `limit`: the accepted rate of wrong hits; `estimate`: the measured one, at the learned
    threshold; `number`: what the threshold applies to, `score` or `cosine`. `off_at` None: the
    semantic tier is on, since `since` if a person turned it on.
    """

    plan: Plan
    tenant_id: int | None
    tenant: str
    limit: float
    sample_rate: float
    number: str
    plan_threshold: float
    estimate: ErrorRateEstimate
    off_at: datetime | None
    reason: str
    detail: str
    since: datetime | None
    # Samples that cost a call.
    asked: int = 0
    sampling_cost: Decimal | None = None
    # The route of the plan's judge model, "" if rules judge; how often it was to be asked, and how
    # often in vain; whether the route no longer exists.
    judge: str = ""
    judge_calls: int = 0
    unjudged: int = 0
    is_judge_missing: bool = False
    # The latest wrong hits, if the tier is off.
    wrong: tuple[WrongHit, ...] = ()
    # The parts of a total.
    tenants: tuple["PlanErrorBudget", ...] = ()

    @property
    def has_learned_threshold(self) -> bool:
        """Whether the samples led to another threshold than the plan's."""
        return abs(self.estimate.threshold - self.plan_threshold) > 1e-9


def load_tenant_error_budgets(
    plan: Plan, wanted: RollupQuery, *, most: int = MAX_TENANTS_SHOWN
) -> list[PlanErrorBudget]:
    """Load the plan's error budget for each tenant, at most `most` of them.

    Those whose tier is off come first, then those with most wrong hits. One without a tenant if
    nothing was measured yet; none if the plan has no budget. `wanted`: the tenant, and the requests
    whose cost is shown.
    """
    cache = plan.build_snapshot().cache
    if cache is None or cache.backend is None or cache.max_error_rate is None:
        return []
    basis, limit, verified = (
        cohorts.find_cohort(plan, cache),
        cache.max_error_rate,
        cache.match == "verified",
    )
    moved = tier_switch.load_plan_switches(plan.pk, basis, tenant=wanted.tenant_id)
    since = {tenant: row.since for tenant, row in moved.items()}
    found = samples.load_newest_samples(
        plan.pk, basis, limit=limit, verified=verified, since=since, tenant=wanted.tenant_id
    )
    measurements = {
        tenant: _estimate_tenant_error_rate(found.get(tenant, {}).values(), cache)
        for tenant in found.keys() | moved.keys()
    }
    told = sorted(
        measurements,
        key=lambda each: (
            each not in moved or moved[each].off_at is None,
            -measurements[each].lower,
            each,
        ),
    )
    names = Tenant.objects.in_bulk(told[:most])
    terms = _PlanTerms(plan, cache, basis)
    if not told:
        return [
            _build_error_budget(terms, wanted, _estimate_tenant_error_rate((), cache), None, "")
        ]
    return [
        _build_error_budget(
            terms,
            replace(wanted, tenant_id=each),
            measurements[each],
            moved.get(each),
            names[each].slug if each in names else f"#{each}",  # deleted
        )
        for each in told[:most]
    ]


def load_plan_error_budget(plan: Plan, wanted: RollupQuery) -> PlanErrorBudget | None:
    """Load the plan's error budget, None if it has none.

    Of several tenants: their total, off if it is off for one of them, and each tenant's own in
    `tenants`.
    """
    each = load_tenant_error_budgets(plan, wanted, most=MAX_TENANTS_LISTED)
    if len(each) <= 1:
        return replace(each[0], tenants=tuple(each) if each[0].tenant else ()) if each else None
    whole = _add_sampling_cost(each[0], compute_totals(wanted))
    sums = {
        name: sum(getattr(one.estimate, name) for one in each)
        for name in ("samples", "wrong", "unclear")
    }
    threshold = max(one.estimate.threshold for one in each)
    return replace(
        whole,
        tenant="",
        estimate=compute_error_rate(**sums, limit=whole.limit, threshold=threshold),
        since=None,
        tenants=tuple(each),
    )


def load_error_budgets(wanted: RollupQuery, plans: QuerySet[Plan]) -> list[PlanErrorBudget]:
    """Load the error budgets of the plans by tenant, exceeded ones first."""
    found = [
        each
        for row in plans.select_related("tenant").order_by("name")
        for each in load_tenant_error_budgets(row, replace(wanted, plan_id=row.pk))
    ]
    return sorted(found, key=lambda each: (each.off_at is None, each.plan.name, each.tenant))


def _estimate_tenant_error_rate(
    window: Iterable[Sample], cache: CacheSettings
) -> ErrorRateEstimate:
    """Estimate the error rate at the threshold that the samples support."""
    assert cache.max_error_rate is not None  # noqa: S101 -- only of plans with a budget
    counted = list(window)
    threshold = learn_threshold(counted, limit=cache.max_error_rate, threshold=cache.threshold)
    return estimate_error_rate(counted, limit=cache.max_error_rate, threshold=threshold)


@dataclass(frozen=True, slots=True)
class _PlanTerms:
    plan: Plan
    cache: CacheSettings
    cohort: str


def _build_error_budget(
    terms: _PlanTerms,
    wanted: RollupQuery,
    found: ErrorRateEstimate,
    switch: SemanticSwitch | None,
    tenant: str,
) -> PlanErrorBudget:
    """Build the error budget of the tenant in `wanted`."""
    plan, cache, tenant_id = terms.plan, terms.cache, wanted.tenant_id
    verified, off_at = cache.match == "verified", switch.off_at if switch else None
    shown = PlanErrorBudget(
        plan=plan,
        tenant_id=tenant_id,
        tenant=tenant,
        limit=cache.max_error_rate or 0.0,
        sample_rate=cache.sample_rate,
        number="score" if verified else "cosine",
        plan_threshold=cache.threshold,
        estimate=found,
        off_at=off_at,
        reason=switch.reason if switch else "",
        detail=switch.detail if switch else "",
        since=switch.since if switch else None,
        judge=cache.judge_model or "",
        is_judge_missing=cache.judge_model is not None
        and not find_serving_route(
            capabilities.get_tenant_capabilities(plan.tenant).list_routes(), cache.judge_model
        ),
        wrong=_load_wrong_hits(plan.pk, terms.cohort, tenant_id, off_at, verified=verified)
        if off_at
        else (),
    )
    return _add_sampling_cost(shown, compute_totals(wanted))


def _add_sampling_cost(budget: PlanErrorBudget, sums: Totals) -> PlanErrorBudget:
    """Add what the sampling cost."""
    return replace(
        budget,
        asked=sums.sampled,
        judge_calls=sums.judged,
        unjudged=sums.unjudged,
        sampling_cost=sums.sampled_cost,
    )


def _load_wrong_hits(
    plan_id: int, basis: str, tenant_id: int | None, until: datetime, *, verified: bool
) -> tuple[WrongHit, ...]:
    """Load the latest wrong hits up to when the tier was turned off."""
    rows = RequestEvent.objects.filter(
        plan_id=plan_id,
        basis=basis,
        tenant_id=tenant_id,
        sample="wrong",
        would="semantic",
        at__lte=until,
    ).order_by("-at")[:MAX_WRONG_HITS_SHOWN]
    kept = set(
        CacheEntry.objects.filter(pk__in=[row.entry_id for row in rows]).values_list(
            "pk", flat=True
        )
    )
    return tuple(
        WrongHit(
            row.at,
            row.note.removeprefix("sample of "),
            row.score if verified else row.similarity,
            row.entry_id,
            row.entry_id in kept,
        )
        for row in rows
    )
