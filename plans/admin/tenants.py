"""Admin pages of tenants."""

from django.contrib import admin
from django.template.defaultfilters import filesizeformat

from plans.admin.guarded_deletion import GuardedDeletionMixin
from plans.admin.history import HistoryMixin
from plans.admin.managed_objects import ManagedObjectMixin
from plans.admin.tenant_scope import TenantScopedAdmin
from plans.forms.edit_conflicts import EditConflictMixin
from plans.forms.model_forms import TenantForm
from plans.models import Tenant, TenantUsage


@admin.register(Tenant)
class TenantAdmin(
    ManagedObjectMixin, GuardedDeletionMixin, EditConflictMixin, HistoryMixin, TenantScopedAdmin
):
    tenant_column = "id"
    form = TenantForm
    list_display = ("slug", "name", "cached_usage", "created_at")
    list_select_related = ("usage",)
    search_fields = ("slug", "name")
    readonly_fields = ("cached_usage",)
    fieldsets = (
        (None, {"fields": ("slug", "name", "routes", "default_plan")}),
        (
            "Cached answers",
            {
                "fields": ("cached_usage", "max_entries", "max_bytes"),
                "description": (
                    "Beyond either limit the answers used longest ago go, within some seconds; "
                    "other tenants' stay."
                ),
            },
        ),
    )

    @admin.display(description="Cached now")
    def cached_usage(self, tenant: Tenant) -> str:
        # For a missing row Django raises a kind of AttributeError: getattr returns the default.
        usage: TenantUsage | None = getattr(tenant, "usage", None)
        return f"{usage.entries:,} ({filesizeformat(usage.bytes)})" if usage else "-"
