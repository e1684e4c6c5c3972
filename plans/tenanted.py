"""Admin pages for people of one tenant: their rows are all there are, and what is not made for them is not there."""

from typing import Any, Final

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest
from django.utils.deprecation import MiddlewareMixin

from plans.models import Tenant
from plans.people import bound, plans_of, tenant_of

_ADMIN: Final = "/admin/"
_DASHBOARD: Final = "/dashboard/"
# Pages of the site and of one model that name no row.
_SITE: Final = frozenset({"index", "password_change", "password_change_done", "jsi18n", "autocomplete", "app_list"})
_LISTS: Final = frozenset({"changelist", "add"})


class Tenanted(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Shows and changes a tenant's person the rows of their tenant. `owned_by`: the column that says whose a row is, "" where rows are
    everybody's to read; `tenant_pages`: further pages of the model that name no row, such as an export, safe for them to open."""

    owned_by: str = "tenant_id"
    tenant_pages: tuple[str, ...] = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return self.rows_of(super().get_queryset(request), request)

    def rows_of(self, rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
        """Those of the person's tenant; all for the platform's."""
        tenant = tenant_of(request.user)
        return rows if tenant is None or not self.owned_by else rows.filter(**{self.owned_by: self._mark(tenant)})

    def _mark(self, tenant: Tenant) -> object:
        """What the column holds for that tenant: its number, or its slug where rows outlive it by name."""
        return tenant.slug if self.owned_by == "tenant" else tenant.pk

    def _theirs(self, request: HttpRequest, obj: Model | None, *, read: bool = False) -> bool:
        try:
            tenant = tenant_of(request.user)
        except PermissionDenied:
            return False
        if tenant is None:
            return True
        if not self.owned_by:
            return read
        return obj is None or getattr(obj, self.owned_by) == self._mark(tenant)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) and self._theirs(request, obj, read=True)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and self._theirs(request, None)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._theirs(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and self._theirs(request, obj)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Their tenant is the only choice, and not none: that would be the platform."""
        tenant, model = tenant_of(request.user), db_field.remote_field.model
        pages = self.admin_site._registry.get(model)
        if tenant is not None and model is Tenant:
            kwargs |= {"queryset": Tenant.objects.filter(pk=tenant.pk), "required": True, "empty_label": None, "initial": tenant.pk}
        elif tenant is not None and isinstance(pages, Tenanted):
            kwargs["queryset"] = pages.get_queryset(request)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        """The last look before a row is saved, whatever the form let through."""
        made = super().save_form(request, form, change)
        if not self._theirs(request, made):
            raise PermissionDenied
        return made

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Without the one by tenant, which would list the others."""
        filters = super().get_list_filter(request)
        if tenant_of(request.user) is None:
            return filters
        return [each for each in filters if not (each == "tenant" or getattr(each, "parameter_name", "") == "tenant")]


class TenantPages(MiddlewareMixin):
    """Middleware: for a tenant's person, pages that name a row of another's are not there, nor those that nothing says are for them. So a
    page added later is closed to them until it names a plan, or a row of a model whose pages are `Tenanted`."""

    def process_view(self, request: HttpRequest, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        match = request.resolver_match
        name = (match.url_name if match else None) or ""
        admins = request.path_info.startswith(_ADMIN) and name not in {"login", "logout"}
        if not (admins or ("plan" in kwargs and request.path_info.startswith(_DASHBOARD))):
            return
        if not request.user.is_authenticated or not bound(request.user):
            return
        if "plan" in kwargs:
            _exists(plans_of(request.user), kwargs["plan"])
        elif name not in _SITE:
            _admin_page(request, name, kwargs.get("object_id") or next(iter([*args, *kwargs.values()]), None))


def _admin_page(request: HttpRequest, name: str, row: Any) -> None:
    """Raises Http404."""
    pages, page = _pages(name)
    if not isinstance(pages, Tenanted):
        raise Http404
    if page in {*_LISTS, *pages.tenant_pages}:
        return
    if row is None:
        raise Http404
    _exists(pages.get_queryset(request), row)


def _pages(name: str) -> tuple[Any, str]:
    """The pages of the model that a URL's name begins with, and what follows."""
    for model, pages in admin.site._registry.items():
        start = f"{model._meta.app_label}_{model._meta.model_name}_"
        if name.startswith(start):
            return pages, name.removeprefix(start)
    return None, name


def _exists(rows: QuerySet[Any], pk: Any) -> None:
    try:
        if rows.filter(pk=unquote(str(pk))).exists():
            return
    except (ValueError, ValidationError, OverflowError):
        pass
    raise Http404
