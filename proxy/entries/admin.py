"""Admin pages of cached answers: list, search, delete, and read their text."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.formats import date_format
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from plans.admin.tenant_scope import TenantScopedAdmin
from plans.models import Tenant
from plans.untrusted_text.whole_numbers import parse_positive
from proxy.core.caching.cache_keys import end_user_digest
from proxy.core.errors import ToolUnavailable
from proxy.entries import text as entries_text
from proxy.models import Entry, EntryLook
from stats.admin import PlanFilter, ReadOnlyAdmin
from stats.ledger import deletions
from stats.models.cache_entries import CacheEntry, Erasure


class TenantFilter(admin.SimpleListFilter):
    """Filter by tenant."""

    # Choices come from the tenants' own table: distinct tenants of the entries would read them all.
    title = parameter_name = "tenant"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(str(tenant.pk), tenant.slug) for tenant in Tenant.objects.all()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Entry]) -> QuerySet[Entry]:
        tenant_id = parse_positive(self.value() or "")
        return queryset.filter(tenant_id=tenant_id) if tenant_id else queryset


class StoreFilter(admin.SimpleListFilter):
    title, parameter_name = "kept for", "store"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [("exact", "identical requests"), ("semantic", "meaning")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Entry]) -> QuerySet[Entry]:
        if self.value() == "exact":
            return queryset.filter(exact=True)
        return queryset.exclude(backend="") if self.value() == "semantic" else queryset


# Reading the text takes a permission of its own, and each look is recorded.

READ_TEXT_PERMISSION = "proxy.view_entry_text"
DELETION_WAIT_SECONDS = 2.0


def _format_briefly(at: datetime) -> str:
    """Format a time without its year, as ten columns must fit on one page."""
    return date_format(timezone.localtime(at), "j M H:i").replace(" ", "\N{NO-BREAK SPACE}")


@admin.register(Entry)
class EntryAdmin(TenantScopedAdmin, ReadOnlyAdmin):
    list_display = (
        "short",
        "tenant",
        "plan",
        "namespace",
        "size",
        "hits",
        "stored_at",
        "last_used",
        "expires",
        "route",
    )
    list_display_links = ("short",)
    list_filter = (TenantFilter, PlanFilter, StoreFilter, ("created_at", admin.DateFieldListFilter))
    search_fields = ("=entry_id", "=sent", "=namespace", "route")
    search_help_text = (
        "An entry's id, a namespace, a model, or an end user as the request's `user` named them."
    )
    ordering = ("-created_at",)
    fieldsets = (
        (None, {"fields": ("entry_id", "tenant", "plan", "route", "namespace", "end_user")}),
        ("Kept", {"fields": ("exact", "backend", "size", "created_at", "expires_at")}),
        ("Used", {"fields": ("hits", "used_at")}),
    )
    change_form_template = "admin/entry.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Entry]:
        return super().get_queryset(request).filter(doomed_at=None, expires_at__gt=timezone.now())

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        found, distinct = super().get_search_results(request, queryset, search_term)
        if term := search_term.strip():
            pepper: str = settings.KEY_PEPPER
            digests = [
                end_user_digest(term, tenant_id=pk, pepper=pepper)
                for pk in Tenant.objects.values_list("pk", flat=True)
            ]
            found = found | queryset.filter(Q(end_user__in=digests))
        return found, distinct

    @admin.display(description="Entry", ordering="entry_id")
    def short(self, row: Entry) -> str:
        return row.short

    @admin.display(description="Made", ordering="created_at")
    def stored_at(self, row: Entry) -> str:
        return _format_briefly(row.created_at)

    @admin.display(description="Last used", ordering="used_at")
    def last_used(self, row: Entry) -> str:
        return _format_briefly(row.used_at)

    @admin.display(ordering="expires_at")
    def expires(self, row: Entry) -> str:
        return _format_briefly(row.expires_at)

    @admin.display(ordering="bytes")
    def size(self, row: Entry) -> str:
        return filesizeformat(row.bytes)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super(ReadOnlyAdmin, self).has_delete_permission(request, obj)

    def delete_model(self, request: HttpRequest, obj: Entry) -> None:
        wanted = deletions.EntryFilter(
            tenant_id=obj.tenant_id, plan_id=obj.plan_id, entry_id=obj.entry_id
        )
        _, mark = deletions.erase_entries(wanted, by=request.user.get_username())
        self._warn_pending_on_commit(request, mark)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Entry]) -> None:
        mark = timezone.now()
        deletions.mark_deleted(CacheEntry.objects.filter(pk__in=queryset.values("pk")), at=mark)
        self._warn_pending_on_commit(request, mark)

    def _warn_pending_on_commit(self, request: HttpRequest, mark: datetime) -> None:
        """Warn of entries that are not yet removed from their stores, after the commit."""
        # Before the page's transaction is committed the workers see nothing to delete.
        transaction.on_commit(
            lambda: self._warn_pending(
                request, deletions.wait_until_removed(mark, seconds=DELETION_WAIT_SECONDS)
            )
        )

    def _warn_pending(self, request: HttpRequest, left: int) -> None:
        if left:
            text = (
                f"{left} of them wait for a store that does not answer now. They go as "
                "soon as it does."
            )
            self.message_user(request, text, messages.WARNING)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = (extra_context or {}) | {"may_read": request.user.has_perm(READ_TEXT_PERMISSION)}
        return super().change_view(request, object_id, form_url, context)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(never_cache(self.text_view)))
        return [path("<str:entry_id>/text/", view, name="proxy_entry_text"), *super().get_urls()]

    def text_view(self, request: HttpRequest, entry_id: str) -> HttpResponse:
        """Show the question and answer, after recording who reads them."""
        if not (self.has_view_permission(request) and request.user.has_perm(READ_TEXT_PERMISSION)):
            raise PermissionDenied
        entry = get_object_or_404(self.get_queryset(request), pk=entry_id)
        EntryLook.objects.create(
            user_id=cast(int, request.user.pk),
            user=request.user.get_username(),
            entry_id=entry.pk,
            tenant=entry.tenant,
            plan=entry.plan,
        )
        text, unavailable = None, ""
        try:
            text = entries_text.read_text(entry)
        except ToolUnavailable as error:
            unavailable = error.reason
        context = self.admin_site.each_context(request) | {
            "title": "What was asked and answered",
            "opts": self.opts,
            "entry": entry,
            "text": text,
            "unavailable": unavailable,
        }
        return TemplateResponse(request, "admin/entry_text.html", context)


@admin.register(EntryLook)
class EntryLookAdmin(TenantScopedAdmin, ReadOnlyAdmin):
    tenant_column = "tenant"
    list_display = ("at", "user", "entry_id", "tenant", "plan")
    search_fields = ("=user", "=entry_id")
    ordering = ("-at",)


@admin.register(Erasure)
class ErasureAdmin(TenantScopedAdmin, ReadOnlyAdmin):
    list_display = (
        "at",
        "by",
        "entries",
        "tenant_id",
        "plan_id",
        "entry_id",
        "route",
        "namespace",
        "end_user",
    )
    search_fields = ("=by", "=entry_id", "=namespace")
    ordering = ("-at",)
