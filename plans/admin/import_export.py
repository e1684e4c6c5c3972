"""Import and export in the admin: a dry run shows each row's change, then all are saved or none."""

from typing import Any, ClassVar, Final

from django import forms
from django.contrib import admin, messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse

from plans.access import get_user_tenant
from plans.admin.confirm_change import REASON_FIELD, ReasonForm
from plans.api_errors import ApiError
from plans.import_export import formats as files
from plans.import_export.resources import ImportRow, Resource
from plans.records import MAX_REASON_LENGTH

SEEN_SALT: Final = "plans.import_export"


class ImportFileForm(forms.Form):
    """The file to import."""

    file = forms.FileField(
        help_text="JSON or CSV, as an export gives it: by the ending of its name."
    )


class ImportContentForm(forms.Form):
    """The content the dry run read; `seen`: signed versions of the saved rows it compared with."""

    content = forms.CharField(widget=forms.HiddenInput, strip=False)
    format = forms.ChoiceField(
        choices=[(each, each) for each in files.FORMATS], widget=forms.HiddenInput
    )
    # With it, what somebody saves after the dry run is shown before it is overwritten.
    seen = forms.CharField(widget=forms.HiddenInput, required=False)


class ImportExportMixin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Pages to import and export rows; goes before ModelAdmin.

    `resource` converts, checks and saves the rows.
    """

    resource: ClassVar[Resource]
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
        """Export all rows the user may see; `?format=` is json or csv."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        rows = self.resource.export_rows(self.get_queryset(request).order_by("pk"))
        kind = "csv" if request.GET.get("format") == "csv" else "json"
        if kind == "csv":
            text = files.rows_to_csv(
                self.resource.columns, [self.resource.flatten_row(row) for row in rows]
            )
        else:
            text = files.rows_to_json(self.resource.name, rows)
        media = "text/csv; charset=utf-8" if kind == "csv" else "application/json"
        return HttpResponse(
            text,
            content_type=media,
            headers={"Content-Disposition": f'attachment; filename="{self.resource.name}.{kind}"'},
        )

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """Show a dry run of the file; save it when it is sent again with a reason."""
        if not self._may_import(request):
            raise PermissionDenied
        page: dict[str, Any] = {"form": ImportFileForm()}
        if request.method == "POST":
            try:
                page = self._process_import(request)
            except files.InvalidImportFile as error:
                page["refused"] = str(error)
            if isinstance(page.get("done"), HttpResponse):
                done: HttpResponse = page["done"]
                return done
        context = (
            self.admin_site.each_context(request)
            | {"title": f"Import {self.resource.name}", "opts": self.opts}
            | page
        )
        wrong = request.method == "POST" and ("refused" in page or page.get("wrong"))
        status = 400 if wrong else 409 if page.get("meanwhile") else 200
        return TemplateResponse(request, "admin/import.html", context, status=status)

    def _process_import(self, request: HttpRequest) -> dict[str, Any]:
        content, kind = _read_import_file(request)
        if kind == "csv":
            rows = [
                self.resource.unflatten_row(cells)
                for cells in files.parse_csv_rows(content.encode())
            ]
        else:
            rows = files.parse_json_rows(self.resource.name, content.encode())
        tenant = get_user_tenant(request.user)
        found = self.resource.check_rows(rows, tenant=tenant)
        reason = ReasonForm(request.POST if REASON_FIELD in request.POST else None)
        seen = _read_seen_versions(request, len(found))
        meanwhile: list[str] = []
        if seen is not None and _may_save(found) and reason.is_valid():
            meanwhile = [
                row.name for row, version in zip(found, seen, strict=True) if row.version != version
            ]
            if not meanwhile:
                try:
                    return {"done": self._save_import(request, rows, found, reason)}
                except ApiError as refusal:
                    meanwhile = [refusal.message]
                    found = self.resource.check_rows(rows, tenant=tenant)
        page = {
            "form": ImportFileForm(),
            "rows": found,
            "wrong": [row for row in found if row.problems],
            "same": sum(row.is_unchanged for row in found),
            "meanwhile": meanwhile,
        }
        if not _may_save(found):
            return page
        kept = {"content": content, "format": kind, "seen": _sign_seen_versions(found)}
        return page | {"kept": ImportContentForm(initial=kept), "reason": reason}

    def _save_import(
        self,
        request: HttpRequest,
        rows: list[dict[str, Any]],
        found: list[ImportRow],
        reason: ReasonForm,
    ) -> HttpResponse:
        why = f"Imported: {reason.cleaned_data['reason']}"[:MAX_REASON_LENGTH]
        with transaction.atomic():
            self.resource.save_rows(rows, checked=found, reason=why)
        count = sum(not row.is_unchanged for row in found)
        self.message_user(
            request,
            f"{count} {self.resource.name} were imported; every worker follows within two seconds.",
            messages.SUCCESS,
        )
        return HttpResponseRedirect(
            reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        )


def _may_save(found: list[ImportRow]) -> bool:
    """Whether no row has a problem and at least one changes something."""
    return not any(row.problems for row in found) and not all(row.is_unchanged for row in found)


def _sign_seen_versions(found: list[ImportRow]) -> str:
    versions = [row.version for row in found]
    return signing.dumps(versions, salt=SEEN_SALT, compress=True)


def _read_seen_versions(request: HttpRequest, count: int) -> list[str] | None:
    """Return the row versions the dry run saw; None without a dry run of a file of `count` rows."""
    try:
        found: list[str] = signing.loads(request.POST.get("seen", ""), salt=SEEN_SALT)
    except signing.BadSignature:
        return None
    return found if len(found) == count else None


def _read_import_file(request: HttpRequest) -> tuple[str, str]:
    """Return the file's text and format. Raises InvalidImportFile."""
    kept = ImportContentForm(request.POST)
    if kept.is_valid():
        return kept.cleaned_data["content"], kept.cleaned_data["format"]
    sent = ImportFileForm(request.POST, request.FILES)
    if not sent.is_valid():
        raise files.InvalidImportFile("Choose a file first.")
    file = sent.cleaned_data["file"]
    kind = str(file.name).rpartition(".")[2].lower()
    if kind not in files.FORMATS:
        raise files.InvalidImportFile("The file's name must end in .json or .csv.")
    if file.size > files.MAX_IMPORT_BYTES:
        raise files.InvalidImportFile(f"The file is larger than {files.MAX_IMPORT_BYTES:,} bytes.")
    return files.decode_text(file.read()), kind
