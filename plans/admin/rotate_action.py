"""The admin action "Rotate the selected key": a new secret, and the former works on for a time."""

from datetime import timedelta
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from plans import key_rotation
from plans.admin.managed_objects import refuse_locked_rows
from plans.api_errors import ApiError
from plans.models import VirtualKey

HOUR: Final = 3600
OVERLAPS: Final = (
    (HOUR, "1 hour"),
    (24 * HOUR, "1 day"),
    (7 * 24 * HOUR, "1 week"),
    (30 * 24 * HOUR, "30 days"),
    (0, "not at all: it leaked"),
)


class RotationForm(forms.Form):
    """How long the former secret works on."""

    overlap = forms.TypedChoiceField(
        coerce=int,
        choices=OVERLAPS,
        initial=24 * HOUR,
        label="The former secret works on for",
        help_text="Long enough for every client to be given the new one.",
    )


@admin.action(description="Rotate the selected key", permissions=["change"])
def rotate_key(
    page: "admin.ModelAdmin[Any]", request: HttpRequest, queryset: QuerySet[VirtualKey]
) -> HttpResponse | None:
    """Ask for the overlap, then show the new secret, this once; None returns to the list."""
    keys = list(queryset.select_related("tenant", "successor")[:2])
    if len(keys) != 1:
        page.message_user(request, "Select one key: its new secret is shown.", messages.ERROR)
        return None
    if refuse_locked_rows(page, request, queryset):
        return None
    form = RotationForm(request.POST if "sure" in request.POST else None)
    context = page.admin_site.each_context(request) | {"opts": page.opts, "key": keys[0]}
    if not form.is_valid():
        context |= {
            "title": f"Rotate {keys[0].name}?",
            "form": form,
            "checkbox": helpers.ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/rotate_key.html", context)
    try:
        made, secret = key_rotation.rotate_key(
            keys[0], overlap=timedelta(seconds=form.cleaned_data["overlap"])
        )
    except ApiError as error:
        page.message_user(request, error.message, messages.ERROR)
        return None
    page.log_change(request, keys[0], f"Rotated: {made} has the new secret.")
    context |= {"title": "Copy the new key now", "key": made, "former": keys[0], "secret": secret}
    reply = TemplateResponse(request, "admin/key_created.html", context)
    reply["Cache-Control"] = "no-store"
    return reply
