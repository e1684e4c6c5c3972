"""Import and export of a list in the admin: a dry run that shows each row's change,
then all of them or none."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse

from plans.access import tenant_of
from plans.admin.confirm_change import ReasonForm
from plans.errors import Refusal
from plans.import_export import formats as files
from plans.import_export.resources import Exchange
from plans.records import REASON_LENGTH


class FileForm(forms.Form):
    """A file, or what an earlier dry run read of it."""

    file = forms.FileField(
        help_text="JSON or CSV, as an export gives it: by the ending of its name."
    )


class KeptForm(forms.Form):
    content = forms.CharField(widget=forms.HiddenInput, strip=False)
    format = forms.ChoiceField(
        choices=[(each, each) for each in files.FORMATS], widget=forms.HiddenInput
    )


class ExchangeMixin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Before ModelAdmin. `exchange`: how its rows go out and in."""

    exchange: ClassVar[Exchange]
    change_list_template = "admin/exchange_list.html"

    def get_urls(self) -> list[Any]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        wrap = self.admin_site.admin_view
        own = [
            path("export/", wrap(self.export_view), name=f"{name}_export"),
            path("import/", wrap(self.import_view), name=f"{name}_import"),
        ]
        return [*own, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}"
        links = {
            "export_url": reverse(f"{name}_export"),
            "import_url": reverse(f"{name}_import") if self._may_import(request) else "",
        }
        return super().changelist_view(request, links | (extra_context or {}))

    def _may_import(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request) and self.has_change_permission(request)

    def export_view(self, request: HttpRequest) -> HttpResponse:
        """Every row that this person may see; `?format=` json or csv."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        rows = self.exchange.out(self.get_queryset(request).order_by("pk"))
        kind = "csv" if request.GET.get("format") == "csv" else "json"
        if kind == "csv":
            text = files.to_csv(self.exchange.columns, [self.exchange.flat(row) for row in rows])
        else:
            text = files.to_json(self.exchange.name, rows)
        media = "text/csv; charset=utf-8" if kind == "csv" else "application/json"
        return HttpResponse(
            text,
            content_type=media,
            headers={"Content-Disposition": f'attachment; filename="{self.exchange.name}.{kind}"'},
        )

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """A file: what it would do. The same again with a reason: done."""
        if not self._may_import(request):
            raise PermissionDenied
        page: dict[str, Any] = {"form": FileForm()}
        if request.method == "POST":
            try:
                page = self._read(request)
            except files.BadFile as error:
                page["refused"] = str(error)
            if isinstance(page.get("done"), HttpResponse):
                done: HttpResponse = page["done"]
                return done
        context = (
            self.admin_site.each_context(request)
            | {"title": f"Import {self.exchange.name}", "opts": self.opts}
            | page
        )
        wrong = request.method == "POST" and ("refused" in page or page.get("wrong"))
        return TemplateResponse(request, "admin/import.html", context, status=400 if wrong else 200)

    def _read(self, request: HttpRequest) -> dict[str, Any]:
        content, kind = _sent(request)
        if kind == "csv":
            rows = [self.exchange.unflat(cells) for cells in files.from_csv(content.encode())]
        else:
            rows = files.from_json(self.exchange.name, content.encode())
        found = self.exchange.check(rows, tenant=tenant_of(request.user))
        page = {
            "form": FileForm(),
            "rows": found,
            "wrong": [row for row in found if row.problems],
            "same": sum(row.same for row in found),
        }
        if page["wrong"] or all(row.same for row in found):
            return page
        reason = ReasonForm(request.POST if "_reason" in request.POST else None)
        if reason.is_valid():
            return page | self._done(
                request,
                rows,
                reason.cleaned_data["reason"],
                len(found) - sum(row.same for row in found),
            )
        return page | {
            "kept": KeptForm(initial={"content": content, "format": kind}),
            "reason": reason,
        }

    def _done(
        self, request: HttpRequest, rows: list[dict[str, Any]], reason: str, count: int
    ) -> dict[str, Any]:
        try:
            with transaction.atomic():
                self.exchange.save(rows, reason=f"Imported: {reason}"[:REASON_LENGTH])
        except Refusal as refusal:
            return {"refused": f"Nothing was saved: {refusal.message}"}
        self.message_user(
            request,
            f"{count} {self.exchange.name} were imported; every worker follows within two seconds.",
            messages.SUCCESS,
        )
        return {
            "done": HttpResponseRedirect(
                reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
            )
        }


def _sent(request: HttpRequest) -> tuple[str, str]:
    """The file's text and format. Raises BadFile."""
    kept = KeptForm(request.POST)
    if kept.is_valid():
        return kept.cleaned_data["content"], kept.cleaned_data["format"]
    sent = FileForm(request.POST, request.FILES)
    if not sent.is_valid():
        raise files.BadFile("Choose a file first.")
    file = sent.cleaned_data["file"]
    kind = str(file.name).rpartition(".")[2].lower()
    if kind not in files.FORMATS:
        raise files.BadFile("The file's name must end in .json or .csv.")
    if file.size > files.MOST_BYTES:
        raise files.BadFile(f"The file is larger than {files.MOST_BYTES:,} bytes.")
    return files.text_of(file.read()), kind
