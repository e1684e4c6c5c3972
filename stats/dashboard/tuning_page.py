"""/admin/plans/plan/{id}/tuning/: what other thresholds would have meant for the plan."""

from datetime import UTC, datetime, timedelta
from typing import Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from plans.access import list_user_plans
from plans.models import Plan
from stats.quality.threshold_tuning import build_tuning_report
from stats.reports import selectors

PERIOD_DAYS: Final = (7, 30, 90)
DEFAULT_PERIOD_DAYS: Final = 30


@require_safe
def tuning_page(request: HttpRequest, plan: int) -> HttpResponseBase:
    """Show the tuning report to staff who may see plans; `?days=` is one of PERIOD_DAYS."""
    row = get_object_or_404(list_user_plans(request.user), pk=plan)
    if not any(request.user.has_perm(f"plans.{action}_plan") for action in ("view", "change")):
        raise PermissionDenied
    days = next(
        (period for period in PERIOD_DAYS if str(period) == request.GET.get("days")),
        DEFAULT_PERIOD_DAYS,
    )
    page = {
        "title": f"Tuning of {row.name}",
        "opts": Plan._meta,
        "plan": row,
        "days": days,
        "periods": PERIOD_DAYS,
        "found": build_tuning_report(
            selectors.build_plan_query(row, None, start=datetime.now(UTC) - timedelta(days=days)),
            row,
        ),
    }
    return render(request, "admin/tuning.html", admin.site.each_context(request) | page)
