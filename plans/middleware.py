"""Middleware that hides other tenants' pages from a tenant's users."""

from typing import Any, Final

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.utils.deprecation import MiddlewareMixin

from plans.access import is_tenant_bound, list_user_plans
from plans.admin.tenant_scope import TenantScopedAdmin

_ADMIN_PREFIX: Final = "/admin/"
_DASHBOARD_PREFIX: Final = "/dashboard/"
# Pages of the site, then pages of a model, that name no row.
_SITE_PAGES: Final = frozenset(
    {"index", "password_change", "password_change_done", "jsi18n", "autocomplete", "app_list"}
)
_ROWLESS_PAGES: Final = frozenset({"changelist", "add"})


class TenantPagesMiddleware(MiddlewareMixin):
    """Answer 404 to a tenant's user for admin and plan pages that are not known to be theirs.

    Theirs are the site's own pages, lists and forms of models with a `TenantScopedAdmin`, and pages
    of rows and plans of their tenant.
    """

    def process_view(
        self, request: HttpRequest, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        match = request.resolver_match
        name = (match.url_name if match else None) or ""
        admins = request.path_info.startswith(_ADMIN_PREFIX) and name not in {"login", "logout"}
        if not (admins or ("plan" in kwargs and request.path_info.startswith(_DASHBOARD_PREFIX))):
            return
        if not request.user.is_authenticated or not is_tenant_bound(request.user):
            return
        if "plan" in kwargs:
            _check_row_exists(list_user_plans(request.user), kwargs["plan"])
        # So a page added later is closed to them until it names a plan, or a row of such a model.
        elif name not in _SITE_PAGES:
            _check_admin_page(
                request,
                name,
                kwargs.get("object_id") or next(iter([*args, *kwargs.values()]), None),
            )


def _check_admin_page(request: HttpRequest, name: str, row: Any) -> None:
    """Raise Http404 unless the page is one of the user's own."""
    pages, page = _find_model_admin(name)
    if not isinstance(pages, TenantScopedAdmin):
        raise Http404
    if page in {*_ROWLESS_PAGES, *pages.tenant_pages}:
        return
    if row is None:
        raise Http404
    _check_row_exists(pages.get_queryset(request), row)


def _find_model_admin(name: str) -> tuple[Any, str]:
    """Return the model admin that the URL's name begins with, and the rest of the name."""
    for model, pages in admin.site._registry.items():
        start = f"{model._meta.app_label}_{model._meta.model_name}_"
        if name.startswith(start):
            return pages, name.removeprefix(start)
    return None, name


def _check_row_exists(rows: QuerySet[Any], pk: Any) -> None:
    try:
        if rows.filter(pk=unquote(str(pk))).exists():
            return
    except (ValueError, ValidationError, OverflowError):
        pass
    raise Http404
