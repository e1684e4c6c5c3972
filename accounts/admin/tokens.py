"""Admin pages of API tokens: everybody's own; those who manage people see and revoke others'."""

from datetime import timedelta
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import get_script_prefix, reverse
from django.utils import timezone

from accounts.models import ApiToken
from accounts.tokens import service
from accounts.tokens.scopes import list_resources
from plans.access import is_tenant_bound
from plans.admin.tenant_scope import TenantScopedAdmin

DEFAULT_DAYS = 90


class ApiTokenForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """The form of a new token; `user` is who sends it."""

    resources = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="What of the API it reaches. None ticked: everything.",
    )
    days = forms.IntegerField(min_value=1, label="Expires after (days)")

    class Meta:
        model = ApiToken
        fields = ("name", "access", "resources")
        help_texts = {"name": "What uses this token."}  # noqa: RUF012 - as Django declares it

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "days" not in self.fields:  # a saved token is not changed
            return
        resources = cast(forms.MultipleChoiceField, self.fields["resources"])
        resources.choices = [(name, name) for name in list_resources()]
        days = cast(forms.IntegerField, self.fields["days"])
        days.initial = min(DEFAULT_DAYS, settings.TOKEN_DAYS)
        days.max_value = settings.TOKEN_DAYS
        days.help_text = f"1 to {settings.TOKEN_DAYS}."

    def clean_days(self) -> int:
        days: int = self.cleaned_data["days"]
        if days > settings.TOKEN_DAYS:
            raise ValidationError(f"{settings.TOKEN_DAYS} days are the most.")
        return days


@admin.action(description="Revoke the selected tokens", permissions=["change"])
def revoke_tokens(
    page: "ApiTokenAdmin", request: HttpRequest, queryset: QuerySet[ApiToken]
) -> HttpResponse | None:
    """Ask for confirmation, then revoke the tokens; None returns to the list."""
    tokens = list(queryset.filter(revoked_at=None)[:200])
    if not tokens:
        page.message_user(request, "The selected tokens are revoked already.")
        return None
    if "sure" not in request.POST:
        context = page.admin_site.each_context(request) | {
            "title": "Revoke this token?" if len(tokens) == 1 else f"Revoke {len(tokens)} tokens?",
            "opts": page.opts,
            "tokens": tokens,
            "checkbox": helpers.ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "accounts/revoke_tokens.html", context)
    for token in tokens:
        service.revoke_token(token)
        page.log_change(request, token, "Revoked.")
    count = "1 token was" if len(tokens) == 1 else f"{len(tokens)} tokens were"
    page.message_user(request, f"{count} revoked, and is refused from now on.")
    return None


@admin.register(ApiToken)
class ApiTokenAdmin(TenantScopedAdmin):
    """Pages of tokens; they take no permission beside staff status, since a token gives none."""

    form = ApiTokenForm
    tenant_column = ""  # a token is a person's
    list_display = (
        "name",
        "prefix",
        "user",
        "access",
        "reaches",
        "created_at",
        "expires_at",
        "used_at",
        "live",
    )
    list_select_related = ("user",)
    search_fields = ("name", "prefix", "user__username")
    search_help_text = "By name, person, or the first characters of the token"
    empty_value_display = "–"
    actions = (revoke_tokens,)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return ("name", "access", "resources", "days")
        return self.get_readonly_fields(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return ()
        dates = ("created_at", "expires_at", "revoked_at", "used_at", "used_from")
        return ("name", "prefix", "user", "access", "reaches", *dates)

    def filter_tenant_rows(self, rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
        """Return one's own tokens, and those of the people whom one manages."""
        user = cast(User, request.user)
        if user.is_superuser:
            return rows
        mine = Q(user=user)
        return rows.filter(mine | Q(user__is_superuser=False) if _manages_people(user) else mine)

    def _may_access(self, request: HttpRequest, obj: Model | None, *, read: bool = False) -> bool:
        token, user = cast("ApiToken | None", obj), cast(User, request.user)
        if token is None or token.user_id == user.pk or user.is_superuser:
            return True
        return _manages_people(user) and not token.user.is_superuser

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _is_staff(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_staff(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_staff(request) and self._may_access(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the token may be revoked; its page has nothing to change."""
        return _is_staff(request) and self._may_access(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # revoked tokens stay, to be found by what a log says of them

    @admin.display(description="Reaches")
    def reaches(self, token: ApiToken) -> str:
        return ", ".join(token.resources) or "everything"

    @admin.display(boolean=True)
    def live(self, token: ApiToken) -> bool:
        return token.is_live(timezone.now())

    def get_list_filter(self, request: HttpRequest) -> Any:
        return ("access",)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the form, unless one has as many tokens as there may be."""
        if service.count_live_tokens(cast(User, request.user)) >= service.MAX_TOKENS:
            self.message_user(
                request,
                f"You have {service.MAX_TOKENS} live tokens, which are the most: revoke one first.",
                messages.WARNING,
            )
            return HttpResponseRedirect(reverse("admin:accounts_apitoken_changelist"))
        return super().add_view(request, form_url, extra_context)

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        made = form.save(commit=False)
        if not change:
            made.user = request.user
            made.expires_at = timezone.now() + timedelta(days=form.cleaned_data["days"])
        return made

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        if not change:
            # For `response_add` only: the secret never gets into a session or message store.
            obj.__dict__["secret"] = service.issue_token(obj)

    def response_add(
        self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the secret, this once."""
        context = self.admin_site.each_context(request) | {
            "title": "Copy the token now",
            "opts": self.opts,
            "token": obj,
            "secret": obj.__dict__.pop("secret"),
            "address": request.build_absolute_uri(
                f"{get_script_prefix()}token-saving/{_pick_example(obj)}"
            ),
        }
        return TemplateResponse(request, "accounts/token_created.html", context)


def _pick_example(token: ApiToken) -> str:
    """Return a path that this token may read."""
    return "stats" if not token.resources or "stats" in token.resources else token.resources[0]


def _is_staff(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_staff", False) and request.user.is_active)


def _manages_people(user: User) -> bool:
    return user.has_perm("auth.change_user") and not is_tenant_bound(user)
