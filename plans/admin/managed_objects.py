"""Admin pages of objects that a configuration file may name: they say so, and may be locked."""

from pathlib import PurePath
from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html

from plans.managed_marks import describe_mark, find_mark, is_locked
from plans.models import ManagedMark

MAX_LOCKED_NAMED: Final = 5


class ManagedObjectMixin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Say which file names a row, and lock it if such rows are; goes before ModelAdmin."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("managed_marks")

    def get_list_display(self, request: HttpRequest) -> Any:
        """Add the file behind the name, where files are used at all."""
        first, *others = super().get_list_display(request)
        named = ("managed_by",) if ManagedMark.objects.exists() else ()
        return (first, *named, *others)

    @admin.display(description="From the file")
    def managed_by(self, row: Any) -> str | None:
        mark = find_mark(row)
        if mark is None:
            return None
        return format_html('<span title="{}">{}</span>', mark.file, PurePath(mark.file).name)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not is_locked(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not is_locked(obj)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row = context.get("original")
        if row is not None and (mark := find_mark(row)):
            context |= {"managed_mark": describe_mark(mark), "is_locked": is_locked(row)}
        return super().render_change_form(request, context, *args, **kwargs)


def refuse_locked_rows(
    page: "admin.ModelAdmin[Any]", request: HttpRequest, rows: QuerySet[Any]
) -> bool:
    """Tell which of the selected rows are locked; whether there are any."""
    locked = [row for row in rows.prefetch_related("managed_marks") if is_locked(row)]
    for row in locked[:MAX_LOCKED_NAMED]:
        mark = find_mark(row)
        text = f"{row}: {describe_mark(mark) if mark else ''} Nothing was done."
        page.message_user(request, text, messages.ERROR)
    if more := len(locked[MAX_LOCKED_NAMED:]):
        page.message_user(request, f"{more} more are named by files.", messages.ERROR)
    return bool(locked)
