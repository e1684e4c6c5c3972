"""Admin pages of virtual keys and admin keys."""

from collections.abc import Collection
from typing import Any, ClassVar, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join

from plans import capabilities, services
from plans.admin.default_plans import (
    MAX_LINKED_ROUTES,
    build_resolve_url,
    describe_default_plan,
    list_key_routes,
)
from plans.admin.history import HistoryMixin
from plans.admin.managed_objects import ManagedObjectMixin
from plans.admin.pause_actions import pause_keys, resume_keys
from plans.admin.revoke_action import AnyKey, revoke_keys
from plans.admin.rotate_action import rotate_key
from plans.admin.tenant_scope import TenantScopedAdmin
from plans.client_snippets import build_key_snippets
from plans.forms.edit_conflicts import EditConflictMixin
from plans.forms.model_forms import VirtualKeyForm
from plans.models import AdminKey, VirtualKey

# What a former secret may do, its successor says.
SUCCESSOR_FIELDS: Final = ("routes", "default_plan", "paused")


class KeyAdmin(EditConflictMixin, HistoryMixin, TenantScopedAdmin):
    """Base of both key pages: keys are created, shown once, revoked; no page shows the digest."""

    list_display: tuple[str, ...] = ("name", "prefix", "tenant", "created_at", "live")
    list_filter: ClassVar[tuple[str, ...]] = ("tenant",)
    list_select_related: ClassVar[tuple[str, ...]] = ("tenant",)
    search_fields = ("name", "prefix", "tenant__slug")
    search_help_text = "By name, owner, or the first characters of the key"
    empty_value_display = "–"
    actions: tuple[Any, ...] = (revoke_keys,)

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


def _load_uses(keys: Collection[VirtualKey]) -> None:
    """Keep with each key how it was used of late."""
    found = capabilities.get_capabilities().count_key_uses([key.pk for key in keys])
    for key in keys:
        key.__dict__["use"] = found.get(key.pk)


@admin.register(VirtualKey)
class VirtualKeyAdmin(ManagedObjectMixin, KeyAdmin):
    form = VirtualKeyForm
    list_display = (
        "name",
        "prefix",
        "tenant",
        "short_state",
        "last_used",
        "expires_at",
        "created_at",
    )
    list_filter = ("tenant", "paused")
    list_select_related = ("tenant", "successor")
    actions = (pause_keys, resume_keys, rotate_key, revoke_keys)

    def get_readonly_fields(
        self, request: HttpRequest, obj: AnyKey | None = None
    ) -> tuple[str, ...]:
        shown = super().get_readonly_fields(request, obj)
        if not isinstance(obj, VirtualKey):
            return shown
        others = ("name", *SUCCESSOR_FIELDS) if obj.successor_id else ()
        return (*shown, *others, "state_text", "last_used", "plan_without_name")

    def get_fields(self, request: HttpRequest, obj: AnyKey | None = None) -> Any:
        """Return the form's fields, the present state first."""
        names = list(super().get_fields(request, obj))
        if isinstance(obj, VirtualKey) and obj.successor_id:
            names = [name for name in names if name not in SUCCESSOR_FIELDS]
        first = [name for name in ("name", "tenant", "state_text", "last_used") if name in names]
        return [*first, *(name for name in names if name not in first)]

    def get_queryset(self, request: HttpRequest) -> QuerySet[VirtualKey]:
        return super().get_queryset(request).select_related("successor")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Add when the page's keys were used last, with one query for all of them."""
        shown = super().get_changelist_instance(request)
        _load_uses(shown.result_list)
        return shown

    @admin.display(description="State")
    def short_state(self, key: VirtualKey) -> str:
        """Say what requests with the key meet now, for lists: they have the expiry."""
        if key.successor is None or key.state not in {"replaced", "paused"}:
            return key.state
        paused = ", paused" if key.state == "paused" else ""
        return f"replaced by {key.successor.prefix}…{paused}"

    @admin.display(description="State")
    def state_text(self, key: VirtualKey) -> str:
        """Say the same and, of a former secret, until when it works."""
        works = key.expires_at and key.state == "replaced"
        until = f", works until {key.expires_at:%Y-%m-%d %H:%M} UTC" if works else ""
        return f"{self.short_state(key)}{until}"

    @admin.display(description="Last used")
    def last_used(self, key: VirtualKey) -> str:
        if "use" not in key.__dict__:
            _load_uses([key])
        use = key.__dict__["use"]
        if use is None or use.last_at is None:
            return "not within 90 days"
        return f"{use.last_at:%Y-%m-%d %H:%M} UTC"

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
