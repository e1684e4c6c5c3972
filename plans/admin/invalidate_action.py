"""The admin action "Forget all answers" of plans, with a confirmation page."""

from django.contrib import admin
from django.contrib.admin import helpers
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from plans.invalidation import invalidate_answers
from plans.models import Plan


@admin.action(description="Forget all answers of the selected plans", permissions=["change"])
def forget_answers(
    page: "admin.ModelAdmin[Plan]", request: HttpRequest, queryset: QuerySet[Plan]
) -> HttpResponse | None:
    """Ask for confirmation, then invalidate the plans' answers; None returns to the list.

    For a plan of the platform these are the answers of every tenant.
    """
    plans = list(queryset.select_related("tenant"))
    if "sure" not in request.POST:
        context = page.admin_site.each_context(request) | {
            "title": "Forget all answers?",
            "opts": page.opts,
            "plans": plans,
            "checkbox": helpers.ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/forget_answers.html", context)
    for plan in plans:
        invalidate_answers(plan=plan, tenant=plan.tenant)
        page.log_change(request, plan, "All answers forgotten.")
    page.message_user(
        request,
        (
            f"{len(plans)} plans have forgotten their answers; every worker follows "
            "within two seconds."
        ),
    )
    return None
