"""The admin site with the log-in page's button for an identity provider."""

from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

DEFAULT_BUTTON: Final = "Log in with single sign-on"


class GatewayAdminSite(AdminSite):
    """Django's admin site with our log-in and log-out pages."""

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        wanted = request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(REDIRECT_FIELD_NAME)
        query = f"?{urlencode({REDIRECT_FIELD_NAME: wanted})}" if wanted else ""
        context = {
            "sso_url": f"{reverse('sso-login')}{query}" if settings.OIDC_ISSUER else "",
            "sso_button": settings.OIDC_BUTTON or DEFAULT_BUTTON,
            "local_login": settings.LOCAL_LOGIN,
        }
        return super().login(request, context | (extra_context or {}))

    def logout(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        # Read before the session ends.
        context = {"sso_logout_url": request.session.get("sso_logout", "")}
        return super().logout(request, context | (extra_context or {}))
