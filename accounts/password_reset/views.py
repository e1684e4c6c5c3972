"""/account/reset: a new password by mail, where an SMTP server is set.

Django's own views. What differs: mails go out in the background, a few an hour, and only to
accounts that log in with a password; the page says the same whether there is an account or not.
"""

import logging
from collections.abc import Iterator
from typing import Any, Final

from django.contrib import admin
from django.contrib.auth import views
from django.contrib.auth.forms import PasswordResetForm
from django.contrib.auth.models import User
from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse_lazy
from redis import RedisError

from accounts import mail
from accounts.backends import may_use_password

MAX_MAILS: Final = 5  # to one e-mail address within WINDOW_SECONDS
MAX_REQUESTS: Final = 20  # from one IP address within WINDOW_SECONDS
WINDOW_SECONDS: Final = 3600
log = logging.getLogger(__name__)


class ResetForm(PasswordResetForm):
    """Django's form for those who may log in with a password."""

    def get_users(self, email: str) -> Iterator[User]:
        for user in super().get_users(email):
            if user.is_staff and may_use_password(user.get_username()):
                yield user


class _MailPageMixin:
    """Pages that exist where mail can be sent, in the admin's look."""

    request: HttpRequest

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not mail.is_mail_enabled():
            raise Http404
        found: HttpResponseBase = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]  # of the view
        return found

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)  # type: ignore[misc]  # likewise
        return admin.site.each_context(self.request) | context


class ResetView(_MailPageMixin, views.PasswordResetView):
    """Ask for the e-mail address."""

    form_class = ResetForm
    template_name = "accounts/password_reset/form.html"
    email_template_name = "accounts/password_reset/mail.txt"
    subject_template_name = "accounts/password_reset/subject.txt"
    success_url = reverse_lazy("password-reset-sent")

    def form_valid(self, form: PasswordResetForm) -> HttpResponse:
        """Send the mail in the background: its time, too, would tell who has an account."""
        email, address = form.cleaned_data["email"].lower(), self.request.META["REMOTE_ADDR"]
        if _is_within(f"reset-from-{address}", MAX_REQUESTS) and _is_within(
            f"reset-to-{email}", MAX_MAILS
        ):
            secure, host = self.request.is_secure(), self.request.get_host()
            mail.run_in_background(
                "password reset",
                lambda: form.save(
                    use_https=secure,
                    domain_override=host,
                    email_template_name=self.email_template_name,
                    subject_template_name=self.subject_template_name,
                ),
            )
        else:
            log.warning("password resets asked for too often from %s: none sent", address)
        return super(views.PasswordResetView, self).form_valid(form)


class SentView(_MailPageMixin, views.PasswordResetDoneView):
    template_name = "accounts/password_reset/sent.html"


class ConfirmView(_MailPageMixin, views.PasswordResetConfirmView):
    """Ask for the new password; the link is good once, for PASSWORD_RESET_TIMEOUT."""

    template_name = "accounts/password_reset/confirm.html"
    success_url = reverse_lazy("password-reset-done")

    def get_user(self, uidb64: str) -> Any:
        user = super().get_user(uidb64)
        return user if user and user.is_active and may_use_password(user.get_username()) else None


class DoneView(_MailPageMixin, views.PasswordResetCompleteView):
    template_name = "accounts/password_reset/done.html"


def _is_within(key: str, limit: int) -> bool:
    """Count one more; whether it is within the limit. Without Redis nothing is counted."""
    try:
        cache.add(key, 0, WINDOW_SECONDS)
        return int(cache.incr(key)) <= limit
    except (RedisError, OSError, ValueError):
        return True
