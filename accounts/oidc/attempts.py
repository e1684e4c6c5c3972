"""A log-in that was begun and is not over: state, nonce and PKCE verifier, in a signed cookie.

Nothing is stored here for it, so that strangers who begin log-ins fill no table.
"""

import hmac
import secrets
from dataclasses import asdict, dataclass
from typing import Final
from urllib.parse import urlencode

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.oidc.conf import OidcSettings
from accounts.oidc.errors import AttemptInvalid

COOKIE: Final = "tokenthrift_sso"
ATTEMPT_SECONDS: Final = 600  # to log in at the provider
SALT: Final = "accounts.oidc.attempts"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One log-in. The provider sends `state` back, and puts `nonce` into the ID token."""

    state: str
    nonce: str
    verifier: str
    next: str

    def __repr__(self) -> str:
        return "Attempt(...)"


def begin_attempt(next_url: str) -> Attempt:
    """Make an attempt of random values: 256 bits each."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    return Attempt(state, nonce, verifier, next_url)


def build_authorization_url(
    endpoint: str, attempt: Attempt, config: OidcSettings, redirect_uri: str
) -> str:
    """Return where the browser is sent: code flow with PKCE (RFC 7636), state and nonce."""
    query = urlencode(
        {
            "response_type": "code",
            "client_id": config.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(config.scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": create_s256_code_challenge(attempt.verifier),
            "code_challenge_method": "S256",
        }
    )
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"


def keep_attempt(response: HttpResponse, attempt: Attempt) -> None:
    """Give the attempt to the browser that began it. A second one replaces it."""
    response.set_cookie(
        COOKIE,
        signing.dumps(asdict(attempt), salt=SALT),
        max_age=ATTEMPT_SECONDS,
        path=reverse("sso-callback"),  # the only page that reads it
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",  # the provider's reply comes from its own page
    )


def end_attempt(response: HttpResponse) -> None:
    """Take the attempt back, whatever came of it: it is good for one reply."""
    response.delete_cookie(COOKIE, path=reverse("sso-callback"), samesite="Lax")


def read_attempt(request: HttpRequest) -> Attempt:
    """Return the attempt that the reply belongs to. Raises AttemptInvalid."""
    try:
        attempt = Attempt(
            **signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=ATTEMPT_SECONDS)
        )
    except signing.SignatureExpired:
        raise AttemptInvalid("the log-in took too long") from None
    except (signing.BadSignature, TypeError):
        raise AttemptInvalid("the browser has no log-in that was begun") from None
    if not hmac.compare_digest(attempt.state.encode(), request.GET.get("state", "").encode()):
        raise AttemptInvalid("the state is not that of the browser's log-in")
    return attempt
