"""/dashboard/: what was saved, in one page without a script. Staff only. The numbers are those of `stats.selectors`."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from plans.models import Plan
from stats import selectors, switches
from stats.budgets import budgets
from stats.charts import Chart, Column, share_bar, stacked
from stats.measured import measured
from stats.models import DeadLetter
from stats.selectors import DayRow, PlanRow
from stats.templatetags.figures import count, usd
from stats.totals import Totals, totals
from stats.wanted import Wanted

RANGES = {1: "today", 7: "in the last 7 days", 30: "in the last 30 days", 90: "in the last 90 days"}
DEFAULT_DAYS = 7


@dataclass(frozen=True, slots=True)
class Choice:
    """What the page is asked to show. Days are UTC days, today included."""

    days: int
    plan: Plan | None

    @property
    def start(self) -> datetime:
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight - timedelta(days=self.days - 1)


@staff_member_required
@never_cache
@require_safe
def dashboard(request: HttpRequest) -> HttpResponseBase:
    try:
        choice = _choice(request)
    except ValueError as error:
        return render(request, "dashboard/bad_request.html", {"problem": str(error), "ranges": RANGES}, status=400)
    return render(request, "dashboard/dashboard.html", _page(choice))


@staff_member_required
@permission_required("plans.change_plan", raise_exception=True)
@require_POST
def semantic_tier_on(request: HttpRequest, plan: int) -> HttpResponseBase:
    """The dashboard's button: turn a plan's semantic tier on again. It stands in the plan's history in the admin."""
    row = get_object_or_404(Plan, pk=plan)
    user = cast(User, request.user)
    if switches.turn_on(row.pk, by=user.get_username()):
        LogEntry.objects.log_actions(user.pk, [row], CHANGE, "Turned the semantic tier on again.", single_object=True)
    return redirect("dashboard")


def _choice(request: HttpRequest) -> Choice:
    """Raises ValueError with a sentence for the reader."""
    days, plan = request.GET.get("days", str(DEFAULT_DAYS)), request.GET.get("plan", "")
    if days not in map(str, RANGES):
        raise ValueError(f"days must be one of {', '.join(map(str, RANGES))}.")
    if not plan:
        return Choice(int(days), None)
    known = (
        Plan.objects.select_related("tenant").filter(pk=int(plan)).first() if plan.isascii() and plan.isdigit() and len(plan) < 19 else None
    )
    if known is None:
        raise ValueError("plan must be the number of a plan, as the list on the dashboard sends it.")
    return Choice(int(days), known)


def _page(choice: Choice) -> dict[str, Any]:
    wanted = Wanted(start=choice.start, plan_id=choice.plan.pk if choice.plan else None)
    days = selectors.by_day(wanted, days=choice.days)
    last = selectors.last_recorded()
    sums = totals(wanted)
    return {
        "choice": choice,
        "ranges": RANGES,
        "period": RANGES[choice.days],
        "plans": Plan.objects.select_related("tenant").order_by("name", "tenant__slug"),
        "totals": sums,
        "shares": _shares(sums),
        "tiers": _tiers(sums),
        "tier_bar": share_bar([(kind, name, number) for kind, name, number, *_ in _tiers(sums)]),
        "days": days,
        "money": _money_chart(days),
        "tokens": _token_chart(days),
        "holdout": measured(wanted),
        "budgets": budgets(start=choice.start, plan=choice.plan),
        "rows": _with_bars(selectors.by_plan(wanted)),
        "reasons": selectors.reasons(wanted),
        "age": None if last is None else (datetime.now(UTC) - last).total_seconds(),
        "unknown": selectors.outcome_unknown().filter(at__gte=choice.start).count(),
        "unplanned": selectors.unplanned(choice.start),
        "dead_letters": DeadLetter.objects.count(),
    }


def _shares(sums: Totals) -> dict[str, str]:
    """Shares of the spend before, rounded so that the three parts still add up to the whole (largest remainder). Tenths below 10 %."""
    if not sums.would_cost or sums.saved is None:
        return {}
    places = 1 if abs(sums.saved / sums.would_cost) < Decimal("0.0995") else 0
    unit = 100 * 10**places
    parts = {"exact": sums.saved_exact, "semantic": sums.saved_semantic, "compression": sums.saved_compression}
    exact = {name: (value or Decimal(0)) / sums.would_cost * unit for name, value in parts.items()}
    whole = round(sums.saved / sums.would_cost * unit)
    floors = {name: math.floor(value) for name, value in exact.items()}
    by_rest = sorted(exact, key=lambda name: floors[name] - exact[name])
    for name in by_rest[: whole - sum(floors.values())]:
        floors[name] += 1
    return {name: f"{100 * value / unit:.{places}f}" for name, value in {"all": whole, **floors}.items()}


def _tiers(sums: Totals) -> list[tuple[str, str, int, int | None, Any, list[float] | None]]:
    """Class, name, requests, tokens saved, dollars saved, (median, 99th percentile) of each way a request went."""
    return [
        ("exact", "Exact hit", sums.exact, sums.tokens_saved_exact, sums.saved_exact, sums.exact_ms),
        ("semantic", "Semantic hit", sums.semantic, sums.tokens_saved_semantic, sums.saved_semantic, sums.semantic_ms),
        ("miss", "Miss", sums.misses, None, None, sums.miss_ms),
        ("bypass", "Not looked up", sums.bypassed, None, None, None),
    ]


def _money_chart(days: list[DayRow]) -> Chart:
    return stacked(
        [
            Column(
                f"{row.day:%d %b}",
                f"{row.day:%d %b}: {usd(row.totals.after)} paid instead of {usd(row.totals.would_cost)}",
                (("paid", float(row.totals.after or 0)), ("saved", float(row.totals.saved or 0))),
            )
            for row in days
        ]
    )


def _token_chart(days: list[DayRow]) -> Chart:
    return stacked(
        [
            Column(
                f"{row.day:%d %b}",
                f"{row.day:%d %b}: {count(row.totals.tokens_saved)} tokens saved",
                (
                    ("exact", row.totals.tokens_saved_exact),
                    ("semantic", row.totals.tokens_saved_semantic),
                    ("compression", row.totals.tokens_saved_compression),
                ),
            )
            for row in days
        ]
    )


def _with_bars(rows: list[PlanRow]) -> list[tuple[PlanRow, str]]:
    """Each plan with the width of its bar, in per cent of the plan that saved most tokens."""
    most = max((row.totals.tokens_saved for row in rows), default=0)
    return [(row, f"{100 * max(row.totals.tokens_saved, 0) / most:.2f}" if most > 0 else "0") for row in rows]
