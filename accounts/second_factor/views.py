"""/account/code, asked after the password, and /account/second-factor, where it is set up."""

from typing import Any, Final

import segno
from axes.handlers.proxy import AxesProxyHandler
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_login_failed
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.second_factor import service
from accounts.second_factor.pending_login import end_pending_login, read_pending_login
from accounts.second_factor.service import TooManyCodes

WRONG_CODE: Final = (
    "This is not the app's present code, or it was used before. Wait for the next one."
)


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "POST"])
def code_page(request: HttpRequest) -> HttpResponse:
    """Ask for the second factor of a log-in whose password was right."""
    pending = read_pending_login(request)
    if pending is None:
        return _to_login()
    if not service.has_second_factor(pending.user):
        return HttpResponseRedirect(reverse("second-factor"))
    error = ""
    if request.method == "POST":
        try:
            right = _check_login_code(request, pending.user)
        except TooManyCodes as refusal:
            return _show_code_form(request, str(refusal), status=429)
        if right:
            _finish_login(request, pending.user, pending.backend)
            return HttpResponseRedirect(pending.next_url)
        error = WRONG_CODE
    return _show_code_form(request, error)


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "POST"])
def set_up_page(request: HttpRequest) -> HttpResponse:
    """Show, set up or remove one's second factor; also in the middle of a log-in that wants one."""
    pending = read_pending_login(request)
    user = request.user if isinstance(request.user, User) else None
    if pending is not None and not service.has_second_factor(pending.user):
        user = pending.user
    if user is None:
        return _to_login()
    if not service.may_have_one(user):
        return _render(request, "elsewhere.html", {})
    try:
        if request.method == "POST":
            return _change(request, user, in_login=pending is not None)
        return _show_state(request, user)
    except TooManyCodes as refusal:
        return _show_state(request, user, error=str(refusal), status=429)


def _change(request: HttpRequest, user: User, *, in_login: bool) -> HttpResponse:
    typed = request.POST.get("code", "")
    if service.has_second_factor(user):
        if not service.check_code(user, typed):
            return _show_state(request, user, error=WRONG_CODE)
        service.remove(user)
        messages.success(request, "Your second factor is removed.")
        return HttpResponseRedirect(reverse("second-factor"))
    recovery = service.confirm(user, typed)
    if recovery is None:
        return _show_state(request, user, error=WRONG_CODE)
    next_url = reverse("admin:index")
    if in_login and (pending := read_pending_login(request)):
        next_url = pending.next_url
        _finish_login(request, user, pending.backend)
    return _render(request, "recovery_codes.html", {"codes": recovery, "next_url": next_url})


def _show_state(
    request: HttpRequest, user: User, *, error: str = "", status: int = 200
) -> HttpResponse:
    context: dict[str, Any] = {"error": error, "required": settings.REQUIRE_SECOND_FACTOR}
    if service.has_second_factor(user):
        context["device"] = user.second_factor
        return _render(request, "present.html", context, status=status)
    device = service.begin_set_up(user)
    picture = segno.make(service.build_uri(device), error="m").svg_inline(
        scale=5, border=4, dark="#000", light="#fff", title="QR code for your authenticator app"
    )
    secret = service.read_secret(device)
    context |= {
        "picture": picture,
        "secret": " ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        "username": user.get_username(),
    }
    return _render(request, "set_up.html", context, status=status)


def _check_login_code(request: HttpRequest, user: User) -> bool:
    """Whether the code is right; a wrong one counts as a failed log-in. Raises TooManyCodes."""
    credentials = {"username": user.get_username()}
    if not AxesProxyHandler.is_allowed(request, credentials):
        raise TooManyCodes(int(settings.AXES_COOLOFF_TIME.total_seconds()))
    if service.check_code(user, request.POST.get("code", "")):
        return True
    user_login_failed.send(sender=__name__, credentials=credentials, request=request)
    return False


def _finish_login(request: HttpRequest, user: User, backend: str) -> None:
    end_pending_login(request)
    login(request, user, backend=backend)


def _show_code_form(request: HttpRequest, error: str, *, status: int = 200) -> HttpResponse:
    return _render(request, "code.html", {"error": error}, status=status)


def _render(
    request: HttpRequest, name: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    context = admin.site.each_context(request) | {"title": "Second factor"} | context
    return render(request, f"accounts/second_factor/{name}", context, status=status)


def _to_login() -> HttpResponse:
    return HttpResponseRedirect(reverse(settings.LOGIN_URL))
