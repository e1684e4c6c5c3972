"""Admin pages of virtual keys and admin keys."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join

from plans import services
from plans.admin.default_plans import (
    MAX_LINKED_ROUTES,
    build_resolve_url,
    describe_default_plan,
    list_key_routes,
)
from plans.admin.history import HistoryMixin
from plans.admin.revoke_action import AnyKey, revoke_keys
from plans.admin.tenant_scope import TenantScopedAdmin
from plans.client_snippets import build_key_snippets
from plans.forms.edit_conflicts import EditConflictMixin
from plans.forms.model_forms import VirtualKeyForm
from plans.models import AdminKey, VirtualKey


class KeyAdmin(EditConflictMixin, HistoryMixin, TenantScopedAdmin):
    """Base of both key pages: keys are created, shown once, revoked; no page shows the digest."""

    list_display: tuple[str, ...] = ("name", "prefix", "tenant", "created_at", "live")
    list_filter = ("tenant",)
    list_select_related = ("tenant",)
    search_fields = ("name", "prefix", "tenant__slug")
    search_help_text = "By name, owner, or the first characters of the key"
    empty_value_display = "–"
    actions = (revoke_keys,)

    def get_readonly_fields(
        self, request: HttpRequest, obj: AnyKey | None = None
    ) -> tuple[str, ...]:
        return ("prefix", "created_at", "revoked_at", "tenant") if obj else ()

    @admin.display(boolean=True)
    def live(self, key: AnyKey) -> bool:
        return key.revoked_at is None

    def save_model(self, request: HttpRequest, obj: AnyKey, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
        else:
            # For `response_add` only: the secret never gets into a session or message store.
            obj.__dict__["secret"] = services.issue_key(obj)

    def response_add(
        self, request: HttpRequest, obj: AnyKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the secret, this once."""
        # A redirect would need to store the secret somewhere.
        context = self.admin_site.each_context(request) | {
            "title": "Copy the key now",
            "opts": self.opts,
            "key": obj,
            "secret": obj.__dict__.pop("secret"),
            "snippets": build_key_snippets(obj, request) if isinstance(obj, VirtualKey) else [],
        }
        return TemplateResponse(request, "admin/key_created.html", context)


@admin.register(VirtualKey)
class VirtualKeyAdmin(KeyAdmin):
    form = VirtualKeyForm
    list_display = ("name", "prefix", "tenant", "created_at", "expires_at", "live")

    def get_readonly_fields(
        self, request: HttpRequest, obj: AnyKey | None = None
    ) -> tuple[str, ...]:
        shown = super().get_readonly_fields(request, obj)
        return (*shown, "plan_without_name") if obj else shown

    @admin.display(description="Where no plan is named")
    def plan_without_name(self, key: VirtualKey) -> str:
        """Say which plan applies, and link to the same by route."""
        if key.revoked_at:
            return self.get_empty_value_display()
        routes = list_key_routes(key)[:MAX_LINKED_ROUTES]
        links = [(build_resolve_url(key.pk, route), route) for route in routes]
        return format_html(
            "{}{}{}",
            describe_default_plan(key),
            " By route: " if links else "",
            format_html_join(", ", '<a href="{}">{}</a>', links),
        )


@admin.register(AdminKey)
class AdminKeyAdmin(KeyAdmin):
    fields = ("name", "tenant")

    def get_fields(self, request: HttpRequest, obj: AdminKey | None = None) -> tuple[str, ...]:
        return (
            ("name", "tenant", "prefix", "created_at", "revoked_at") if obj else ("name", "tenant")
        )
