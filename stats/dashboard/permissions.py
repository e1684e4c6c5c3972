"""Who may look at the dashboard: staff who may see numbers.

Which tenant's numbers they see, `plans.access.tenant_of` says.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from plans.access import sees_numbers


def may_look(user: Any) -> bool:
    """Whether the account, which may be nobody's, opens the dashboard."""
    return bool(user.is_active and sees_numbers(user))


def for_viewers(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A page that others do not see (302 to the log-in, 403 for staff), nobody keeps,
    and that changes nothing."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not may_look(request.user):
            raise PermissionDenied("It takes the permission to view roll-ups, or plans.")
        return view(request, *args, **kwargs)

    return staff_member_required(never_cache(require_safe(wrapped)))
