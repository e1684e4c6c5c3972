"""The admin action "Revoke the selected keys", with a confirmation page that shows recent use."""

from dataclasses import dataclass
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from plans import capabilities, services
from plans.admin.managed_objects import refuse_locked_rows
from plans.capabilities import KeyUsage
from plans.models import AdminKey, VirtualKey

MAX_COUNT_LENGTH: Final = 10  # digits
MAX_KEYS_PER_PAGE: Final = 200  # on the confirmation page

AnyKey = VirtualKey | AdminKey


@dataclass(frozen=True, slots=True)
class KeyConfirmation:
    """One key of the confirmation page."""

    key: AnyKey
    use: KeyUsage | None
    # Name of the input for typing the key's name; "" if that is not required.
    field: str
    typed_name: str = ""
    wrong: bool = False


@admin.action(description="Revoke the selected keys", permissions=["change"])
def revoke_keys(
    page: "admin.ModelAdmin[Any]", request: HttpRequest, queryset: QuerySet[Any]
) -> HttpResponse | None:
    """Ask for confirmation, then revoke the keys; None returns to the list.

    A key used within a day is revoked only if its name is typed.
    """
    live = queryset.filter(revoked_at=None)
    if page.model is VirtualKey and refuse_locked_rows(page, request, live):
        return None
    keys = list(live.select_related("tenant")[:MAX_KEYS_PER_PAGE])
    if not keys:
        page.message_user(request, "The selected keys are revoked already.")
        return None
    asked, others = _build_confirmations(request, keys), _count_others(request, live)
    if "sure" not in request.POST or any(each.wrong for each in asked):
        return TemplateResponse(
            request,
            "admin/revoke_keys.html",
            _build_page_context(page, request, asked, others),
        )
    for key in keys:
        services.revoke_key(key=key)
        page.log_change(request, key, "Revoked.")
    count = "1 key was" if len(keys) == 1 else f"{len(keys)} keys were"
    page.message_user(request, f"{count} revoked; every worker refuses them within two seconds.")
    if others:
        page.message_user(
            request,
            f"{others} more of those you selected are still live: one page takes "
            f"{MAX_KEYS_PER_PAGE}. Select them again.",
            messages.WARNING,
        )
    return None


def _count_others(request: HttpRequest, live: QuerySet[Any]) -> int:
    """Return the number of selected live keys beyond those on the confirmation page."""
    sent = request.POST.get("others", "") if "sure" in request.POST else ""
    if sent.isascii() and sent.isdigit() and len(sent) < MAX_COUNT_LENGTH:
        return int(sent)
    return max(live.count() - MAX_KEYS_PER_PAGE, 0)


def _build_confirmations(request: HttpRequest, keys: list[AnyKey]) -> list[KeyConfirmation]:
    virtual = [key.pk for key in keys if isinstance(key, VirtualKey)]
    uses = capabilities.get_capabilities().count_key_uses(virtual) if virtual else {}
    return [
        _build_confirmation(request, key, uses.get(key.pk) if isinstance(key, VirtualKey) else None)
        for key in keys
    ]


def _build_confirmation(request: HttpRequest, key: AnyKey, use: KeyUsage | None) -> KeyConfirmation:
    field = f"name_{key.pk}" if use and use.requests else ""
    typed = request.POST.get(field, "").strip() if field else ""
    wrong = bool(field) and "sure" in request.POST and typed != key.name.strip()
    return KeyConfirmation(key, use, field, typed, wrong)


def _build_page_context(
    page: "admin.ModelAdmin[Any]", request: HttpRequest, asked: list[KeyConfirmation], others: int
) -> dict[str, Any]:
    return page.admin_site.each_context(request) | {
        "title": "Revoke this key?" if len(asked) == 1 else f"Revoke {len(asked)} keys?",
        "opts": page.opts,
        "asked": asked,
        "others": others,
        "virtual": page.model is VirtualKey,
        "checkbox": helpers.ACTION_CHECKBOX_NAME,
    }
