"""Admin pages of answers reported as wrong: who reported, what was evicted, who else got it."""

from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from plans.admin.tenant_scope import TenantScopedAdmin
from proxy import bridge
from proxy.feedback.service import (
    NotCached,
    find_other_recipients,
    report_wrong_answer,
    withdraw_report,
)
from proxy.models import WrongAnswer
from stats.admin import ReadOnlyAdmin, RequestEventAdmin
from stats.models.requests import RequestEvent

ROLE_LABELS: Final = {
    "origin": "the answer was made for",
    "follower": "shared its call",
    "exact": "exact hit",
    "semantic": "semantic hit",
}
CACHES_UNREACHABLE_MESSAGE = (
    "The caches cannot be reached from here: nothing was changed. Try again soon."
)


@admin.register(WrongAnswer)
class WrongAnswerAdmin(TenantScopedAdmin, ReadOnlyAdmin):
    """Reports of wrong answers, which can be withdrawn; no question or answer text is shown."""

    list_display = (
        "at",
        "tenant",
        "plan",
        "said_by",
        "similarity",
        "score",
        "entries",
        "threshold",
        "until",
        "stands",
    )
    list_filter = ("tenant", "plan", ("at", admin.DateFieldListFilter))
    search_fields = ("=event_id", "=entry_id")
    fields = (
        *(
            "event_id",
            "at",
            "tenant",
            "plan",
            "said_by",
            "entry_id",
            "answered_at",
            "similarity",
            "score",
        ),
        *(
            "radius",
            "threshold",
            "until",
            "evicted_entries",
            "also_served",
            "undone_at",
            "undone_by",
        ),
    )
    actions = ("take_back",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[WrongAnswer]:
        rows: QuerySet[WrongAnswer] = self.filter_tenant_rows(WrongAnswer.objects.all(), request)
        return rows.annotate(number=Count("evicted__entry_id", distinct=True)).defer("embedding")

    def has_take_back_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("proxy.change_wronganswer"))

    @admin.display(description="Evicted", ordering="number")
    def entries(self, said: Any) -> int:
        return int(said.number)

    @admin.display(boolean=True)
    def stands(self, said: WrongAnswer) -> bool:
        return said.undone_at is None

    @admin.display(description="Evicted")
    def evicted_entries(self, said: WrongAnswer) -> str:
        rows = said.evicted.order_by("-similarity", "entry_id", "tier").values_list(
            "entry_id", "tier", "similarity"
        )
        return format_html_join(
            "",
            "<div><code>{}</code> {} ({})</div>",
            ((entry, tier, f"{cosine:.3f}") for entry, tier, cosine in rows),
        )

    @admin.display(description="Who else got it")
    def also_served(self, said: WrongAnswer) -> str:
        served = find_other_recipients(said)
        total = sum(served.counts_by_role.values())
        if not total:
            return "Nobody"
        parts = ", ".join(
            f"{number} {ROLE_LABELS[role]}" for role, number in served.counts_by_role.items()
        )
        listed = format_html_join(
            "",
            "<div>{}</div>",
            ((_format_recipient(each, served.get_role(each)),) for each in served.newest_events),
        )
        more = (
            f" The newest {len(served.newest_events)}:" if total > len(served.newest_events) else ""
        )
        return format_html(
            "<div>{} request{}: {}.{}</div>{}",
            total,
            "" if total == 1 else "s",
            parts,
            more,
            listed,
        )

    @admin.action(
        description="Take it back: store what was evicted again", permissions=["take_back"]
    )
    def take_back(self, request: HttpRequest, queryset: QuerySet[WrongAnswer]) -> None:
        restored = 0
        for said in queryset:
            try:
                restored += withdraw_report(said, by=request.user.get_username())
            except (bridge.GatewayNotRunning, TimeoutError):
                self.message_user(request, CACHES_UNREACHABLE_MESSAGE, messages.ERROR)
                return
            self.log_change(request, said, "Taken back.")
        self.message_user(request, f"Taken back. {restored} stored answers are served again.")


def _format_recipient(row: RequestEvent, role: str) -> SafeString:
    page = reverse("dashboard-request", args=[row.event_id])
    return format_html(
        '{} {} ({}) <a href="{}"><code>{}</code></a>',
        f"{row.at:%Y-%m-%d %H:%M:%S}",
        row.key,
        ROLE_LABELS[role],
        page,
        row.pk,
    )


admin.site.unregister(RequestEvent)


@admin.register(RequestEvent)
class MarkableRequestEventAdmin(RequestEventAdmin):
    """The list of requests, in which a cached answer can be marked as wrong."""

    list_filter = (*RequestEventAdmin.list_filter, "wrong")  # type: ignore[assignment]  # one more than in the base
    actions = ("mark_wrong",)

    def has_mark_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("proxy.add_wronganswer"))

    @admin.action(
        description="Mark the cached answer as wrong: evict it and what is near",
        permissions=["mark"],
    )
    def mark_wrong(self, request: HttpRequest, queryset: QuerySet[RequestEvent]) -> None:
        marked = 0
        for event in queryset:
            try:
                said = report_wrong_answer(event, said_by=request.user.get_username())
            except NotCached:
                continue
            except (bridge.GatewayNotRunning, TimeoutError):
                self.message_user(request, CACHES_UNREACHABLE_MESSAGE, messages.ERROR)
                return
            self.log_change(request, said, "Marked as wrong.")
            marked += 1
        left = queryset.count() - marked
        self.message_user(
            request,
            f"{marked} marked as wrong."
            + (f" {left} were answered by the provider." if left else ""),
        )
