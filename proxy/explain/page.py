"""/admin/plans/plan/{id}/explain/: what would happen to a request, and why. Nothing is stored."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods

from plans.access import list_user_plans
from plans.api_errors import ApiError
from plans.models import Plan
from proxy.core.errors import GatewayError
from proxy.explain.form import ExplainForm
from proxy.explain.serializers import serialize_explanation
from proxy.explain.service import explain_raw_request


@require_http_methods(["GET", "HEAD", "POST"])
def explain_page(request: HttpRequest, plan: int) -> HttpResponseBase:
    """Show the form, and the explanation of a submitted request, to staff who may see plans.

    The texts of other questions are not shown.
    """
    row = get_object_or_404(list_user_plans(request.user), pk=plan)
    if not any(request.user.has_perm(f"plans.{action}_plan") for action in ("view", "change")):
        raise PermissionDenied
    form = ExplainForm(row, request.POST if request.method == "POST" else None)
    page: dict[str, Any] = {
        "title": f"Explain {row.name}",
        "opts": Plan._meta,
        "plan": row,
        "form": form,
    }
    if form.is_valid():
        page |= _build_result(form, row)
    status = 400 if form.is_bound and "found" not in page else 200
    return render(
        request, "admin/explain.html", admin.site.each_context(request) | page, status=status
    )


def _build_result(form: ExplainForm, plan: Plan) -> dict[str, Any]:
    try:
        found = explain_raw_request(form.raw_body, plan, plan.tenant, form.cleaned_data["key"])
    except (ApiError, GatewayError) as error:
        return {"refusal": error.message}
    return {"found": serialize_explanation(found, texts=False)}
