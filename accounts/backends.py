"""Authentication backends: who may log in with a password, and sessions of an OIDC log-in."""

from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from accounts.models import Identity
from accounts.oidc.conf import is_oidc_enabled


class PasswordPolicyBackend:
    """Refuses passwords of accounts that log in otherwise.

    Those are the accounts of an identity provider's people, and with TOKENTHRIFT_LOCAL_LOGIN=no all
    but the break-glass accounts. It comes before the backend that checks passwords.
    """

    def authenticate(
        self, request: Any, username: str | None = None, password: str | None = None, **_: Any
    ) -> None:
        if username is not None and password is not None and not may_use_password(username):
            # As long as a wrong password takes, or the time would tell whose accounts these are.
            make_password(password)
            raise PermissionDenied


class OidcBackend:
    """Keeps sessions of an OIDC log-in, for as long as account and identity last.

    Permissions come from Django's own backend.
    """

    def authenticate(self, request: Any, **_: Any) -> None:
        return None

    def get_user(self, user_id: int) -> User | None:
        """Return the account of a session; None ends the session."""
        known = Identity.objects.filter(user_id=user_id, issuer=settings.OIDC_ISSUER)
        user = User.objects.filter(pk=user_id, is_active=True).first()
        return user if user and is_oidc_enabled() and known.exists() else None


def may_use_password(username: str) -> bool:
    """Whether the settings let this account log in with a password."""
    if not settings.LOCAL_LOGIN and username not in settings.BREAK_GLASS:
        return False
    # PostgreSQL stores no NUL: such a name is nobody's.
    if "\x00" in username or not is_oidc_enabled():
        return True
    return not Identity.objects.filter(user__username=username).exists()
