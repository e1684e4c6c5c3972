"""A log-in whose password was right and whose second factor is not shown yet, in the session."""

import time
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import User
from django.http import HttpRequest

PENDING_KEY: Final = "pending_login"
PENDING_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """Whose log-in it is, by which backend, and the page that follows."""

    user: User
    backend: str
    next_url: str


def keep_pending_login(request: HttpRequest, pending: PendingLogin) -> None:
    """Keep it in a session of its own: whoever was logged in before is not any more."""
    request.session.flush()
    request.session[PENDING_KEY] = {
        "user": pending.user.pk,
        # A password that is changed meanwhile ends it, as it ends sessions.
        "hash": pending.user.get_session_auth_hash(),
        "backend": pending.backend,
        "next": pending.next_url,
        "at": time.time(),
    }
    request.session.set_expiry(PENDING_SECONDS)


def read_pending_login(request: HttpRequest) -> PendingLogin | None:
    """Return the session's pending log-in; None if there is none, or none any more."""
    kept = request.session.get(PENDING_KEY)
    if not kept or time.time() - kept["at"] > PENDING_SECONDS:
        return None
    user = User.objects.filter(pk=kept["user"], is_active=True).first()
    if user is None or user.get_session_auth_hash() != kept["hash"]:
        return None
    return PendingLogin(user, kept["backend"], kept["next"])


def end_pending_login(request: HttpRequest) -> None:
    """Forget it, so that a full session begins with nothing of it."""
    request.session.pop(PENDING_KEY, None)
    request.session.set_expiry(None)
