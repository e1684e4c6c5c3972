"""What the dashboard's first page shows: the money, over time and by whom,
and what is to be known of it."""

import math
from decimal import Decimal
from typing import Any, Final

from django.db.models import Q

from plans.models import Plan, Tenant
from stats.dashboard.annotations import marks
from stats.dashboard.charts import intervals, plots, series, share_bar
from stats.dashboard.freshness import freshness
from stats.dashboard.onboarding import next_step
from stats.dashboard.page_context import frame
from stats.dashboard.wording import change, moment
from stats.ledger import backlog
from stats.models.requests import DeadLetter
from stats.quality.error_budget import PlanBudget, budgets
from stats.reports import selectors
from stats.reports.filters import Asked
from stats.reports.holdout import measured
from stats.reports.latency import paces
from stats.reports.requests import latest
from stats.reports.rollup_query import Wanted
from stats.reports.series import Group, points, rankings
from stats.reports.totals import Totals, expressions, totals, totals_of
from stats.reports.unknown_plans import unknown_plans

TOP: Final = 8


def overview(params: dict[str, str], wanted: Asked, tenant: Tenant | None) -> dict[str, Any]:
    """The template's context. Raises Refusal for more points than a chart can show."""
    sums, fresh = totals(wanted.wanted), freshness(tenant)
    over_time, durations, changed = points(wanted), paces(wanted), marks(wanted, tenant)
    kept_to = _budgets(wanted, tenant)
    found, end = intervals(
        [(each.found.lower, each.found.rate, each.found.upper, each.limit) for each in kept_to]
    )
    return frame(params, wanted, tenant) | {
        "totals": sums,
        "fresh": fresh,
        "shares": _shares(sums),
        "changes": _changes(sums, _sums(wanted.before)),
        "before_start": moment(wanted.before.start),
        "before_end": moment(wanted.before.end, last=True),
        "tiers": _tiers(sums),
        "tier_bar": share_bar([(kind, name, number) for kind, name, number, *_ in _tiers(sums)]),
        "plots": plots(wanted, over_time, durations),
        "series": series(wanted, over_time, durations, changed),
        "marks": changed,
        "tops": _tops(wanted, tenant, sums),
        "budgets": list(zip(kept_to, found, strict=True)),
        "budget_plans": list({each.plan.pk: each.plan for each in kept_to}.values()),
        "rate_end": end,
        "reasons": selectors.reasons(wanted.wanted),
        "requests": latest(wanted) if wanted.key_id else None,
        "step": "" if sums.requests else next_step(tenant, any_request=fresh.last is not None),
        "unknown": _unknown(wanted),
        "unknown_plans": [] if wanted.plan_id else unknown_plans(wanted, tenant),
        "unplanned": 0
        if wanted.plan_id
        else selectors.unplanned(wanted.start, end=wanted.end, tenant_id=wanted.tenant_id),
        "dead_letters": DeadLetter.objects.count() if tenant is None else 0,
        "holdout": measured(wanted.wanted),
    }


def _sums(wanted: Asked) -> Totals:
    """Without durations."""
    return totals_of(wanted.wanted.rollups().aggregate(**expressions()))


def _unknown(wanted: Asked) -> int:
    """Calls of the period that never settled. Which key they had is not known."""
    rows = backlog.outcome_unknown().filter(at__gte=wanted.start, at__lt=wanted.end)
    of = {
        name: value
        for name in ("tenant_id", "plan_id")
        if (value := getattr(wanted, name)) is not None
    }
    return rows.filter(**of).count()


def _budgets(wanted: Asked, tenant: Tenant | None) -> list[PlanBudget]:
    """Of the plans in sight that have one, by tenant, broken ones first.

    Of a plan of the platform's a tenant's people see their own.
    """
    rows = Plan.objects.filter(cache_enabled=True, max_error_rate__isnull=False)
    if tenant is not None:
        rows = rows.filter(Q(tenant=tenant) | Q(tenant=None))
    if wanted.plan_id is not None:
        rows = rows.filter(pk=wanted.plan_id)
    of = tenant.pk if tenant is not None else wanted.tenant_id
    found = budgets(Wanted(start=wanted.start, end=wanted.end, tenant_id=of), rows)
    return [each for each in found if tenant is None or each.plan.tenant_id or each.tenant]


def _tops(wanted: Asked, tenant: Tenant | None, sums: Totals) -> list[dict[str, Any]]:
    """Who lost money and who saved most: of tenants, plans, keys and models,
    those that the filters leave open."""
    open_ones = {
        "tenant": tenant is None and wanted.tenant_id is None and Tenant.objects.count() > 1,
        "plan": wanted.plan_id is None,
        "key": wanted.key_id is None,
        "model": wanted.model is None,
    }
    ranked = rankings(wanted, [name for name, is_open in open_ones.items() if is_open])
    return [
        {
            "by": name,
            "rows": [(row, _part(row, sums)) for row in rows[:TOP]],
            "more": max(0, len(rows) - TOP),
        }
        for name, rows in ranked.items()
    ]


def _part(row: Group, sums: Totals) -> float | None:
    """The group's share of what was saved: of the money, of the tokens where nothing has a price.

    None of a loss.
    """
    mine, whole = (
        (row.totals.tokens_saved, sums.tokens_saved)
        if sums.saved is None
        else (row.totals.saved, sums.saved)
    )
    return float(mine) / float(whole) if mine is not None and whole and whole > 0 else None


def _changes(now: Totals, before: Totals) -> dict[str, Any]:
    """Of each headline figure since the period before; nothing when nothing was asked then."""
    if not before.requests:
        return {}
    names = ("saved", "would_cost", "after", "tokens_saved", "requests", "hit_rate")
    return {name: change(getattr(now, name), getattr(before, name)) for name in names}


def _shares(sums: Totals) -> dict[str, str]:
    """`all`: the share of the spend before that was saved, tenths below 10 %; the others:
    each part's of what was saved, rounded so that they add up to 100 (largest remainder). Nothing
    where there is no saving to share."""
    if not sums.would_cost or sums.saved is None or sums.saved <= 0:
        return {}
    parts = {
        "exact": sums.saved_exact,
        "semantic": sums.saved_semantic,
        "compression": sums.saved_compression,
    }
    exact = {name: 100 * (value or Decimal(0)) / sums.saved for name, value in parts.items()}
    floors = {name: math.floor(value) for name, value in exact.items()}
    by_rest = sorted(exact, key=lambda name: floors[name] - exact[name])
    for name in by_rest[: 100 - sum(floors.values())]:
        floors[name] += 1
    whole = 100 * sums.saved / sums.would_cost
    return {
        "all": f"{whole:.{1 if whole < Decimal('9.95') else 0}f}",
        **{name: str(value) for name, value in floors.items()},
    }


def _tiers(sums: Totals) -> list[tuple[str, str, int, int | None, Any, list[float] | None]]:
    """Class, name, requests, tokens saved, dollars saved, (median, 99th percentile)
    of each way a request went."""
    return [
        (
            "exact",
            "Exact hit",
            sums.exact,
            sums.tokens_saved_exact,
            sums.saved_exact,
            sums.exact_ms,
        ),
        (
            "semantic",
            "Semantic hit",
            sums.semantic,
            sums.tokens_saved_semantic,
            sums.saved_semantic,
            sums.semantic_ms,
        ),
        ("miss", "Miss", sums.misses, None, None, sums.miss_ms),
        ("bypass", "Not looked up", sums.bypassed, None, None, None),
    ]
