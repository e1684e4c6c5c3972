"""Read-only admin lists: requests, calls of unknown outcome, lines that could not be stored."""

from collections.abc import Iterable
from typing import Any, get_args

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from plans.access import list_user_plans
from plans.admin.tenant_scope import TenantScopedAdmin
from plans.untrusted_text.whole_numbers import parse_positive
from stats.analysis.error_rate import Verdict
from stats.dashboard.request_detail import BILL_DESCRIPTIONS
from stats.events import JUDGE_REASON, BillSource, NotStoredReason, Outcome, Tier
from stats.formatting import usd
from stats.ledger import backlog
from stats.models.requests import DeadLetter, RequestEvent, UpstreamAttempt
from stats.reports.totals import IS_FINISHED


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # generic in the stubs only
    """Paginates a table of millions of rows; old ones are found by filters, not by paging."""

    MAX_COUNTED_ROWS = 10_000

    @cached_property
    def count(self) -> int:
        """The number of rows, at most MAX_COUNTED_ROWS."""
        return int(self.object_list[: self.MAX_COUNTED_ROWS].count())  # type: ignore[attr-defined]  # a QuerySet


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """A list whose rows can be opened but not changed."""

    show_full_result_count = False  # that would count millions of rows for a caption
    paginator = CappedPaginator
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class PlanFilter(admin.SimpleListFilter):
    """Filters events by plan."""

    title = parameter_name = "plan"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [
            # From the plans' own table: selecting the distinct plans of the events would read them
            # all.
            (str(plan.pk), f"{plan.name} ({plan.tenant or 'platform'})")
            for plan in list_user_plans(request.user)
        ]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[RequestEvent]
    ) -> QuerySet[RequestEvent]:
        plan_id = parse_positive(self.value() or "")
        return queryset.filter(plan_id=plan_id) if plan_id else queryset


class TierFilter(admin.SimpleListFilter):
    title = parameter_name = "tier"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(tier, tier) for tier in get_args(Tier)]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[RequestEvent]
    ) -> QuerySet[RequestEvent]:
        return queryset.filter(tier=self.value()) if self.value() else queryset


class SampleFilter(admin.SimpleListFilter):
    title, parameter_name = "sample", "sample"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [
            *((verdict, verdict) for verdict in get_args(Verdict)),
            (JUDGE_REASON, "the judge's calls"),
        ]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[RequestEvent]
    ) -> QuerySet[RequestEvent]:
        if self.value() == JUDGE_REASON:
            return queryset.filter(tier="sample", reason=JUDGE_REASON)
        return (
            queryset.filter(sample=self.value()).exclude(reason=JUDGE_REASON)
            if self.value()
            else queryset
        )


class OutcomeFilter(admin.SimpleListFilter):
    title = parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [
            ("uncounted", "with a plan, but in no total"),
            *((outcome, outcome.replace("_", " ")) for outcome in get_args(Outcome)),
        ]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[RequestEvent]
    ) -> QuerySet[RequestEvent]:
        if self.value() == "uncounted":
            return queryset.filter(plan_id__isnull=False).exclude(IS_FINISHED)
        return queryset.filter(outcome=self.value()) if self.value() else queryset


class NotStoredFilter(admin.SimpleListFilter):
    title, parameter_name = "why not kept", "not_kept"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(reason, reason) for reason in get_args(NotStoredReason) if reason]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[RequestEvent]
    ) -> QuerySet[RequestEvent]:
        return queryset.filter(not_kept=self.value()) if self.value() else queryset


class BillSourceFilter(admin.SimpleListFilter):
    title, parameter_name = "where the bill comes from", "bill"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(source, BILL_DESCRIPTIONS[source]) for source in get_args(BillSource) if source]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[RequestEvent]
    ) -> QuerySet[RequestEvent]:
        return queryset.filter(bill=self.value()) if self.value() else queryset


@admin.register(RequestEvent)
class RequestEventAdmin(TenantScopedAdmin, ReadOnlyAdmin):
    list_display = (
        "at",
        "tenant",
        "plan",
        "route",
        "tier",
        "sample",
        "outcome",
        "status",
        "asked_tokens",
        "prompt_tokens",
        "tokens_saved",
        "billed_cost_text",
        "saved_cost_text",
    )
    list_filter = (
        PlanFilter,
        TierFilter,
        SampleFilter,
        OutcomeFilter,
        NotStoredFilter,
        BillSourceFilter,
        ("at", admin.DateFieldListFilter),
        "stream",
        "estimated",
        "stale",
    )
    search_fields = ("=event_id",)
    search_help_text = "The x-request-id of a reply."
    ordering = ("-at",)

    @admin.display(description="Billed", ordering="billed_cost")
    def billed_cost_text(self, row: RequestEvent) -> str:
        return "unknown" if row.bill == "unknown" else usd(row.billed_cost)

    @admin.display(description="Saved")
    def saved_cost_text(self, row: RequestEvent) -> str:
        return usd(
            None
            if row.would_cost is None or row.billed_cost is None
            else row.would_cost - row.billed_cost - row.spent_cost
        )


@admin.register(UpstreamAttempt)
class UpstreamAttemptAdmin(TenantScopedAdmin, ReadOnlyAdmin):
    """Calls of unknown outcome; those in flight become unknown only if their worker dies."""

    list_display = ("at", "event_id", "upstream", "model", "plan_id", "tenant_id")
    ordering = ("-at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[UpstreamAttempt]:
        return self.filter_tenant_rows(backlog.find_unknown_outcomes(), request)


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    list_display = ("at", "reason", "start")
    fields = ("at", "reason", "text")
    readonly_fields = fields
    ordering = ("-at",)

    @admin.display(description="Line")
    def text(self, row: DeadLetter) -> str:
        return bytes(row.line).decode("utf-8", "backslashreplace")

    @admin.display(description="Line")
    def start(self, row: DeadLetter) -> str:
        return self.text(row)[:80]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super(ReadOnlyAdmin, self).has_delete_permission(request, obj)
