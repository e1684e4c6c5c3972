"""The admin's history of a row: who changed what, when and why, and reverting to a version.

Changes are listed by field, in the wording of the form.
"""

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.contrib.admin.utils import quote, unquote
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse

from plans.access import get_user_tenant
from plans.admin.confirm_change import ReasonForm
from plans.api_errors import VersionConflict
from plans.field_changes import FieldChange, list_field_changes
from plans.forms.edit_conflicts import OPENED_WITH_FIELD, UNREADABLE_FORM_MESSAGE
from plans.forms.form_data import build_posted_data
from plans.records import get_row_history

MAX_ENTRIES_PER_PAGE: Final = 200  # history records
KIND_LABELS: Final = {"+": "Made", "~": "Changed", "-": "Deleted"}


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of the history."""

    at: datetime
    who: str
    what: str
    why: str
    changes: list[FieldChange]
    version: int | None = None
    # Id of the history record to revert to; 0: none.
    record: int = 0


class HistoryMixin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """History and revert pages for a model with a `ConfigHistory`; goes before ModelAdmin."""

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
        """Show all recorded changes, newest first."""
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
        """Show what a revert would change; given a reason, save the old settings as a new version.

        Settings that no longer run are rejected by field. What was saved since the page was opened
        is shown before it is overwritten.
        """
        row = self._get_row(request, object_id)
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        # Deletions cannot be reverted to.
        note = (
            _list_visible_records(request, row)
            .exclude(history_type="-")
            .filter(history_id=record)
            .first()
        )
        if note is None:
            raise Http404
        changed = self.get_form(request, row, change=True)
        draft = changed(build_posted_data(changed(instance=note.instance)), instance=copy(row))
        reason = ReasonForm(request.POST or None)
        refused = (
            []
            if draft.is_valid()
            else [
                (get_field_label(draft, name), list(texts)) for name, texts in draft.errors.items()
            ]
        )
        meanwhile = _list_changes_meanwhile(request, draft)
        shown = list_field_changes(self.model, draft.fields, row, note)
        may_save = shown and not refused and not meanwhile
        if request.method == "POST" and may_save and reason.is_valid():
            try:
                return self._save_reverted_row(request, note, draft, reason)
            except VersionConflict as refusal:
                meanwhile = _list_changes_meanwhile(request, draft) or [refusal.message]
                row = self._get_row(request, object_id)
                shown = list_field_changes(self.model, draft.fields, row, note)
        context = self._build_page_context(request, row) | {
            "title": f"Go back to {_describe_record(note)}?",
            "note": note,
            "changes": shown,
            "refused": refused,
            "meanwhile": meanwhile,
            "opened_with": draft[OPENED_WITH_FIELD].initial,
            "reason": reason,
        }
        status = 409 if meanwhile else 400 if request.method == "POST" else 200
        return TemplateResponse(request, "admin/revert.html", context, status=status)

    def _save_reverted_row(
        self, request: HttpRequest, note: Any, draft: Any, reason: ReasonForm
    ) -> HttpResponse:
        why = reason.cleaned_data["reason"]
        with transaction.atomic():
            changed = draft.save(commit=False)
            changed._change_reason = f"Back to {_describe_record(note)}: {why}"
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
                f"admin:{self.opts.app_label}_{self.opts.model_name}_history",
                args=[quote(changed.pk)],
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


def _list_changes_meanwhile(request: HttpRequest, draft: Any) -> list[str]:
    """Describe what was saved since the posted page was opened."""
    token = request.POST.get(OPENED_WITH_FIELD)
    if not token:
        return []
    try:
        found: list[str] = draft.list_changes_since(token)
    except signing.BadSignature:
        return [UNREADABLE_FORM_MESSAGE]
    return found


def _list_visible_records(request: HttpRequest, row: Any) -> Any:
    """Return the history records of the row that the user may see."""
    notes, tenant = get_row_history(row), get_user_tenant(request.user)
    # A row that came from another tenant has its earlier settings there.
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
    """Yield entries for staff actions on the row, from Django's admin log."""
    kind = get_content_type_for_model(row)
    for log in LogEntry.objects.filter(content_type=kind, object_id=str(row.pk)).select_related(
        "user"
    )[:MAX_ENTRIES_PER_PAGE]:
        # Django's own messages are JSON lists: those changes are in the history already.
        if log.change_message and not log.change_message.startswith("["):
            yield HistoryEntry(log.action_time, log.user.get_username(), log.change_message, "", [])


def _describe_record(note: Any) -> str:
    version = getattr(note, "version", None)
    return f"version {version}" if version else f"{note.history_date:%Y-%m-%d %H:%M} UTC"


def get_field_label(form: forms.BaseForm, name: str) -> str:
    """Return the form's label of the field."""
    return str(form.fields[name].label) if name in form.fields else "The whole"
