"""Admin pages of invitations: made, their link shown once, withdrawn."""

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from accounts.invitations import service
from accounts.mail import is_mail_enabled
from accounts.models import Invitation


class InvitationForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """The form of a new invitation; `user` is who invites, set by the page."""

    user: User
    days = forms.IntegerField(
        min_value=1,
        max_value=service.MAX_DAYS,
        initial=service.DEFAULT_DAYS,
        label="Good for (days)",
        help_text=f"1 to {service.MAX_DAYS}.",
    )

    class Meta:
        model = Invitation
        fields = ("role", "tenant", "email")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "email" in self.fields:
            self.fields["email"].help_text = (
                "The link is mailed there, and shown to you."
                if is_mail_enabled()
                else "Optional: no mail server is set, so you pass the link on yourself."
            )

    def clean(self) -> dict[str, Any]:
        """Make the invitation: what is wrong with it is said beside the field."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors and self.instance.pk is None:
            wanted = {name: data[name] for name in ("role", "tenant", "email", "days")}
            self.made = service.create_invitation(by=self.user, **wanted)
        return data


@admin.action(description="Withdraw the selected invitations", permissions=["change"])
def withdraw_invitations(
    page: "InvitationAdmin", request: HttpRequest, queryset: QuerySet[Invitation]
) -> None:
    """Withdraw the open ones."""
    rows = list(queryset.filter(used_at=None, withdrawn_at=None)[:200])
    for row in rows:
        service.withdraw_invitation(row)
        page.log_change(request, row, "Withdrawn.")
    count = "1 invitation" if len(rows) == 1 else f"{len(rows)} invitations"
    page.message_user(request, f"{count} withdrawn: the links work no more.")


@admin.register(Invitation)
class InvitationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Pages for who may add users; they need no permission of their own."""

    form = InvitationForm
    list_display = ("__str__", "invited_by", "created_at", "expires_at", "state", "account")
    list_select_related = ("tenant", "invited_by", "account")
    list_filter = ("role",)
    search_fields = ("email", "account__username", "invited_by__username")
    empty_value_display = "–"
    actions = (withdraw_invitations,)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return ("role", "tenant", "email", "days")
        return self.get_readonly_fields(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return ()
        times = ("created_at", "expires_at", "used_at", "withdrawn_at")
        return ("role", "tenant", "email", "invited_by", "state", *times, "account")

    @admin.display(description="State")
    def state(self, row: Invitation) -> str:
        return row.describe_state(timezone.now())

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _may_invite(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _may_invite(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _may_invite(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _may_invite(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a used one says who let whom in

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        form = super().get_form(request, *args, **kwargs)
        return type(form.__name__, (form,), {"user": cast(User, request.user)})

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        return form.instance if change else form.made[0]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.__dict__["token"] = form.made[1]  # for `response_add` only

    def save_related(self, *args: Any, **kwargs: Any) -> None:
        pass  # the form saved the row itself

    def response_add(
        self, request: HttpRequest, obj: Invitation, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the link, this once."""
        path = reverse("invitation", args=[obj.__dict__.pop("token")])
        link = request.build_absolute_uri(path)
        context = self.admin_site.each_context(request) | {
            "title": "Pass the link on",
            "opts": self.opts,
            "invitation": obj,
            "link": link,
            "mailed": service.mail_invitation(obj, link),
        }
        return TemplateResponse(request, "accounts/invitations/created.html", context)


def _may_invite(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and service.may_invite(request.user)
