"""How plans keep to their error budgets, for those who look: the API and the dashboard."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from django.db.models import QuerySet

from plans import capabilities
from plans.models import Plan, Tenant
from plans.snapshot import CacheSettings
from stats.analysis.error_rate import (
    ErrorRateEstimate,
    Sample,
    compute_error_rate,
    estimate_error_rate,
    learn_threshold,
)
from stats.models.cache_entries import CacheEntry
from stats.models.requests import RequestEvent, SemanticSwitch
from stats.quality import samples, tier_switch
from stats.reports.rollup_query import RollupQuery
from stats.reports.totals import Totals, compute_totals

MAX_WRONG_HITS_SHOWN = 5
MAX_TENANTS_SHOWN = 20  # tenants of a plan on the dashboard
MAX_TENANTS_LISTED = 100  # in a reply of the API


@dataclass(frozen=True, slots=True)
class WrongHit:
    """A sample found wrong: when, of which request, by which number it was a hit.

    `entry_id`: of the stored answer; `kept`: it is still there to be looked at.
    """

    at: datetime
    request_id: str
    number: float | None
    entry_id: str
    entry_exists: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanErrorBudget:
    """As one tenant keeps to it: `tenant` is its slug, "" for all or while nothing is known of any.

    `limit`: the wrong hits accepted; `found`: those measured, under the threshold that the samples
    taught; `number`: which one the threshold is of. `off_at` None: the semantic tier is on, from
    `since` on if a person did it. `asked`: samples that cost a call. `judge`: the route of the
    plan's judge model, "" where rules judge; `judged`: how often it was to be asked, `unjudged` of
    them in vain; `judge_gone`: there is no such route any more. `wrong`: the latest hits that were
    wrong, of a tier that is off. `tenants`: of the whole, its parts.
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
    asked: int = 0
    sampling_cost: Decimal | None = None
    judge: str = ""
    judge_calls: int = 0
    unjudged: int = 0
    is_judge_missing: bool = False
    wrong: tuple[WrongHit, ...] = ()
    tenants: tuple["PlanErrorBudget", ...] = ()

    @property
    def has_learned_threshold(self) -> bool:
        """Whether the samples taught another threshold than the plan's."""
        return abs(self.estimate.threshold - self.plan_threshold) > 1e-9


@dataclass(slots=True)
class _CohortState:
    cohort_function: Callable[[CacheSettings], str] | None = None


_state = _CohortState()


def set_cohort_function(basis: Callable[[CacheSettings], str] | None) -> None:
    """Called once by whoever starts the request path in this process:
    how it names the terms of a plan."""
    _state.cohort_function = basis


def load_tenant_error_budgets(
    plan: Plan, wanted: RollupQuery, *, most: int = MAX_TENANTS_SHOWN
) -> list[PlanErrorBudget]:
    """The plan's error budget as each tenant keeps to it, `most` of them:
    those first whose tier is off, then those with most wrong hits. Nobody's where nothing was
    measured yet, none where the plan has no budget. `wanted`: of which tenant, and whose cost is
    shown."""
    cache = plan.build_snapshot().cache
    if cache is None or cache.backend is None or cache.max_error_rate is None:
        return []
    basis, limit, verified = (
        _find_cohort(plan, cache),
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
    """The plan's error budget, None where it has none.

    Of several tenants: what they come to together, off where it is off for one; each tenant's own
    is in `tenants`.
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
    """Those of the plans by tenant, broken ones first."""
    found = [
        each
        for row in plans.select_related("tenant").order_by("name")
        for each in load_tenant_error_budgets(row, replace(wanted, plan_id=row.pk))
    ]
    return sorted(found, key=lambda each: (each.off_at is None, each.plan.name, each.tenant))


def _estimate_tenant_error_rate(
    window: Iterable[Sample], cache: CacheSettings
) -> ErrorRateEstimate:
    """By the threshold that the samples taught."""
    assert cache.max_error_rate is not None  # noqa: S101 -- only of plans with a budget
    counted = list(window)
    threshold = learn_threshold(
        counted, limit=cache.max_error_rate, threshold=cache.similarity_threshold
    )
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
    """`wanted`: of the tenant whose it is."""
    plan, cache, tenant_id = terms.plan, terms.cache, wanted.tenant_id
    verified, off_at = cache.match == "verified", switch.off_at if switch else None
    shown = PlanErrorBudget(
        plan=plan,
        tenant_id=tenant_id,
        tenant=tenant,
        limit=cache.max_error_rate or 0.0,
        sample_rate=cache.sample_rate,
        number="score" if verified else "cosine",
        plan_threshold=cache.similarity_threshold,
        estimate=found,
        off_at=off_at,
        reason=switch.reason if switch else "",
        detail=switch.detail if switch else "",
        since=switch.since if switch else None,
        judge=cache.judge_model or "",
        is_judge_missing=cache.judge_model is not None
        and cache.judge_model
        not in capabilities.get_tenant_capabilities(plan.tenant).list_routes(),
        wrong=_load_wrong_hits(plan.pk, terms.cohort, tenant_id, off_at, verified=verified)
        if off_at
        else (),
    )
    return _add_sampling_cost(shown, compute_totals(wanted))


def _add_sampling_cost(budget: PlanErrorBudget, sums: Totals) -> PlanErrorBudget:
    """With what measuring cost."""
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
    """The latest ones up to when the tier turned itself off."""
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


def _find_cohort(plan: Plan, cache: CacheSettings) -> str:
    """What the request path calls the plan's terms;
    in a process without it, those of the newest sample."""
    if _state.cohort_function is not None:
        return _state.cohort_function(cache)
    rows = (
        RequestEvent.objects.filter(plan_id=plan.pk)
        .exclude(sample="")
        .exclude(basis="")
        .order_by("-at")
    )
    return rows.values_list("basis", flat=True).first() or ""
