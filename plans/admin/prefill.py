"""Plan forms prefilled with a preset (`?preset=`) or another plan's settings (`?clone=`)."""

from itertools import count
from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import model_to_dict
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from plans import capabilities, presets, services, validation
from plans.api_errors import InvalidPlan
from plans.field_changes import list_field_changes
from plans.fields import list_settings
from plans.models import Plan
from plans.untrusted_text.whole_numbers import parse_positive

COPY_SUFFIX: Final = "-copy"
MAX_PLAN_NAME_LENGTH: Final = 64


class PrefillMixin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Prefill the plan form and offer presets; goes before ModelAdmin."""

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Return the settings of the plan to clone, if the user may see it, or of the preset."""
        plan_id = parse_positive(request.GET.get("clone", ""))
        source = self.get_queryset(request).filter(pk=plan_id).first() if plan_id else None
        if source is not None and self.has_view_or_change_permission(request, source):
            return model_to_dict(source) | {"name": find_free_name(source)}
        return _build_form_values(_get_fitted_preset(request))

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Return the saved plan, with the settings of the requested preset in memory only."""
        plan = super().get_object(request, object_id, from_field)
        if plan is not None and request.method == "GET":
            for name, value in _build_form_values(_get_fitted_preset(request)).items():
                setattr(plan, name, value)
        return plan

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Add the presets and, for a chosen one, what it would change."""
        chosen, plan = _get_fitted_preset(request), context.get("original")
        context |= {"presets": presets.PRESETS.values(), "preset": chosen}
        if chosen and plan is not None:
            saved = Plan.objects.get(pk=plan.pk)
            context["draft_changes"] = list_field_changes(
                Plan, context["adminform"].form.fields, saved, plan
            )
        return super().render_change_form(request, context, *args, **kwargs)


def _get_fitted_preset(request: HttpRequest) -> presets.FittedPreset | None:
    """Return the preset the URL names, fitted to this system; computed once per request.

    None on other pages of a plan, such as its history, which show what is saved.
    """
    name = request.GET.get("preset")
    if request.method != "GET" or not name or not _is_form_page(request):
        return None
    if not hasattr(request, "_preset"):
        try:
            found = presets.fit_preset(
                presets.find_preset(name), capabilities=capabilities.get_capabilities()
            )
        except InvalidPlan:
            found = None
        request._preset = found  # type: ignore[attr-defined]  # nobody else's
    fitted: presets.FittedPreset | None = request._preset  # type: ignore[attr-defined]  # set above
    return fitted


def _is_form_page(request: HttpRequest) -> bool:
    page = request.resolver_match.url_name if request.resolver_match else ""
    return page in {"plans_plan_add", "plans_plan_change"}


def _build_form_values(fitted: presets.FittedPreset | None) -> dict[str, Any]:
    """Return the preset's form fields; what it leaves open takes the defaults."""
    if fitted is None:
        return {}
    draft = validation.validate_plan(
        {"plan_name": "draft", **fitted.plan_body}, capabilities=capabilities.get_capabilities()
    )
    return {
        name: value
        for name, value in services.build_plan_columns(draft).items()
        if name not in {"name", *(each.column for each in list_settings(""))}
    }


def find_free_name(plan: Plan) -> str:
    """Return `<name>-copy`, or the first of `-copy-2`, `-copy-3` ... the owner does not use yet."""
    taken = set(Plan.objects.filter(tenant=plan.tenant_id).values_list("name", flat=True))
    ends = (COPY_SUFFIX if number == 1 else f"{COPY_SUFFIX}-{number}" for number in count(1))
    return next(
        name
        for end in ends
        if (name := plan.name[: MAX_PLAN_NAME_LENGTH - len(end)] + end) not in taken
    )


@admin.action(description="Clone the selected plan", permissions=["add"])
def clone(
    page: "admin.ModelAdmin[Plan]", request: HttpRequest, queryset: QuerySet[Plan]
) -> HttpResponse | None:
    """Open the form of a new plan with the selected plan's settings; nothing is saved."""
    plans = list(queryset[:2])
    if len(plans) != 1:
        page.message_user(request, "Select one plan to clone.", messages.WARNING)
        return None
    return HttpResponseRedirect(f"{reverse('admin:plans_plan_add')}?clone={plans[0].pk}")
