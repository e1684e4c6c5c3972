"""How plans keep to their error budgets, for those who look: the API and the dashboard."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from plans import capabilities
from plans.models import Plan
from plans.snapshot import CacheSettings
from stats import samples, switches
from stats.entries import CacheEntry
from stats.evidence import Measured, learned, measured
from stats.models import RequestEvent
from stats.totals import totals
from stats.wanted import Wanted

SHOWN = 5


@dataclass(frozen=True, slots=True)
class WrongHit:
    """A sample found wrong: when, of which request, by which number it was a hit. `entry_id`: of the stored answer; `kept`: it is still
    there to be looked at."""

    at: datetime
    request_id: str
    number: float | None
    entry_id: str
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanBudget:
    """`limit`: the wrong hits accepted; `found`: those measured, under the threshold that the samples taught; `number`: which one the
    threshold is of. `off_at` None: the semantic tier is on, from `since` on if a person did it. `asked`: samples that cost a call.
    `judge`: the route of the plan's judge model, "" where rules judge; `judged`: how often it was to be asked, `unjudged` of them in vain;
    `judge_gone`: there is no such route any more. `wrong`: the latest hits that were wrong, of a tier that is off."""

    plan: Plan
    limit: float
    sample_rate: float
    number: str
    plan_threshold: float
    found: Measured
    off_at: datetime | None
    reason: str
    detail: str
    since: datetime | None
    asked: int
    spent: Decimal | None
    judge: str = ""
    judged: int = 0
    unjudged: int = 0
    judge_gone: bool = False
    wrong: tuple[WrongHit, ...] = ()

    @property
    def moved(self) -> bool:
        """Whether the samples taught another threshold than the plan's."""
        return abs(self.found.threshold - self.plan_threshold) > 1e-9


@dataclass(slots=True)
class _State:
    basis: Callable[[CacheSettings], str] | None = None


_state = _State()


def attach(basis: Callable[[CacheSettings], str] | None) -> None:
    """Called once by whoever starts the request path in this process: how it names the terms of a plan."""
    _state.basis = basis


def budget_of(plan: Plan, wanted: Wanted) -> PlanBudget | None:
    """The plan's error budget, None where it has none. `wanted`: whose cost is shown."""
    cache = plan.snapshot().cache
    if cache is None or cache.backend is None or cache.max_error_rate is None:
        return None
    basis, limit = _basis(plan, cache), cache.max_error_rate
    switch = switches.position(plan.pk, basis)
    verified, since = cache.match == "verified", switch.since if switch else None
    window = samples.newest(plan.pk, basis, limit=limit, verified=verified, since=since).values()
    threshold = learned(window, limit=limit, threshold=cache.similarity_threshold)
    sums = totals(wanted)
    return PlanBudget(
        plan=plan,
        limit=limit,
        sample_rate=cache.sample_rate,
        number="score" if verified else "cosine",
        plan_threshold=cache.similarity_threshold,
        found=measured(window, limit=limit, threshold=threshold),
        off_at=switch.off_at if switch else None,
        reason=switch.reason if switch else "",
        detail=switch.detail if switch else "",
        since=since,
        asked=sums.sampled,
        judged=sums.judged,
        unjudged=sums.unjudged,
        spent=sums.sampled_cost,
        judge=cache.judge_model or "",
        judge_gone=cache.judge_model is not None and cache.judge_model not in capabilities.current().routes(),
        wrong=_wrong(plan.pk, basis, switch.off_at, verified=verified) if switch and switch.off_at else (),
    )


def budgets(*, start: datetime, plan: Plan | None = None) -> list[PlanBudget]:
    """Those of all plans that have one, or of this plan; broken ones first. What they cost is counted from `start` on."""
    plans = Plan.objects.filter(cache_enabled=True, max_error_rate__isnull=False).select_related("tenant").order_by("name")
    rows = plans if plan is None else plans.filter(pk=plan.pk)
    found = [budget_of(row, Wanted(start=start, plan_id=row.pk)) for row in rows]
    return sorted(filter(None, found), key=lambda each: (each.off_at is None, each.plan.name))


def _wrong(plan_id: int, basis: str, until: datetime, *, verified: bool) -> tuple[WrongHit, ...]:
    """The latest ones up to when the tier turned itself off."""
    rows = RequestEvent.objects.filter(plan_id=plan_id, basis=basis, sample="wrong", would="semantic", at__lte=until).order_by("-at")[
        :SHOWN
    ]
    kept = set(CacheEntry.objects.filter(pk__in=[row.entry_id for row in rows]).values_list("pk", flat=True))
    return tuple(
        WrongHit(row.at, row.note.removeprefix("sample of "), row.score if verified else row.similarity, row.entry_id, row.entry_id in kept)
        for row in rows
    )


def _basis(plan: Plan, cache: CacheSettings) -> str:
    """What the request path calls the plan's terms; in a process without it, those of the newest sample."""
    if _state.basis is not None:
        return _state.basis(cache)
    rows = RequestEvent.objects.filter(plan_id=plan.pk).exclude(sample="").exclude(basis="").order_by("-at")
    return rows.values_list("basis", flat=True).first() or ""
