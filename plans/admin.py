"""Admin pages of tenants, keys, plans and prices. Versions and the revision are raised by the database, so plain saves do."""

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html

from plans import capabilities, people_admin, records, services  # noqa: F401 - the first registers the users' pages
from plans.drafts import DraftMixin, clone
from plans.edit_conflicts import EditConflictMixin
from plans.exchange import Plans, Prices
from plans.exchange_pages import ExchangeMixin
from plans.forget_action import forget_answers
from plans.forms import ModelPriceForm, PlanForm, TenantForm, VirtualKeyForm
from plans.history_pages import HistoryMixin
from plans.models import AdminKey, ModelPrice, Plan, Tenant, TenantUsage, VirtualKey
from plans.reasons import ReasonMixin
from plans.revoke_action import AnyKey, revoke_keys
from plans.sections import SECTIONS, Section
from plans.snippet import for_key, for_plan
from plans.summary import summary
from plans.tenanted import Tenanted

MINUS = "\N{MINUS SIGN}"

admin.site.site_header = admin.site.site_title = "Tokenthrift"
admin.site.index_title = "What it costs, and what it saves"


@admin.register(Tenant)
class TenantAdmin(EditConflictMixin, Tenanted):
    owned_by = "id"
    form = TenantForm
    list_display = ("slug", "name", "cached", "created_at")
    list_select_related = ("usage",)
    search_fields = ("slug", "name")
    readonly_fields = ("cached",)
    fieldsets = (
        (None, {"fields": ("slug", "name", "routes")}),
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
class PlanAdmin(EditConflictMixin, HistoryMixin, ReasonMixin, DraftMixin, ExchangeMixin, Tenanted):
    form = PlanForm
    exchange = Plans()
    tenant_pages = ("export", "import")
    list_display = ("name", "owner", "mode_tag", "saved", "does", "updated_at", "links")
    list_filter = ("tenant", "mode", "backend")
    list_per_page = 50
    ordering = ("name", "tenant")
    list_select_related = ("tenant",)
    search_fields = ("name", "tenant__slug")
    search_help_text = "By name or owner"
    empty_value_display = "–"
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

    @admin.display(description="Mode", ordering="mode")
    def mode_tag(self, plan: Plan) -> str:
        return str(plan.get_mode_display()).partition(":")[0]

    @admin.display(description="What it does")
    def does(self, plan: Plan) -> str:
        return format_html('<span class="tt-does">{}</span>', summary(plan))

    @admin.display(description="Saved, 30 days")
    def saved(self, plan: Plan) -> str | None:
        amount: Decimal | None = plan.__dict__.get("saved_lately")  # by `get_changelist_instance`
        if amount is None:
            return None
        kind, sign = ("tt-lost-money", MINUS) if amount < 0 else ("tt-saved-money", "")
        return format_html('<span class="{}">{}</span>', kind, f"{sign}${abs(amount):,.2f}")

    @admin.display(description="On a chat")
    def links(self, plan: Plan) -> str:
        return format_html(
            '<a href="{}">Preview</a> · <a href="{}">Test</a>',
            reverse("plan-preview-page", args=[plan.pk]),
            reverse("plan-trial-page", args=[plan.pk]),
        )

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """With what the plans of the page saved, by one query for all of them."""
        shown = super().get_changelist_instance(request)
        found = capabilities.current().saved_lately([plan.pk for plan in shown.result_list])
        for plan in shown.result_list:
            plan.__dict__["saved_lately"] = found.get(plan.pk)
        return shown


class KeyAdmin(EditConflictMixin, HistoryMixin, Tenanted):
    """Keys are made, shown once, revoked; the digest is on no page."""

    list_display: tuple[str, ...] = ("name", "prefix", "tenant", "created_at", "live")
    list_filter = ("tenant",)
    list_select_related = ("tenant",)
    search_fields = ("name", "prefix", "tenant__slug")
    search_help_text = "By name, owner, or the first characters of the key"
    empty_value_display = "–"
    actions = (revoke_keys,)

    def get_readonly_fields(self, request: HttpRequest, obj: AnyKey | None = None) -> tuple[str, ...]:
        return ("prefix", "created_at", "revoked_at", "tenant") if obj else ()

    @admin.display(boolean=True)
    def live(self, key: AnyKey) -> bool:
        return key.revoked_at is None

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
class ModelPriceAdmin(EditConflictMixin, HistoryMixin, ExchangeMixin, Tenanted):
    owned_by = ""
    form = ModelPriceForm
    exchange = Prices()
    tenant_pages = ("export",)
    list_display = ("model", "provider", "input", "output", "cached_input", "cache_write", "edited", "updated_at")
    list_filter = ("edited", "provider")
    search_fields = ("model", "provider")
    search_help_text = "By model or provider"
    empty_value_display = "–"
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
