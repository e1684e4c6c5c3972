"""The admin's History of a row: who changed what, when and why, field by field in the form's words,
and the way back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse

from plans.access import get_user_tenant
from plans.admin.confirm_change import ReasonForm
from plans.field_changes import FieldChange, list_field_changes
from plans.forms.form_data import build_posted_data
from plans.records import get_row_history

MAX_ENTRIES_PER_PAGE: Final = 200  # notes on one page
KIND_LABELS: Final = {"+": "Made", "~": "Changed", "-": "Deleted"}


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of the history. `record`: the note to go back to, 0: none."""

    at: datetime
    who: str
    what: str
    why: str
    changes: list[FieldChange]
    version: int | None = None
    record: int = 0


class HistoryMixin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Before ModelAdmin, for a model with `history = Records()`."""

    def get_urls(self) -> list[Any]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_revert"
        own = path(
            "<path:object_id>/history/<int:record>/revert/",
            self.admin_site.admin_view(self.revert_view),
            name=name,
        )
        return [own, *super().get_urls()]

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Every change that was noted, the newest first."""
        row = self._get_row(request, object_id)
        if not self.has_view_or_change_permission(request, row):
            raise PermissionDenied
        context = self._build_page_context(request, row) | {
            "title": f"History of {row}",
            "entries": self._list_entries(request, row),
            "may_revert": self.has_change_permission(request, row),
            "revert_url": f"admin:{self.opts.app_label}_{self.opts.model_name}_revert",
        }
        return TemplateResponse(request, "admin/history.html", context | (extra_context or {}))

    def revert_view(self, request: HttpRequest, object_id: str, record: int) -> HttpResponse:
        """What would change, and a reason, before the old settings are saved as a new version.

        What no longer runs is refused by field.
        """
        row = self._get_row(request, object_id)
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        note = (
            _list_visible_records(request, row)
            .exclude(history_type="-")
            .filter(history_id=record)
            .first()
        )
        if note is None:
            raise Http404
        shown = list_field_changes(self.model, self._get_form_fields(request, row), row, note)
        draft = self.get_form(request, row, change=True)(
            build_posted_data(self.get_form(request, row, change=True)(instance=note.instance)),
            instance=row,
        )
        reason = ReasonForm(request.POST or None)
        refused = (
            []
            if draft.is_valid()
            else [
                (get_field_label(draft, name), list(texts)) for name, texts in draft.errors.items()
            ]
        )
        if request.method == "POST" and shown and not refused and reason.is_valid():
            return self._save_reverted_row(request, row, note, draft, reason.cleaned_data["reason"])
        current = self._get_row(request, object_id)  # the draft above was read into `row`
        context = self._build_page_context(request, current) | {
            "title": f"Go back to {_describe_record(note)}?",
            "note": note,
            "changes": shown,
            "refused": refused,
            "reason": reason,
        }
        return TemplateResponse(
            request, "admin/revert.html", context, status=400 if request.method == "POST" else 200
        )

    def _save_reverted_row(
        self, request: HttpRequest, row: Any, note: Any, draft: Any, reason: str
    ) -> HttpResponse:
        with transaction.atomic():
            changed = draft.save(commit=False)
            changed._change_reason = f"Back to {_describe_record(note)}: {reason}"
            self.save_model(request, changed, draft, True)
            self.log_change(request, changed, self.construct_change_message(request, draft, []))
        self.message_user(
            request,
            (
                f"{changed} is back at {_describe_record(note)}, as a new version; every worker "
                "follows "
                "within two seconds."
            ),
            messages.SUCCESS,
        )
        return HttpResponseRedirect(
            reverse(
                f"admin:{self.opts.app_label}_{self.opts.model_name}_history", args=[quote(row.pk)]
            )
        )

    def _get_row(self, request: HttpRequest, object_id: str) -> Any:
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        return row

    def _build_page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return self.admin_site.each_context(request) | {
            "opts": self.opts,
            "object": row,
            "original": row,
        }

    def _get_form_fields(self, request: HttpRequest, row: Any) -> Mapping[str, forms.Field]:
        return self.get_form(request, row, change=True)(instance=row).fields

    def _list_entries(self, request: HttpRequest, row: Any) -> list[HistoryEntry]:
        fields = self._get_form_fields(request, row)
        notes = list(
            _list_visible_records(request, row).select_related("history_user")[
                : MAX_ENTRIES_PER_PAGE + 1
            ]
        )
        made = [
            _build_entry(self.model, fields, note, older)
            for note, older in zip(notes, [*notes[1:], None], strict=True)
        ][:MAX_ENTRIES_PER_PAGE]
        return sorted([*made, *_iter_action_entries(row)], key=lambda entry: entry.at, reverse=True)


def _list_visible_records(request: HttpRequest, row: Any) -> Any:
    """What this person may know of: a row that came from another tenant
    has its earlier settings there."""
    notes, tenant = get_row_history(row), get_user_tenant(request.user)
    return (
        notes.filter(tenant_id=tenant.pk)
        if tenant is not None and hasattr(row, "tenant_id")
        else notes
    )


def _build_entry(
    model: Any, fields: Mapping[str, forms.Field], note: Any, older: Any
) -> HistoryEntry:
    differs = list_field_changes(model, fields, older, note) if older is not None else []
    return HistoryEntry(
        at=note.history_date,
        who=note.actor or str(note.history_user or "the gateway"),
        what=KIND_LABELS[note.history_type],
        why=note.history_change_reason or "",
        changes=differs,
        version=getattr(note, "version", None),
        record=note.history_id if note.history_type != "-" else 0,
    )


def _iter_action_entries(row: Any) -> Iterable[HistoryEntry]:
    """What staff did to the row besides changing it, as their actions wrote it down in words."""
    kind = get_content_type_for_model(row)
    for log in LogEntry.objects.filter(content_type=kind, object_id=str(row.pk)).select_related(
        "user"
    )[:MAX_ENTRIES_PER_PAGE]:
        if log.change_message and not log.change_message.startswith("["):
            yield HistoryEntry(log.action_time, log.user.get_username(), log.change_message, "", [])


def _describe_record(note: Any) -> str:
    version = getattr(note, "version", None)
    return f"version {version}" if version else f"{note.history_date:%Y-%m-%d %H:%M} UTC"


def get_field_label(form: forms.BaseForm, name: str) -> str:
    """What the form calls the field."""
    return str(form.fields[name].label) if name in form.fields else "The whole"
