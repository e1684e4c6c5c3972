"""Admin pages of upstreams and routes."""

from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from plans import selectors
from plans.admin.guarded_deletion import GuardedDeletionMixin
from plans.admin.history import HistoryMixin
from plans.admin.managed_objects import ManagedObjectMixin
from plans.forms.edit_conflicts import EditConflictMixin
from plans.snapshot import WILDCARD
from proxy.models import Route, Upstream
from proxy.upstreams import services
from proxy.upstreams.connection import ConnectionState, check_upstream
from proxy.upstreams.forms import UpstreamForm

MESSAGE_LEVELS: Final[dict[ConnectionState, int]] = {
    "ok": messages.SUCCESS,
    "unsure": messages.WARNING,
    "failed": messages.ERROR,
}


# Form fields that are no columns: what they say is not shown where it may only be read.
SECRET_INPUTS: Final = (
    "provider_key",
    "remove_key",
    "without_key",
    "headers",
    "query",
    "proxy_url",
    "remove_proxy",
)


@admin.register(Upstream)
class UpstreamAdmin(
    ManagedObjectMixin,
    GuardedDeletionMixin,
    EditConflictMixin,
    HistoryMixin,
    admin.ModelAdmin,  # type: ignore[type-arg]  # generic in the stubs only
):
    form = UpstreamForm
    list_display = ("name", "provider", "base_url", "allow_private", "has_key")
    search_fields = ("name", "base_url")
    search_help_text = "By name or address"
    readonly_fields = ("has_key",)
    fieldsets = (
        (None, {"fields": ("name", "provider", "base_url", "allow_private")}),
        (
            "Provider key",
            {"fields": ("has_key", "provider_key", "remove_key", "without_key", "key_header")},
        ),
        ("Behaviour", {"fields": ("connect_timeout", "read_timeout", "stream_usage")}),
        (
            "Headers and parameters",
            {"classes": ("collapse",), "fields": ("headers", "query", "forwarded_headers")},
        ),
        (
            "Proxy and certificates",
            {
                "classes": ("collapse",),
                "fields": (
                    "proxy_url",
                    "remove_proxy",
                    "ca_file",
                    "client_certificate_file",
                    "client_key_file",
                ),
            },
        ),
    )

    class Media:
        js = ("upstream-form.js",)

    def get_fieldsets(self, request: HttpRequest, obj: Upstream | None = None) -> Any:
        """Leave out what only changes secrets, where an upstream may only be read."""
        shown = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return shown
        return [
            (title, options | {"fields": [n for n in options["fields"] if n not in SECRET_INPUTS]})
            for title, options in shown
        ]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["may_test"] = self._may_test(request)
        return super().render_change_form(request, context, *args, **kwargs)

    def _may_test(self, request: HttpRequest) -> bool:
        # Also an upstream that a file locks: a test changes nothing.
        return bool(request.user.has_perm("proxy.change_upstream"))

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(require_POST(self.test_connection))
        own = path("<int:upstream>/test/", page, name="proxy_upstream_test")
        return [own, *super().get_urls()]

    def test_connection(self, request: HttpRequest, upstream: int) -> HttpResponse:
        """Ask the saved upstream for its models, and tell on its page what came of it."""
        row = get_object_or_404(Upstream, pk=upstream)
        if not self._may_test(request):
            raise PermissionDenied
        report = check_upstream(row)
        self.message_user(request, report.message, MESSAGE_LEVELS[report.state])
        return redirect("admin:proxy_upstream_change", row.pk)

    @admin.display(boolean=True, description="Has a key")
    def has_key(self, upstream: Upstream) -> bool:
        return bool(upstream.encrypted_key)

    def save_model(self, request: HttpRequest, obj: Upstream, form: Any, change: bool) -> None:
        services.save_upstream(
            obj,
            **form.list_secret_changes(),
            read_version=form.read_version,
            columns=self.list_saved_columns(form),
        )
        for note in form.notes:
            self.message_user(request, note, messages.WARNING)


@admin.register(Route)
class RouteAdmin(ManagedObjectMixin, EditConflictMixin, HistoryMixin, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
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
        if route.name.endswith(WILDCARD):
            return "That of the model that a request asks for, where it has one."
        price = selectors.load_price(route.upstream.provider, route.model)
        if price is None:
            return (
                "Unpriced: what it saves is counted in tokens only. Add a price for this "
                "provider and model."
            )
        return f"${price.input:f} in, ${price.output:f} out, per million tokens"
