"""Admin pages of plans. Database triggers raise versions and the revision."""

from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from plans import capabilities
from plans.admin.confirm_change import ConfirmChangeMixin
from plans.admin.guarded_deletion import GuardedDeletionMixin
from plans.admin.history import HistoryMixin
from plans.admin.import_export import ImportExportMixin
from plans.admin.invalidate_action import forget_answers
from plans.admin.managed_objects import ManagedObjectMixin
from plans.admin.prefill import PrefillMixin, clone
from plans.admin.summary import summarize_plan
from plans.admin.tenant_scope import TenantScopedAdmin
from plans.client_snippets import build_plan_snippets
from plans.fields import FORM_SECTIONS, FormSection
from plans.forms.edit_conflicts import EditConflictMixin
from plans.forms.model_forms import PlanForm
from plans.import_export.resources import PlanResource
from plans.models import Plan
from plans.plan_warnings import list_plan_warnings
from plans.strictness import get_operating_points

MINUS_SIGN = "\N{MINUS SIGN}"


def _build_fieldset(section: FormSection) -> tuple[str, Any]:
    classes = ("collapse",) if section.is_collapsed else ()
    return section.title, {
        "fields": section.fields,
        "description": section.description,
        "classes": classes,
    }


@admin.register(Plan)
class PlanAdmin(
    ManagedObjectMixin,
    GuardedDeletionMixin,
    ConfirmChangeMixin,
    EditConflictMixin,
    HistoryMixin,
    PrefillMixin,
    ImportExportMixin,
    TenantScopedAdmin,
):
    form = PlanForm
    resource = PlanResource()
    tenant_pages = ("export", "import")
    list_display = (
        "name",
        "owner_name",
        "mode_tag",
        "saved_cost",
        "effect_summary",
        "updated_at",
        "preview_links",
    )
    list_filter = ("tenant", "mode", "backend")
    list_per_page = 50
    ordering = ("name", "tenant")
    list_select_related = ("tenant",)
    search_fields = ("name", "tenant__slug")
    search_help_text = "By name or owner"
    empty_value_display = "–"
    readonly_fields = ("version", "updated_at")
    actions = (clone, forget_answers)
    fieldsets = (
        (None, {"fields": ("name", "tenant", "mode", "version", "updated_at")}),
        *map(_build_fieldset, FORM_SECTIONS),
    )

    class Media:
        js = ("plan-form.js", "copy.js")

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["operating_points"] = get_operating_points().points.values()
        if plan := context.get("original"):
            context["snippets"] = build_plan_snippets(plan, request)
            context["plan_warnings"] = list_plan_warnings(plan.build_snapshot())
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the plan, and say of its settings what may be a mistake."""
        super().save_model(request, obj, form, change)
        for text in list_plan_warnings(obj.build_snapshot()):
            self.message_user(request, text, messages.WARNING)

    @admin.display(description="Owner", ordering="tenant")
    def owner_name(self, plan: Plan) -> str:
        return plan.tenant.slug if plan.tenant else "platform"

    @admin.display(description="Mode", ordering="mode")
    def mode_tag(self, plan: Plan) -> str:
        return str(plan.get_mode_display()).partition(":")[0]

    @admin.display(description="What it does")
    def effect_summary(self, plan: Plan) -> str:
        return format_html('<span class="tt-does">{}</span>', summarize_plan(plan))

    @admin.display(description="Saved, 30 days")
    def saved_cost(self, plan: Plan) -> str | None:
        amount: Decimal | None = plan.__dict__.get("saved_lately")  # by `get_changelist_instance`
        if amount is None:
            return None
        kind, sign = ("tt-lost-money", MINUS_SIGN) if amount < 0 else ("tt-saved-money", "")
        return format_html('<span class="{}">{}</span>', kind, f"{sign}${abs(amount):,.2f}")

    @admin.display(description="On a chat")
    def preview_links(self, plan: Plan) -> str:
        return format_html(
            '<a href="{}">Preview</a> · <a href="{}">Test</a>',
            reverse("plan-preview-page", args=[plan.pk]),
            reverse("plan-trial-page", args=[plan.pk]),
        )

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Add what the page's plans saved, with one query for all of them."""
        shown = super().get_changelist_instance(request)
        found = capabilities.get_capabilities().sum_recent_savings(
            [plan.pk for plan in shown.result_list]
        )
        for plan in shown.result_list:
            plan.__dict__["saved_lately"] = found.get(plan.pk)
        return shown
