"""/admin/plans/plan/{id}/replay/: replay recent requests under the form's settings, unsaved."""

from copy import copy
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods

from plans import services
from plans.access import list_user_plans
from plans.field_changes import list_field_changes
from plans.forms.form_data import list_hidden_inputs
from plans.forms.model_forms import PlanForm
from plans.models import Plan
from proxy.replay.service import ReplayUnavailable, estimate_wrong_hits, replay_plan


@require_http_methods(["GET", "HEAD", "POST"])
def replay_page(request: HttpRequest, plan: int) -> HttpResponseBase:
    """Replay the saved plan, and beside it the form's draft, for staff who may see plans."""
    row = get_object_or_404(list_user_plans(request.user), pk=plan)
    if not any(request.user.has_perm(f"plans.{action}_plan") for action in ("view", "change")):
        raise PermissionDenied
    page: dict[str, Any] = {
        "title": f"Last week under {row.name}",
        "opts": Plan._meta,
        "plan": row,
        "may_change": request.user.has_perm("plans.change_plan"),
    }
    draft = copy(row)
    if request.method == "POST":
        form = PlanForm(request.POST, instance=draft)
        if not form.is_valid():
            named = {
                form.fields[name].label if name in form.fields else "": errors
                for name, errors in form.errors.items()
            }
            return _render_page(request, page | {"problems": named}, status=400)
        page |= {
            "changes": list_field_changes(Plan, form.fields, row, draft),
            "sent": list_hidden_inputs(request, "_draft"),
        }
    try:
        found = replay_plan(row, services.build_draft(draft), None)
    except ReplayUnavailable as error:
        return _render_page(request, page | {"unavailable": error.message}, status=503)
    page |= {
        "found": found,
        "done": found.result,
        "wrong_now": estimate_wrong_hits(found.result.now.semantic, found.wrong_now),
        "wrong_then": estimate_wrong_hits(found.result.then.semantic, found.wrong_then),
    }
    return _render_page(request, page)


def _render_page(
    request: HttpRequest, page: dict[str, Any], *, status: int = 200
) -> HttpResponseBase:
    return render(
        request, "admin/replay.html", admin.site.each_context(request) | page, status=status
    )
