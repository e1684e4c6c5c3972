"""Log-ins: how many wrong passwords are taken, from whom, and how many are looked at at once.

Three limits of failures within the cool-off (django-axes counts them): of a name from one address,
of one address whatever the name, and of one name whatever the address. The last one holds however a
proxy is set up, also where clients may write `X-Forwarded-For` themselves. Whoever logged in from
an address lately is not held to it there, so nobody is locked out from afar.
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
KNOWN_ADDRESS_DAYS: Final = 30  # how long an address is known to be somebody's
MAX_WAITING_LOGINS: Final = 20  # log-ins of a worker that wait for their turn
MAX_LOGIN_WAIT_SECONDS: Final = 10.0


class LoginFailureHandler(AxesDatabaseHandler):  # type: ignore[misc]  # axes has no types
    """What axes asks. The limit it compares with is that of a name from one address."""

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """The failures that count most; those of an address or a name alone count
        when they reach their own limit."""
        found = int(super().get_failures(request, credentials))
        limit = int(settings.AXES_FAILURE_LIMIT)
        name, address = get_client_username(request, credentials), request.axes_ip_address  # type: ignore[attr-defined]  # by axes
        if _count_failures(request, Q(ip_address=address)) >= MAX_ADDRESS_FAILURES:
            return max(found, limit)
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
    """Whether this person logged in from there lately."""
    since = timezone.now() - timedelta(days=KNOWN_ADDRESS_DAYS)
    return bool(
        AccessLog.objects.filter(
            username=name, ip_address=address, attempt_time__gte=since
        ).exists()
    )


class LoginQueue:
    """One at a time; `waiting` at most wait, for so many seconds."""

    def __init__(
        self, *, waiting: int = MAX_WAITING_LOGINS, seconds: float = MAX_LOGIN_WAIT_SECONDS
    ) -> None:
        self._queue_slots = threading.BoundedSemaphore(waiting + 1)
        self._turn_lock = threading.Lock()
        self._max_wait_seconds = seconds

    @contextmanager
    def acquire_turn(self) -> Iterator[bool]:
        """Whether it is the caller's turn; false at once where too many wait, or after the wait."""
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
    """Middleware: to hash a password takes much of a second of CPU on purpose.

    A worker does one at a time, so that a flood of log-ins takes one core at most; the requests of
    others go on. Too many get a 503.
    """

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
        with _login_queue.acquire_turn() as mine:
            if not mine:
                return HttpResponse(
                    "Too many log-ins at once. Try again in a moment.\n",
                    status=503,
                    headers={"Retry-After": "5"},
                )
            return view(request, *args, **kwargs)
