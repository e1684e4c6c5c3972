"""The admin site with the log-in page's button for an identity provider."""

from typing import Any, Final, cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

from accounts.mail import is_mail_enabled
from accounts.second_factor.pending_login import PendingLogin, keep_pending_login
from accounts.second_factor.service import has_second_factor, needs_set_up

DEFAULT_BUTTON: Final = "Log in with single sign-on"


class GatewayLoginView(LoginView):
    """Django's log-in view; an account with a second factor is asked for it before it is in."""

    def form_valid(self, form: Any) -> HttpResponse:
        user = form.get_user()
        asked = has_second_factor(user)
        if not asked and not needs_set_up(user):
            return super().form_valid(form)
        pending = PendingLogin(user, user.backend, self.get_success_url())
        keep_pending_login(self.request, pending)
        return HttpResponseRedirect(reverse("login-code" if asked else "second-factor"))


class GatewayAdminSite(AdminSite):
    """Django's admin site with our log-in and log-out pages."""

    @method_decorator(never_cache)
    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the log-in page, and take a password to the second factor or to its set-up.

        As Django's own but for the view, which Django leaves no place to name.
        """
        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(reverse("admin:index"))
        wanted = request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(REDIRECT_FIELD_NAME)
        query = f"?{urlencode({REDIRECT_FIELD_NAME: wanted})}" if wanted else ""
        context = {
            "sso_url": f"{reverse('sso-login')}{query}" if settings.OIDC_ISSUER else "",
            "sso_button": settings.OIDC_BUTTON or DEFAULT_BUTTON,
            "local_login": settings.LOCAL_LOGIN,
            "reset_url": reverse("password-reset") if is_mail_enabled() else "",
        }
        context |= self.each_context(request) | {
            "title": "Log in",
            "subtitle": None,
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
        }
        if wanted is None:
            context[REDIRECT_FIELD_NAME] = reverse("admin:index")
        view = GatewayLoginView.as_view(
            extra_context=context | (extra_context or {}),
            authentication_form=AdminAuthenticationForm,
            template_name="admin/login.html",
        )
        request.current_app = self.name
        return cast(HttpResponse, view(request))

    def logout(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        # Read before the session ends.
        context = {"sso_logout_url": request.session.get("sso_logout", "")}
        return super().logout(request, context | (extra_context or {}))
