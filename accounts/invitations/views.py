"""/account/invitation/<token>: choose a name and a password."""

import logging
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.invitations import service
from accounts.models import Invitation

log = logging.getLogger(__name__)


class AcceptanceForm(BaseUserCreationForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Name, e-mail address and password of a new account."""

    email = forms.EmailField(
        required=False,
        label="E-mail address",
        help_text="For a new password, should you forget yours.",
    )

    class Meta:
        model = User
        fields = ("username", "email")

    def clean_username(self) -> str:
        username: str = self.cleaned_data["username"]
        if User.objects.filter(username__iexact=username).exists():
            raise forms.ValidationError("Somebody has this name already: choose another.")
        return username


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "POST"])
def invitation_page(request: HttpRequest, token: str) -> HttpResponse:
    """Show the form, or make the account. A dead link looks like one that never was."""
    invitation = service.find_invitation(token)
    if invitation is None:
        return _render(request, "dead.html", {}, status=404)
    form = AcceptanceForm(request.POST or None, initial={"email": invitation.email})
    if request.method != "POST" or not form.is_valid():
        return _show_form(request, form, invitation)
    user = service.accept_invitation(token, user=form.save(commit=False))
    if user is None:
        return _render(request, "dead.html", {}, status=404)
    log.info("invitation %d accepted: %s", invitation.pk, user)
    return _render(request, "accepted.html", {"username": user.get_username()})


def _show_form(request: HttpRequest, form: AcceptanceForm, invitation: Invitation) -> HttpResponse:
    return _render(request, "accept.html", {"form": form, "invitation": invitation})


def _render(
    request: HttpRequest, name: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    context = admin.site.each_context(request) | {"title": "Invitation"} | context
    return render(request, f"accounts/invitations/{name}", context, status=status)
