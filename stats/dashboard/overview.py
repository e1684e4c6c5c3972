"""The dashboard's first page: money saved, over time and by group, and what to know about it."""

import math
from decimal import Decimal
from typing import Any, Final

from django.db.models import Q

from plans.models import Plan, Tenant
from plans.plan_warnings import list_plan_warnings
from stats.dashboard.annotations import load_annotations
from stats.dashboard.charts import (
    build_chart_series,
    build_charts,
    build_rate_intervals,
    build_share_bar,
)
from stats.dashboard.freshness import measure_freshness
from stats.dashboard.onboarding import find_next_step
from stats.dashboard.page_context import build_page_context
from stats.dashboard.period_wording import compute_change, format_moment
from stats.ledger import backlog
from stats.models.requests import DeadLetter
from stats.quality.error_budget_report import PlanErrorBudget, load_error_budgets
from stats.quality.recalibration import describe_recalibrations
from stats.reports import selectors
from stats.reports.filters import ReportFilter
from stats.reports.holdout_report import measure_holdout
from stats.reports.latency import list_latency_points
from stats.reports.request_pages import list_latest_requests
from stats.reports.rollup_query import RollupQuery
from stats.reports.series import GroupTotals, list_points, rank_groups
from stats.reports.totals import Totals, build_expressions, build_totals, compute_totals
from stats.reports.unknown_plans import find_unknown_plans

MAX_RANKED_ROWS: Final = 8


def build_overview(
    params: dict[str, str], wanted: ReportFilter, tenant: Tenant | None
) -> dict[str, Any]:
    """Build the template's context. Raises ApiError for more points than a chart can show."""
    sums, fresh = compute_totals(wanted.rollup_query), measure_freshness(tenant)
    over_time, durations, changed = (
        list_points(wanted),
        list_latency_points(wanted),
        load_annotations(wanted, tenant),
    )
    kept_to = _load_visible_budgets(wanted, tenant)
    found, end = build_rate_intervals(
        [
            (each.estimate.lower, each.estimate.rate, each.estimate.upper, each.limit)
            for each in kept_to
        ]
    )
    return build_page_context(params, wanted, tenant) | {
        "totals": sums,
        "fresh": fresh,
        "shares": _format_saving_shares(sums),
        "changes": _compute_changes(sums, _load_sums(wanted.previous_period)),
        "before_start": format_moment(wanted.previous_period.start),
        "before_end": format_moment(wanted.previous_period.end, last=True),
        "tiers": _list_tiers(sums),
        "tier_bar": build_share_bar(
            [(kind, name, number) for kind, name, number, *_ in _list_tiers(sums)]
        ),
        "plots": build_charts(wanted, over_time, durations),
        "series": build_chart_series(wanted, over_time, durations, changed),
        "marks": changed,
        "tops": _rank_groups(wanted, tenant, sums),
        "budgets": list(zip(kept_to, found, strict=True)),
        "budget_plans": list({each.plan.pk: each.plan for each in kept_to}.values()),
        "rate_end": end,
        "recalibrations": _describe_recalibrations(kept_to, tenant),
        "plan_warnings": _list_warnings(wanted, tenant),
        "reasons": selectors.count_reasons(wanted.rollup_query),
        "requests": list_latest_requests(wanted) if wanted.key_id else None,
        "step": "" if sums.requests else find_next_step(tenant, any_request=fresh.last is not None),
        "unknown": _count_unknown_outcomes(wanted),
        "unknown_plans": [] if wanted.plan_id else find_unknown_plans(wanted, tenant),
        "unplanned": 0
        if wanted.plan_id
        else selectors.count_unplanned_requests(
            wanted.start, end=wanted.end, tenant_id=wanted.tenant_id
        ),
        "dead_letters": DeadLetter.objects.count() if tenant is None else 0,
        "holdout": measure_holdout(wanted.rollup_query),
    }


def _load_sums(wanted: ReportFilter) -> Totals:
    """Compute the totals without durations."""
    return build_totals(wanted.rollup_query.query_rollups().aggregate(**build_expressions()))


def _count_unknown_outcomes(wanted: ReportFilter) -> int:
    """Count the period's calls of unknown outcome. Their keys are not known."""
    rows = backlog.find_unknown_outcomes().filter(at__gte=wanted.start, at__lt=wanted.end)
    of = {
        name: value
        for name in ("tenant_id", "plan_id")
        if (value := getattr(wanted, name)) is not None
    }
    return rows.filter(**of).count()


def _load_visible_budgets(wanted: ReportFilter, tenant: Tenant | None) -> list[PlanErrorBudget]:
    """Load the error budgets of the visible plans by tenant, exceeded ones first."""
    rows = Plan.objects.filter(cache_enabled=True, max_error_rate__isnull=False)
    if tenant is not None:
        rows = rows.filter(Q(tenant=tenant) | Q(tenant=None))
    if wanted.plan_id is not None:
        rows = rows.filter(pk=wanted.plan_id)
    of = tenant.pk if tenant is not None else wanted.tenant_id
    found = load_error_budgets(RollupQuery(start=wanted.start, end=wanted.end, tenant_id=of), rows)
    # Of a platform plan a tenant's users see their own budget only.
    return [each for each in found if tenant is None or each.plan.tenant_id or each.tenant]


def _describe_recalibrations(kept_to: list[PlanErrorBudget], tenant: Tenant | None) -> list[str]:
    """Describe what recalibration found; for a tenant, of its own plans alone."""
    plans = {each.plan.pk: each.plan for each in kept_to}.values()
    return describe_recalibrations(
        [plan for plan in plans if tenant is None or plan.tenant_id is not None]
    )


def _list_warnings(wanted: ReportFilter, tenant: Tenant | None) -> list[tuple[Plan, str]]:
    """List what may be a mistake in the plans that the viewer may change, with the plan."""
    # No other setting is warned of: the query finds the few plans that it can be about.
    rows = Plan.objects.filter(cache_enabled=True, strictness__isnull=False)
    if tenant is not None:
        rows = rows.filter(tenant=tenant)
    if wanted.plan_id is not None:
        rows = rows.filter(pk=wanted.plan_id)
    return [
        (plan, text)
        for plan in rows.order_by("name")
        for text in list_plan_warnings(plan.build_snapshot())
    ]


def _rank_groups(wanted: ReportFilter, tenant: Tenant | None, sums: Totals) -> list[dict[str, Any]]:
    """Rank the groups that are not filtered by: those with losses first, then by savings.

    Groups of tenants, plans, keys and models.
    """
    open_ones = {
        "tenant": tenant is None and wanted.tenant_id is None and Tenant.objects.count() > 1,
        "plan": wanted.plan_id is None,
        "key": wanted.key_id is None,
        "model": wanted.model is None,
    }
    ranked = rank_groups(wanted, [name for name, is_open in open_ones.items() if is_open])
    return [
        {
            "by": name,
            "rows": [(row, _compute_group_share(row, sums)) for row in rows[:MAX_RANKED_ROWS]],
            "more": max(0, len(rows) - MAX_RANKED_ROWS),
        }
        for name, rows in ranked.items()
    ]


def _compute_group_share(row: GroupTotals, sums: Totals) -> float | None:
    """Compute the group's share of the money saved, or of the tokens if nothing has a price.

    None for a loss.
    """
    mine, whole = (
        (row.totals.tokens_saved, sums.tokens_saved)
        if sums.saved is None
        else (row.totals.saved, sums.saved)
    )
    return float(mine) / float(whole) if mine is not None and whole and whole > 0 else None


def _compute_changes(now: Totals, before: Totals) -> dict[str, Any]:
    """Compute the change of each headline figure since the previous period; empty without one."""
    if not before.requests:
        return {}
    names = ("saved", "would_cost", "after", "tokens_saved", "requests", "hit_rate")
    return {name: compute_change(getattr(now, name), getattr(before, name)) for name in names}


def _format_saving_shares(sums: Totals) -> dict[str, str]:
    """Format the saved share of the spend as `all`, and each part's share of the savings.

    Empty if nothing was saved.
    """
    if not sums.would_cost or sums.saved is None or sums.saved <= 0:
        return {}
    parts = {
        "exact": sums.saved_exact,
        "semantic": sums.saved_semantic,
        "compression": sums.saved_compression,
    }
    exact = {name: 100 * (value or Decimal(0)) / sums.saved for name, value in parts.items()}
    floors = {name: math.floor(value) for name, value in exact.items()}
    # Rounded so that the parts add up to 100 (largest remainder).
    by_rest = sorted(exact, key=lambda name: floors[name] - exact[name])
    for name in by_rest[: 100 - sum(floors.values())]:
        floors[name] += 1
    whole = 100 * sums.saved / sums.would_cost
    return {
        # With tenths below 10 %.
        "all": f"{whole:.{1 if whole < Decimal('9.95') else 0}f}",
        **{name: str(value) for name, value in floors.items()},
    }


def _list_tiers(sums: Totals) -> list[tuple[str, str, int, int | None, Any, list[float] | None]]:
    """List class, name, requests, tokens saved, dollars saved, (median, p99) of each tier."""
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
