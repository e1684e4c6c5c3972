"""Admin pages of upstreams and routes."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from plans import selectors
from plans.admin.history import HistoryMixin
from plans.forms.edit_conflicts import EditConflictMixin
from proxy.models import Route, Upstream
from proxy.upstreams import services
from proxy.upstreams.forms import UpstreamForm


@admin.register(Upstream)
class UpstreamAdmin(EditConflictMixin, HistoryMixin, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    form = UpstreamForm
    list_display = ("name", "provider", "base_url", "allow_private", "has_key")
    search_fields = ("name", "base_url")
    search_help_text = "By name or address"
    readonly_fields = ("has_key",)
    fieldsets = (
        (None, {"fields": ("name", "provider", "base_url", "allow_private")}),
        ("Provider key", {"fields": ("has_key", "provider_key", "remove_key", "without_key")}),
        ("Behaviour", {"fields": ("connect_timeout", "read_timeout", "stream_usage")}),
    )

    @admin.display(boolean=True, description="Has a key")
    def has_key(self, upstream: Upstream) -> bool:
        return bool(upstream.encrypted_key)

    def save_model(self, request: HttpRequest, obj: Upstream, form: Any, change: bool) -> None:
        services.save_upstream(
            obj,
            provider_key=form.new_key(),
            read_version=form.read_version,
            columns=self.list_saved_columns(form),
        )


@admin.register(Route)
class RouteAdmin(EditConflictMixin, HistoryMixin, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    list_display = ("name", "upstream", "model", "version", "enabled")
    list_filter = ("upstream", "enabled")
    list_select_related = ("upstream",)
    search_fields = ("name", "model")
    search_help_text = "By name or model"
    fields = (
        "name",
        "upstream",
        "model",
        "default_plan",
        "plan_without_name",
        "enabled",
        "version",
        "price",
    )
    readonly_fields = ("plan_without_name", "version", "price")

    @admin.display(description="Where no plan is named")
    def plan_without_name(self, route: Route) -> str:
        """Say which plan applies, and to how many keys."""
        if route.default_plan is None:
            return "The default of the key, else of its tenant, else no plan."
        keys = selectors.list_live_keys()
        others = keys.filter(default_plan=None, tenant__default_plan=None)
        return (
            f"{route.default_plan}, for {others.count()} of {keys.count()} live keys: those that "
            "have no default plan, nor has their tenant."
        )

    @admin.display(description="Price")
    def price(self, route: Route) -> str:
        if not route.upstream_id:
            return "-"
        price = selectors.load_price(route.upstream.provider, route.model)
        if price is None:
            return (
                "Unpriced: what it saves is counted in tokens only. Add a price for this "
                "provider and model."
            )
        return f"${price.input:f} in, ${price.output:f} out, per million tokens"
