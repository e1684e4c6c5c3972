"""/sso/login and /sso/callback: log in at the identity provider."""

import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME, login
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.oidc import attempts, provider
from accounts.oidc.conf import OidcSettings, is_oidc_enabled, load_oidc_settings
from accounts.oidc.errors import ProviderUnavailable, SignOnRefused, TokenInvalid
from accounts.oidc.service import sign_in

BACKEND: Final = "accounts.backends.OidcBackend"
LOGOUT_SESSION_KEY: Final = "sso_logout"
MAX_LOGINS: Final = 8  # of a worker, that wait for the provider at once
MAX_CODE_LENGTH: Final = 4096
log = logging.getLogger(__name__)
_login_slots = threading.BoundedSemaphore(MAX_LOGINS)


@never_cache
@require_GET
def begin_login(request: HttpRequest) -> HttpResponse:
    """Send the browser to the identity provider."""
    config = _load_config()
    try:
        with _hold_login_slot():
            metadata = async_to_sync(provider.fetch_metadata)(config)
    except SignOnRefused as refusal:
        return _refuse(request, refusal)
    attempt = attempts.begin_attempt(_read_next(request))
    response = HttpResponseRedirect(
        attempts.build_authorization_url(
            metadata["authorization_endpoint"], attempt, config, _build_redirect_uri(request)
        )
    )
    attempts.keep_attempt(response, attempt)
    return response


@never_cache
@require_GET
def finish_login(request: HttpRequest) -> HttpResponse:
    """Take the provider's reply and log its subject in, or say why not."""
    config = _load_config()
    try:
        user, next_url = _log_in(request, config)
    except SignOnRefused as refusal:
        response = _refuse(request, refusal)
    else:
        log.info("log-in by OIDC: %s from %s", user, request.META.get("REMOTE_ADDR"))
        response = HttpResponseRedirect(next_url)
    attempts.end_attempt(response)
    return response


def _log_in(request: HttpRequest, config: OidcSettings) -> tuple[User, str]:
    attempt = attempts.read_attempt(request)
    with _hold_login_slot():
        claims = async_to_sync(provider.fetch_claims)(
            config,
            code=_read_code(request, config),
            verifier=attempt.verifier,
            redirect_uri=_build_redirect_uri(request),
            nonce=attempt.nonce,
        )
    user = sign_in(claims, config)
    login(request, user, backend=BACKEND)
    request.session[LOGOUT_SESSION_KEY] = provider.build_logout_url(
        config.issuer, config.client_id, request.build_absolute_uri(reverse(settings.LOGIN_URL))
    )
    return user, attempt.next


def _read_code(request: HttpRequest, config: OidcSettings) -> str:
    """Return the code. Raises TokenInvalid for an error in its place, or another issuer's reply."""
    if error := request.GET.get("error"):
        raise TokenInvalid(
            f"the provider refused: {error[:100]!r} "
            f"{request.GET.get('error_description', '')[:300]!r}"
        )
    # RFC 9207: a provider that names itself in its reply must be the one that was asked.
    if request.GET.get("iss", config.issuer) != config.issuer:
        raise TokenInvalid(f"the reply is of issuer {request.GET['iss'][:200]!r}")
    code = request.GET.get("code", "")
    if not 0 < len(code) <= MAX_CODE_LENGTH:
        raise TokenInvalid("the reply has no code")
    return code


@contextmanager
def _hold_login_slot() -> Iterator[None]:
    """Hold one of a few places, so that a slow provider takes few threads."""
    if not _login_slots.acquire(blocking=False):
        raise ProviderUnavailable(f"{MAX_LOGINS} log-ins wait for the provider already")
    try:
        yield
    finally:
        _login_slots.release()


def _refuse(request: HttpRequest, refusal: SignOnRefused) -> HttpResponse:
    reference = secrets.token_hex(4)
    log.warning(
        "log-in by OIDC refused (%s, reference %s, from %s): %s",
        type(refusal).__name__,
        reference,
        request.META.get("REMOTE_ADDR"),
        refusal.detail,
    )
    context: dict[str, Any] = {"refusal": refusal, "reference": reference}
    return render(request, "accounts/sign_on_refused.html", context, status=refusal.status)


def _load_config() -> OidcSettings:
    if not is_oidc_enabled():
        raise Http404
    return load_oidc_settings()


def _build_redirect_uri(request: HttpRequest) -> str:
    return request.build_absolute_uri(reverse("sso-callback"))


def _read_next(request: HttpRequest) -> str:
    """Return the page that was asked for, if it is one of this site."""
    wanted = request.GET.get(REDIRECT_FIELD_NAME, "")
    allowed = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    # The cookie that holds it has room for 4 KB.
    return wanted if allowed and len(wanted) <= 1000 else resolve_url(settings.LOGIN_REDIRECT_URL)
