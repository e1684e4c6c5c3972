"""A person's page in the admin, with how they log in."""

from typing import Any, Final

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.models import Identity, SecondFactor
from accounts.second_factor import service
from plans.admin.users import PersonAdmin

MAX_PEOPLE: Final = 200  # whom one action changes


class IdentityInline(admin.TabularInline):  # type: ignore[type-arg]  # generic in the stubs only
    """The identity provider's people whose account this is.

    Superusers alone add one: who adds their own could log in as this person.
    """

    model = Identity
    extra = 0
    fields = ("issuer", "subject", "used_at")
    readonly_fields = ("used_at",)
    verbose_name_plural = (
        "logs in at an identity provider as (role and tenant come from there at each log-in)"
    )

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(getattr(request.user, "is_superuser", False))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True  # of the page itself, which is checked first

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(getattr(request.user, "is_superuser", False))

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.name == "issuer":
            field.initial = settings.OIDC_ISSUER
        return field


@admin.action(description="Remove the second factor", permissions=["change"])
def remove_second_factors(
    page: "AccountAdmin", request: HttpRequest, queryset: QuerySet[User]
) -> None:
    """Remove the second factors of those whose account one may change."""
    people = list(queryset.select_related("second_factor")[:MAX_PEOPLE])
    removed = []
    for person in people:
        # Whoever may not change an account may not weaken its log-in either.
        if page.has_change_permission(request, person) and service.remove(person):
            page.log_change(request, person, "Removed the second factor.")
            removed.append(str(person))
    if removed:
        page.message_user(request, f"No second factor any more: {', '.join(removed)}.")
    others = len(people) - len(removed)
    if others:
        page.message_user(
            request,
            f"{others} of the selected people have none, or may do more than you.",
            messages.WARNING,
        )


admin.site.unregister(User)


@admin.register(User)
class AccountAdmin(PersonAdmin):
    """PersonAdmin with the ways to log in."""

    actions = (remove_second_factors,)

    @admin.display(description="Second factor", boolean=True)
    def second_factor_set_up(self, user: User) -> bool:
        # For a missing row Django raises a kind of AttributeError: getattr returns the default.
        device: SecondFactor | None = getattr(user, "second_factor", None)
        return device is not None and device.confirmed_at is not None

    def get_list_display(self, request: HttpRequest) -> Any:
        return (*super().get_list_display(request), "second_factor_set_up")

    def get_list_select_related(self, request: HttpRequest) -> Any:
        return (*PersonAdmin.list_select_related, "second_factor")

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        inlines = super().get_inlines(request, obj)
        shown = bool(obj) and (settings.OIDC_ISSUER or obj.identities.exists())
        return (*inlines, IdentityInline) if shown else inlines
