"""/admin/plans/plan/{id}/preview/: what a plan would do to a chat, side by side. Stores nothing."""

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods

from plans.access import list_user_plans
from plans.models import Plan
from proxy.core.errors import ToolUnavailable
from proxy.preview.cards import PLACE_LABELS, build_asked_cards, build_score_rows, build_sent_cards
from proxy.preview.form import EXAMPLES, PreviewForm, PreviewInput, build_draft_plan
from proxy.preview.service import PricedPreview, build_priced_preview
from stats.formatting import MINUS_SIGN

# The most sentences that a page can show; a chat of 100,000 tokens has some 7,000.
MAX_SHOWN_PIECES = 10_000


@require_http_methods(["GET", "HEAD", "POST"])
def preview_page(request: HttpRequest, plan: int) -> HttpResponseBase:
    """Show the form, and the preview of a submitted chat, to staff who may see plans."""
    row = get_object_or_404(list_user_plans(request.user), pk=plan)
    if not any(request.user.has_perm(f"plans.{action}_plan") for action in ("view", "change")):
        raise PermissionDenied
    form, example = _build_form(request, row)
    page: dict[str, Any] = {
        "title": f"Preview of {row.name}",
        "opts": Plan._meta,
        "plan": row,
        "form": form,
        "examples": EXAMPLES,
        "example": example,
    }
    status = 200
    if form.is_valid() and form.preview_input:
        page |= _build_result(form.preview_input)
    elif form.is_bound:
        status = 400
    return render(
        request, "admin/preview.html", admin.site.each_context(request) | page, status=status
    )


def _build_form(request: HttpRequest, plan: Plan) -> tuple[PreviewForm, str]:
    """Return the submitted form, filled with an example if requested, and the example's name."""
    if request.method != "POST":
        return PreviewForm(plan), ""
    if "compression_engine" in request.POST:  # the plan's own form, not yet saved
        return PreviewForm(build_draft_plan(plan, request.POST)), ""
    data, name = request.POST.copy(), request.POST.get("example", "")
    if example := EXAMPLES.get(name):
        data["chat_text"], data["max_input_tokens"] = example.text, str(example.budget_tokens)
    return PreviewForm(plan, data), name if example else ""


def _build_result(wanted: PreviewInput) -> dict[str, Any]:
    messages, settings, model = wanted.messages, wanted.settings, wanted.model
    try:
        found = build_priced_preview(messages, settings, model)
    except ToolUnavailable as error:
        return {"unavailable": error.reason}
    page = {
        "found": found,
        "cut": found.preview.compression,
        "model": model,
        "settings": settings,
        "figures": _build_figures(found),
        "bar": f"{100 * found.preview.compression.after / found.preview.compression.before:.1f}",
    }
    if len(found.preview.spans) > MAX_SHOWN_PIECES:
        return page | {"pieces": len(found.preview.spans)}
    places = {shown.place for shown in found.preview.spans}
    return page | {
        "asked": build_asked_cards(messages, found.preview),
        "sent": build_sent_cards(messages, found.preview),
        "rows": build_score_rows(found.preview),
        "places": [
            (place.replace(" ", "-"), *PLACE_LABELS[place])
            for place in PLACE_LABELS
            if place in places
        ],
    }


def _build_figures(found: PricedPreview) -> dict[str, Any]:
    """Return tokens, and dollars per thousand turns: as asked, as sent, and the difference.

    Dollars are None without a price.
    """
    cut, asked, sent = found.preview.compression, found.asked, found.sent
    later = (asked.next_turn, sent.next_turn) if asked and sent else (None, None)
    return {
        "tokens": (cut.before, cut.after, cut.before - cut.after),
        "now": _format_dollar_row(asked.now, sent.now) if asked and sent else None,
        "next": _format_dollar_row(*later),
        "loses": later[0] is not None and later[1] is not None and later[1] > later[0],
    }


def _format_dollar_row(asked: Decimal | None, sent: Decimal | None) -> tuple[str, str, str] | None:
    """Format a table row with the same decimals in each cell."""
    if asked is None or sent is None:
        return None
    row = [1000 * value for value in (asked, sent, asked - sent)]
    places = 2 if max(row) >= 10 else 4
    first, second, saved = (
        f"{MINUS_SIGN if value < 0 else ''}${abs(value):,.{places}f}" for value in row
    )
    return first, second, saved
