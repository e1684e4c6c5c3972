"""/admin/plans/plan/{id}/preview/: what a plan would do to a chat, side by side.

Nothing of it is stored.
"""

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods

from plans.access import plans_of
from plans.models import Plan
from proxy.core.errors import ToolUnavailable
from proxy.preview.cards import PLACES, asked_cards, rows, sent_cards
from proxy.preview.form import EXAMPLES, PreviewForm, Wanted, drafted
from proxy.preview.service import Priced, priced_preview
from stats.formatting import MINUS

# Sentences that a page can show; a chat of 100,000 tokens has some 7,000.
MOST = 10_000


@require_http_methods(["GET", "HEAD", "POST"])
def preview_page(request: HttpRequest, plan: int) -> HttpResponseBase:
    """The empty form, or what was asked with its answer. For staff who may see plans."""
    row = get_object_or_404(plans_of(request.user), pk=plan)
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
    return render(
        request, "admin/preview.html", admin.site.each_context(request) | page, status=status
    )


def _form(request: HttpRequest, plan: Plan) -> tuple[PreviewForm, str]:
    """The form as sent, filled with an example where one was asked for, and that example's name."""
    if request.method != "POST":
        return PreviewForm(plan), ""
    if "compression_engine" in request.POST:  # the plan's own form, which nobody saved yet
        return PreviewForm(drafted(plan, request.POST)), ""
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
    page = {
        "found": found,
        "cut": found.preview.compression,
        "model": model,
        "settings": settings,
        "figures": _figures(found),
        "bar": f"{100 * found.preview.compression.after / found.preview.compression.before:.1f}",
    }
    if len(found.preview.spans) > MOST:
        return page | {"pieces": len(found.preview.spans)}
    places = {shown.place for shown in found.preview.spans}
    return page | {
        "asked": asked_cards(messages, found.preview),
        "sent": sent_cards(messages, found.preview),
        "rows": rows(found.preview),
        "places": [
            (place.replace(" ", "-"), *PLACES[place]) for place in PLACES if place in places
        ],
    }


def _figures(found: Priced) -> dict[str, Any]:
    """Tokens, and dollars for a thousand turns, as asked, as sent, and the difference;
    dollars None without a price."""
    cut, asked, sent = found.preview.compression, found.asked, found.sent
    later = (asked.next_turn, sent.next_turn) if asked and sent else (None, None)
    return {
        "tokens": (cut.before, cut.after, cut.before - cut.after),
        "now": _dollars(asked.now, sent.now) if asked and sent else None,
        "next": _dollars(*later),
        "loses": later[0] is not None and later[1] is not None and later[1] > later[0],
    }


def _dollars(asked: Decimal | None, sent: Decimal | None) -> tuple[str, str, str] | None:
    """A row of the table, as many decimals in each of its cells."""
    if asked is None or sent is None:
        return None
    row = [1000 * value for value in (asked, sent, asked - sent)]
    places = 2 if max(row) >= 10 else 4
    first, second, saved = (
        f"{MINUS if value < 0 else ''}${abs(value):,.{places}f}" for value in row
    )
    return first, second, saved
