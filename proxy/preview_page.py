"""/admin/plans/plan/{id}/preview/: what a plan would do to a chat, side by side. Nothing of it is stored."""

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods

from plans.models import Plan
from proxy.core.errors import ToolUnavailable
from proxy.preview_cards import PLACES, asked_cards, rows, sent_cards
from proxy.preview_form import EXAMPLES, PreviewForm, Wanted
from proxy.previews import Priced, priced_preview


@require_http_methods(["GET", "HEAD", "POST"])
def preview_page(request: HttpRequest, plan: int) -> HttpResponseBase:
    """The empty form, or what was asked with its answer. For staff who may see plans."""
    row = get_object_or_404(Plan.objects.select_related("tenant"), pk=plan)
    if not any(request.user.has_perm(f"plans.{action}_plan") for action in ("view", "change")):
        raise PermissionDenied
    form, example = _form(request, row)
    page: dict[str, Any] = {
        "title": f"Preview of {row.name}",
        "opts": Plan._meta,
        "plan": row,
        "form": form,
        "examples": EXAMPLES,
        "example": example,
    }
    status = 200
    if form.is_valid() and form.wanted:
        page |= _answer(form.wanted)
    elif form.is_bound:
        status = 400
    return render(request, "admin/preview.html", admin.site.each_context(request) | page, status=status)


def _form(request: HttpRequest, plan: Plan) -> tuple[PreviewForm, str]:
    """The form as sent, filled with an example where one was asked for, and that example's name."""
    if request.method != "POST":
        return PreviewForm(plan), ""
    data, name = request.POST.copy(), request.POST.get("example", "")
    if example := EXAMPLES.get(name):
        data["chat_text"], data["max_input_tokens"] = example.text, str(example.budget)
    return PreviewForm(plan, data), name if example else ""


def _answer(wanted: Wanted) -> dict[str, Any]:
    messages, settings, model = wanted.messages, wanted.settings, wanted.model
    try:
        found = priced_preview(messages, settings, model)
    except ToolUnavailable as error:
        return {"unavailable": error.reason}
    return {
        "found": found,
        "cut": found.preview.cut,
        "model": model,
        "settings": settings,
        "figures": _figures(found),
        "bar": f"{100 * found.preview.cut.after / found.preview.cut.before:.1f}",
        "asked": asked_cards(messages, found.preview),
        "sent": sent_cards(messages, found.preview),
        "rows": rows(found.preview),
        "places": [(place.replace(" ", "-"), *PLACES[place]) for place in PLACES if any(s.place == place for s in found.preview.shown)],
    }


def _figures(found: Priced) -> dict[str, Any]:
    """Tokens, and dollars for a thousand turns, as asked, as sent, and the difference; dollars None without a price."""
    cut, bills = found.preview.cut, (found.asked, found.sent)
    pairs: dict[str, list[Any]] = {
        "tokens": [cut.before, cut.after],
        "now": [_thousand(bill.now) if bill else None for bill in bills],
        "next": [_thousand(bill.next_turn) if bill else None for bill in bills],
    }
    return {name: (a, b, None if a is None or b is None else a - b) for name, (a, b) in pairs.items()}


def _thousand(dollars: Decimal | None) -> Decimal | None:
    return None if dollars is None else dollars * 1000
