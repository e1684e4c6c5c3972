"""The admin actions "Pause" and "Resume" of virtual keys."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from plans import key_rotation
from plans.admin.managed_objects import refuse_locked_rows
from plans.models import VirtualKey


@admin.action(description="Pause the selected keys", permissions=["change"])
def pause_keys(
    page: "admin.ModelAdmin[Any]", request: HttpRequest, queryset: QuerySet[VirtualKey]
) -> None:
    _set_paused(page, request, queryset, paused=True)


@admin.action(description="Resume the selected keys", permissions=["change"])
def resume_keys(
    page: "admin.ModelAdmin[Any]", request: HttpRequest, queryset: QuerySet[VirtualKey]
) -> None:
    _set_paused(page, request, queryset, paused=False)


def _set_paused(
    page: "admin.ModelAdmin[Any]",
    request: HttpRequest,
    queryset: QuerySet[VirtualKey],
    *,
    paused: bool,
) -> None:
    """Pause or resume keys that are not revoked, each with its former secrets."""
    rows = queryset.filter(revoked_at=None).select_related("successor")
    if refuse_locked_rows(page, request, rows):
        return
    changed = [key for key in rows if key_rotation.set_paused(key, paused=paused)]
    for key in changed:
        page.log_change(request, key, "Paused." if paused else "Resumed.")
    done, then = ("paused", "refuses") if paused else ("resumed", "accepts")
    count = "1 key was" if len(changed) == 1 else f"{len(changed)} keys were"
    page.message_user(request, f"{count} {done}; every worker {then} them within two seconds.")
