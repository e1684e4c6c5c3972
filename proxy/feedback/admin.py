"""Admin pages of answers that were said to be wrong:
who said it, what was evicted, who else got it, and taking it back."""

from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from plans.admin.tenant_scope import Tenanted
from proxy import bridge
from proxy.feedback.service import NotCached, mark_wrong, others_served, undo
from proxy.models import WrongAnswer
from stats.admin import ReadOnly, RequestEventAdmin
from stats.models.requests import RequestEvent

ROLES: Final = {
    "origin": "the answer was made for",
    "follower": "shared its call",
    "exact": "exact hit",
    "semantic": "semantic hit",
}
AWAY = "The caches cannot be reached from here: nothing was changed. Try again soon."


@admin.register(WrongAnswer)
class WrongAnswerAdmin(Tenanted, ReadOnly):
    """The texts of questions and answers are on no page."""

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
        rows: QuerySet[WrongAnswer] = self.rows_of(WrongAnswer.objects.all(), request)
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
        served = others_served(said)
        total = sum(served.roles.values())
        if not total:
            return "Nobody"
        parts = ", ".join(f"{number} {ROLES[role]}" for role, number in served.roles.items())
        listed = format_html_join(
            "", "<div>{}</div>", ((_recipient(each, served.role(each)),) for each in served.rows)
        )
        more = f" The newest {len(served.rows)}:" if total > len(served.rows) else ""
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
                restored += undo(said, by=request.user.get_username())
            except (bridge.Elsewhere, TimeoutError):
                self.message_user(request, AWAY, messages.ERROR)
                return
            self.log_change(request, said, "Taken back.")
        self.message_user(request, f"Taken back. {restored} stored answers are served again.")


def _recipient(row: RequestEvent, role: str) -> SafeString:
    page = reverse("dashboard-request", args=[row.event_id])
    return format_html(
        '{} {} ({}) <a href="{}"><code>{}</code></a>',
        f"{row.at:%Y-%m-%d %H:%M:%S}",
        row.key,
        ROLES[role],
        page,
        row.pk,
    )


admin.site.unregister(RequestEvent)


@admin.register(RequestEvent)
class MarkableRequestEventAdmin(RequestEventAdmin):
    """The list of requests, from which a cached answer can be marked as wrong."""

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
                said = mark_wrong(event, said_by=request.user.get_username())
            except NotCached:
                continue
            except (bridge.Elsewhere, TimeoutError):
                self.message_user(request, AWAY, messages.ERROR)
                return
            self.log_change(request, said, "Marked as wrong.")
            marked += 1
        left = queryset.count() - marked
        self.message_user(
            request,
            f"{marked} marked as wrong."
            + (f" {left} were answered by the provider." if left else ""),
        )
