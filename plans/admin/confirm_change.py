"""Confirmation of plan changes that could serve other answers: changes, risks and a reason."""

from typing import Any, Final

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from plans import services
from plans.change_risks import list_change_risks
from plans.field_changes import list_field_changes
from plans.forms.form_data import list_hidden_inputs
from plans.models import Plan
from plans.records import MAX_REASON_LENGTH

REASON_FIELD: Final = "_reason"


class ReasonForm(forms.Form):
    """One line of text for the history."""

    reason = forms.CharField(
        max_length=MAX_REASON_LENGTH,
        label="Why?",
        help_text=(
            "A few words for whoever looks at this later, such as: paraphrases of the FAQ were "
            "missed. Kept in the history."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off", "class": "vTextField"}),
    )

    def add_prefix(self, field_name: str) -> str:
        return f"_{field_name}"


class ConfirmChangeMixin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Ask for confirmation of risky plan changes; goes before ModelAdmin."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if (
            request.method == "POST"
            and object_id
            and (page := self._build_confirmation_page(request, object_id))
        ):
            return page
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _build_confirmation_page(self, request: HttpRequest, object_id: str) -> HttpResponse | None:
        """Build the page that asks; None without a risk, with a reason, or for an invalid form."""
        plan = self.get_object(request, unquote(object_id))
        if plan is None or not self.has_change_permission(request, plan):
            return None
        saved = Plan.objects.get(pk=plan.pk)
        form = self.get_form(request, plan, change=True)(request.POST, request.FILES, instance=plan)
        if not form.is_valid():
            return None
        found = list_change_risks(services.build_draft(saved), services.build_draft(form.instance))
        reason = ReasonForm(request.POST if REASON_FIELD in request.POST else None)
        if not found or reason.is_valid():
            return None
        context = self.admin_site.each_context(request) | {
            "title": f"Change what {saved} answers?",
            "opts": self.opts,
            "original": saved,
            "risks": found,
            "changes": list_field_changes(Plan, form.fields, saved, form.instance),
            "reason": reason,
            "kept": list_hidden_inputs(request, REASON_FIELD),
        }
        return TemplateResponse(request, "admin/confirm_change.html", context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        reason = ReasonForm(request.POST)
        if not getattr(obj, "_change_reason", None) and reason.is_valid():
            obj._change_reason = reason.cleaned_data["reason"]
        super().save_model(request, obj, form, change)
