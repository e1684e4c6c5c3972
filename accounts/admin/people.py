"""A person's page in the admin, with how they log in."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest

from accounts.models import Identity
from plans.admin.users import PersonAdmin


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


admin.site.unregister(User)


@admin.register(User)
class AccountAdmin(PersonAdmin):
    """PersonAdmin with the ways to log in."""

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        inlines = super().get_inlines(request, obj)
        shown = bool(obj) and (settings.OIDC_ISSUER or obj.identities.exists())
        return (*inlines, IdentityInline) if shown else inlines
