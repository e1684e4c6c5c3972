"""Limits on log-ins: failures per name and address, and password checks at once.

Failures within the cool-off are limited (django-axes counts them) for a name from one address, for
an address whatever the name, and for a name whatever the address.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_username
from axes.models import AccessAttempt, AccessLog
from django.conf import settings
from django.db.models import Q, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin

MAX_ADDRESS_FAILURES: Final = 50
MAX_NAME_FAILURES: Final = 100
KNOWN_ADDRESS_DAYS: Final = 30  # since a user's last log-in from an address
MAX_WAITING_LOGINS: Final = 20  # per worker
MAX_LOGIN_WAIT_SECONDS: Final = 10.0


class LoginFailureHandler(AxesDatabaseHandler):  # type: ignore[misc]  # axes has no types
    """django-axes handler that adds limits by address and by name to AXES_FAILURE_LIMIT."""

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Return the failures to compare with AXES_FAILURE_LIMIT.

        Failures of an address or a name alone count once they reach their own limit.
        """
        found = int(super().get_failures(request, credentials))
        limit = int(settings.AXES_FAILURE_LIMIT)
        name, address = get_client_username(request, credentials), request.axes_ip_address  # type: ignore[attr-defined]  # by axes
        if _count_failures(request, Q(ip_address=address)) >= MAX_ADDRESS_FAILURES:
            return max(found, limit)
        # This limit holds however a proxy is set up, also if clients can write `X-Forwarded-For`
        # themselves. An address the user logged in from lately is exempt, so nobody is locked out
        # from afar.
        if (
            name
            and _count_failures(request, Q(username=name)) >= MAX_NAME_FAILURES
            and not _is_known_address(name, address)
        ):
            return max(found, limit)
        return found


def _count_failures(request: HttpRequest, whose: Q) -> int:
    attempts = AccessAttempt.objects.filter(
        whose, attempt_time__gte=get_cool_off_threshold(request)
    )
    return int(attempts.aggregate(total=Sum("failures_since_start"))["total"] or 0)


def _is_known_address(name: str, address: str | None) -> bool:
    """Whether this user logged in from the address in the last KNOWN_ADDRESS_DAYS."""
    since = timezone.now() - timedelta(days=KNOWN_ADDRESS_DAYS)
    return bool(
        AccessLog.objects.filter(
            username=name, ip_address=address, attempt_time__gte=since
        ).exists()
    )


class LoginQueue:
    """A queue for one log-in at a time, with at most `waiting` others for at most `seconds`."""

    def __init__(
        self, *, waiting: int = MAX_WAITING_LOGINS, seconds: float = MAX_LOGIN_WAIT_SECONDS
    ) -> None:
        # One more for the log-in whose turn it is.
        self._queue_slots = threading.BoundedSemaphore(waiting + 1)
        self._turn_lock = threading.Lock()
        self._max_wait_seconds = seconds

    @contextmanager
    def acquire_turn(self) -> Iterator[bool]:
        """Yield whether it is the caller's turn; False if the queue is full or the wait ended."""
        seated = self._queue_slots.acquire(blocking=False)
        try:
            mine = seated and self._turn_lock.acquire(timeout=self._max_wait_seconds)
            try:
                yield mine
            finally:
                if mine:
                    self._turn_lock.release()
        finally:
            if seated:
                self._queue_slots.release()


_login_queue = LoginQueue()


class LoginQueueMiddleware(MiddlewareMixin):
    """Middleware that checks one password at a time per worker and answers 503 to too many."""

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., HttpResponse],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> HttpResponse | None:
        if (
            request.method != "POST"
            or not request.resolver_match
            or request.resolver_match.view_name != settings.LOGIN_URL
        ):
            return None
        # Hashing a password takes much of a second of CPU on purpose: so a flood of log-ins takes
        # one core at most, and other requests go on.
        with _login_queue.acquire_turn() as mine:
            if not mine:
                return HttpResponse(
                    "Too many log-ins at once. Try again in a moment.\n",
                    status=503,
                    headers={"Retry-After": "5"},
                )
            return view(request, *args, **kwargs)
