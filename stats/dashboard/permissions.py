"""Who may see the dashboard: staff with permission to see reports.

`plans.access.get_user_tenant` says which tenant's numbers they see.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from plans.access import can_see_reports


def can_view_dashboard(user: Any) -> bool:
    """Whether the account, which may be anonymous, may open the dashboard."""
    return bool(user.is_active and can_see_reports(user))


def require_dashboard_access(
    view: Callable[..., HttpResponseBase],
) -> Callable[..., HttpResponseBase]:
    """Make a view read-only, uncached and visible to permitted staff only.

    Others get a redirect to the login, or 403 if they are staff.
    """

    @wraps(view)
    def check_and_call(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not can_view_dashboard(request.user):
            raise PermissionDenied("It takes the permission to view roll-ups, or plans.")
        return view(request, *args, **kwargs)

    return staff_member_required(never_cache(require_safe(check_and_call)))
