"""Admin pages of tenants, keys, plans and prices. Versions and the revision are raised by the database, so plain saves do."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html

from plans import people_admin, records, services  # noqa: F401 - the first registers the users' pages
from plans.drafts import DraftMixin, clone
from plans.exchange import Plans, Prices
from plans.exchange_pages import ExchangeMixin
from plans.forget_action import forget_answers
from plans.forms import ModelPriceForm, PlanForm, VirtualKeyForm
from plans.history_pages import HistoryMixin
from plans.models import AdminKey, ModelPrice, Plan, Tenant, TenantUsage, VirtualKey
from plans.reasons import ReasonMixin
from plans.sections import SECTIONS, Section
from plans.snippet import for_key, for_plan
from plans.tenanted import Tenanted

AnyKey = VirtualKey | AdminKey

admin.site.site_header = admin.site.site_title = "Tokenthrift"
admin.site.index_title = "What it costs, and what it saves"


@admin.register(Tenant)
class TenantAdmin(Tenanted):
    owned_by = "id"
    list_display = ("slug", "name", "cached", "created_at")
    list_select_related = ("usage",)
    search_fields = ("slug", "name")
    readonly_fields = ("cached",)
    fieldsets = (
        (None, {"fields": ("slug", "name")}),
        (
            "Cached answers",
            {
                "fields": ("cached", "max_entries", "max_bytes"),
                "description": "Beyond either limit the answers used longest ago go, within some seconds; other tenants' stay.",
            },
        ),
    )

    @admin.display(description="Cached now")
    def cached(self, tenant: Tenant) -> str:
        usage: TenantUsage | None = getattr(tenant, "usage", None)  # a missing row raises what getattr takes for a missing attribute
        return f"{usage.entries:,} ({filesizeformat(usage.bytes)})" if usage else "-"


def _fieldset(section: Section) -> tuple[str, Any]:
    classes = ("collapse",) if section.folded else ()
    return section.title, {"fields": section.fields, "description": section.description, "classes": classes}


@admin.register(Plan)
class PlanAdmin(HistoryMixin, ReasonMixin, DraftMixin, ExchangeMixin, Tenanted):
    form = PlanForm
    exchange = Plans()
    tenant_pages = ("export", "import")
    list_display = ("name", "preview", "owner", "mode", "compression_engine", "cache_enabled", "backend", "version", "updated_at")
    list_filter = ("tenant", "mode", "backend")
    list_select_related = ("tenant",)
    search_fields = ("name",)
    readonly_fields = ("version", "updated_at")
    actions = (clone, forget_answers)
    fieldsets = (
        (None, {"fields": ("name", "tenant", "mode", "version", "updated_at")}),
        *map(_fieldset, SECTIONS),
        ("What does it really save?", {"fields": ("holdout",)}),
    )

    class Media:
        js = ("plan-form.js", "copy.js")

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> HttpResponse:
        if plan := context.get("original"):
            context["snippets"] = for_plan(plan, request)
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description="Owner", ordering="tenant")
    def owner(self, plan: Plan) -> str:
        return plan.tenant.slug if plan.tenant else "platform"

    @admin.display(description="On a chat")
    def preview(self, plan: Plan) -> str:
        return format_html('<a href="{}">Preview</a>', reverse("plan-preview-page", args=[plan.pk]))


class KeyAdmin(HistoryMixin, Tenanted):
    """Keys are made, shown once, revoked; the digest is on no page."""

    list_display: tuple[str, ...] = ("name", "prefix", "tenant", "created_at", "live")
    list_filter = ("tenant",)
    list_select_related = ("tenant",)
    search_fields = ("name", "prefix")
    actions = ("revoke",)

    def get_readonly_fields(self, request: HttpRequest, obj: AnyKey | None = None) -> tuple[str, ...]:
        return ("prefix", "created_at", "revoked_at", "tenant") if obj else ()

    @admin.display(boolean=True)
    def live(self, key: AnyKey) -> bool:
        return key.revoked_at is None

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[AnyKey]) -> None:
        live = list(queryset.filter(revoked_at=None))
        for key in live:
            services.revoke(key=key)
            self.log_change(request, key, "Revoked.")
        self.message_user(request, f"{len(live)} keys were revoked.")

    def save_model(self, request: HttpRequest, obj: AnyKey, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
        else:
            obj.__dict__["secret"] = services.issue(obj)  # for `response_add` alone: no session or message store ever holds it

    def response_add(self, request: HttpRequest, obj: AnyKey, post_url_continue: str | None = None) -> HttpResponse:
        """The page that shows the secret, this once, instead of a redirect that would need to keep it somewhere."""
        context = self.admin_site.each_context(request) | {
            "title": "Copy the key now",
            "opts": self.opts,
            "key": obj,
            "secret": obj.__dict__.pop("secret"),
            "snippets": for_key(obj, request) if isinstance(obj, VirtualKey) else [],
        }
        return TemplateResponse(request, "admin/key_created.html", context)


@admin.register(VirtualKey)
class VirtualKeyAdmin(KeyAdmin):
    form = VirtualKeyForm
    list_display = ("name", "prefix", "tenant", "created_at", "expires_at", "live")


@admin.register(AdminKey)
class AdminKeyAdmin(KeyAdmin):
    fields = ("name", "tenant")

    def get_fields(self, request: HttpRequest, obj: AdminKey | None = None) -> tuple[str, ...]:
        return ("name", "tenant", "prefix", "created_at", "revoked_at") if obj else ("name", "tenant")


@admin.register(ModelPrice)
class ModelPriceAdmin(HistoryMixin, ExchangeMixin, Tenanted):
    owned_by = ""
    form = ModelPriceForm
    exchange = Prices()
    tenant_pages = ("export",)
    list_display = ("model", "provider", "input", "output", "cached_input", "cache_write", "edited", "updated_at")
    list_filter = ("edited", "provider")
    search_fields = ("model", "provider")
    readonly_fields = ("edited", "updated_at")
    actions = ("follow_published",)

    def save_model(self, request: HttpRequest, obj: ModelPrice, form: Any, change: bool) -> None:
        obj.edited = True
        super().save_model(request, obj, form, change)

    @admin.action(description="Go back to the published prices", permissions=["change"])
    def follow_published(self, request: HttpRequest, queryset: QuerySet[ModelPrice]) -> None:
        prices = list(queryset)
        count = queryset.update(edited=False)
        services.seed_prices()
        for price in prices:
            records.note(price, reason=services.PUBLISHED)
        self.message_user(request, f"{count} prices follow genai-prices again, where it lists them.")
