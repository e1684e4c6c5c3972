"""/admin/plans/plan/{id}/tuning/: what other thresholds would have meant, beside the plan."""

from datetime import UTC, datetime, timedelta
from typing import Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from plans.access import plans_of
from plans.models import Plan
from stats.quality.tuning import tuning
from stats.reports import selectors

PERIODS: Final = (7, 30, 90)
DEFAULT: Final = 30


@require_safe
def tuning_page(request: HttpRequest, plan: int) -> HttpResponseBase:
    """For staff who may see plans; `?days=` one of the periods."""
    row = get_object_or_404(plans_of(request.user), pk=plan)
    if not any(request.user.has_perm(f"plans.{action}_plan") for action in ("view", "change")):
        raise PermissionDenied
    days = next((period for period in PERIODS if str(period) == request.GET.get("days")), DEFAULT)
    page = {
        "title": f"Tuning of {row.name}",
        "opts": Plan._meta,
        "plan": row,
        "days": days,
        "periods": PERIODS,
        "found": tuning(
            selectors.wanted_of(row, None, start=datetime.now(UTC) - timedelta(days=days)), row
        ),
    }
    return render(request, "admin/tuning.html", admin.site.each_context(request) | page)
