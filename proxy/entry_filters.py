"""Filters beside the list of cached answers."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from plans.models import Tenant
from proxy.models import Entry


class TenantFilter(admin.SimpleListFilter):
    """From the tenants' own table: asking the entries for their distinct tenants would read them all."""

    title = parameter_name = "tenant"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(str(tenant.pk), tenant.slug) for tenant in Tenant.objects.all()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Entry]) -> QuerySet[Entry]:
        value = self.value()
        return queryset.filter(tenant_id=value) if value and value.isdigit() else queryset


class StoreFilter(admin.SimpleListFilter):
    title, parameter_name = "kept for", "store"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [("exact", "identical requests"), ("semantic", "meaning")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Entry]) -> QuerySet[Entry]:
        if self.value() == "exact":
            return queryset.filter(exact=True)
        return queryset.exclude(backend="") if self.value() == "semantic" else queryset
