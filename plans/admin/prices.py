"""Admin pages of model prices."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from plans import services
from plans.admin.history import HistoryMixin
from plans.admin.import_export import ImportExportMixin
from plans.admin.managed_objects import ManagedObjectMixin, refuse_locked_rows
from plans.admin.tenant_scope import TenantScopedAdmin
from plans.forms.edit_conflicts import EditConflictMixin
from plans.forms.model_forms import ModelPriceForm
from plans.import_export.resources import PriceResource
from plans.models import ModelPrice


@admin.register(ModelPrice)
class ModelPriceAdmin(
    ManagedObjectMixin, EditConflictMixin, HistoryMixin, ImportExportMixin, TenantScopedAdmin
):
    tenant_column = ""
    form = ModelPriceForm
    resource = PriceResource()
    tenant_pages = ("export",)
    list_display = (
        "model",
        "provider",
        "input",
        "output",
        "cached_input",
        "cache_write",
        "edited",
        "updated_at",
    )
    list_filter = ("edited", "provider")
    search_fields = ("model", "provider")
    search_help_text = "By model or provider"
    empty_value_display = "–"
    readonly_fields = ("edited", "updated_at")
    actions = ("follow_published",)

    def list_saved_columns(self, form: Any) -> set[str]:
        if form.changed_data:
            form.instance.edited = True
        return super().list_saved_columns(form) | {"edited"}

    @admin.action(description="Go back to the published prices", permissions=["change"])
    def follow_published(self, request: HttpRequest, queryset: QuerySet[ModelPrice]) -> None:
        if refuse_locked_rows(self, request, queryset):
            return
        count = services.follow_published_prices(queryset)
        self.message_user(
            request, f"{count} prices follow genai-prices again, where it lists them."
        )
