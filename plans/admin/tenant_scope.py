"""Admin pages that show a tenant's users the rows of their tenant only."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from plans.access import get_user_tenant
from plans.models import Tenant


class TenantScopedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """ModelAdmin that limits a tenant's user to the rows of their tenant."""

    # Names a row's tenant; "" if everybody may read all rows.
    tenant_column: str = "tenant_id"
    # Further pages of the model that name no row, such as an export, which tenants' users may open.
    tenant_pages: tuple[str, ...] = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return self.filter_tenant_rows(super().get_queryset(request), request)

    def filter_tenant_rows(self, rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
        """Return the rows of the user's tenant; all rows for the platform's users."""
        tenant = get_user_tenant(request.user)
        return (
            rows
            if tenant is None or not self.tenant_column
            else rows.filter(**{self.tenant_column: self._get_tenant_value(tenant)})
        )

    def _get_tenant_value(self, tenant: Tenant) -> object:
        """Return the tenant column's value for this tenant: its id, or its slug."""
        # A column `tenant` holds the slug, for rows that outlive the tenant.
        return tenant.slug if self.tenant_column == "tenant" else tenant.pk

    def _may_access(self, request: HttpRequest, obj: Model | None, *, read: bool = False) -> bool:
        try:
            tenant = get_user_tenant(request.user)
        except PermissionDenied:
            return False
        if tenant is None:
            return True
        if not self.tenant_column:
            return read
        return obj is None or getattr(obj, self.tenant_column) == self._get_tenant_value(tenant)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) and self._may_access(
            request, obj, read=True
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and self._may_access(request, None)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._may_access(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and self._may_access(request, obj)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer a tenant's user their own tenant only, and related rows of it."""
        tenant, model = get_user_tenant(request.user), db_field.remote_field.model
        pages = self.admin_site._registry.get(model)
        if tenant is not None and model is Tenant:
            kwargs |= {
                "queryset": Tenant.objects.filter(pk=tenant.pk),
                # An empty tenant would mean the platform.
                "required": True,
                "empty_label": None,
                "initial": tenant.pk,
            }
        elif tenant is not None and isinstance(pages, TenantScopedAdmin):
            kwargs["queryset"] = pages.get_queryset(request)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        """Reject a row of another tenant, whatever the form accepted. Raises PermissionDenied."""
        made = super().save_form(request, form, change)
        if not self._may_access(request, made):
            raise PermissionDenied
        return made

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Drop the filter by tenant for a tenant's user: it would list the other tenants."""
        filters = super().get_list_filter(request)
        if get_user_tenant(request.user) is None:
            return filters
        return [
            each
            for each in filters
            if not (each == "tenant" or getattr(each, "parameter_name", "") == "tenant")
        ]
