"""Admin pages of users and groups, with the tenant a user belongs to.

No user can raise their own rights here, nor through another account: who may set an account's
password, e-mail address or group could log in as its user.
"""

from typing import Any, Final, cast

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from plans.access import GROUP_NAMES
from plans.forms.edit_conflicts import EditConflictForm, EditConflictMixin
from plans.models import Membership
from plans.untrusted_text.whole_numbers import parse_positive

SUPERUSER_FIELDS: Final = ("is_superuser", "user_permissions")
DJANGO_MANAGED_FIELDS: Final = ("last_login", "date_joined")


class PersonForm(EditConflictForm, UserChangeForm):  # type: ignore[type-arg]  # generic in the stubs only
    """The change form of a user."""

    class Meta(UserChangeForm.Meta):
        pass


class MembershipInline(admin.StackedInline):  # type: ignore[type-arg]  # generic in the stubs only
    model = Membership
    extra = 1  # a user has at most one
    verbose_name_plural = "belongs to (empty: the platform, and with it every tenant)"


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(Group)
class GroupRightsAdmin(EditConflictMixin, GroupAdmin):
    """Group pages with edit conflicts: a stale page cannot restore a removed permission."""


@admin.register(User)
class PersonAdmin(EditConflictMixin, UserAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """User pages on which nobody grants more rights than they have.

    Only superusers manage superusers, single permissions and groups that an operator made. An
    account with more rights than one's own is read-only, and a group with more is not offered. So
    Django's warning that whoever may change users can become a superuser does not hold here.
    """

    form = PersonForm
    inlines = (MembershipInline,)
    list_display = ("username", "email", "first_name", "last_name", "is_staff", "belongs_to")
    list_select_related = ("membership__tenant",)

    @admin.display(description="Belongs to")
    def belongs_to(self, user: User) -> str:
        # For a missing row Django raises a kind of AttributeError: getattr returns the default.
        membership: Membership | None = getattr(user, "membership", None)
        return membership.tenant.slug if membership else "platform"

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        users: QuerySet[User] = super().get_queryset(request)
        return users if _is_superuser(request) else users.filter(is_superuser=False)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may change this account; Django's password page checks this too."""
        return super().has_change_permission(request, obj) and (
            obj is None or _has_all_permissions_of(request, obj)
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and (
            obj is None or _has_all_permissions_of(request, obj)
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        fields = (*super().get_readonly_fields(request, obj), *DJANGO_MANAGED_FIELDS)
        return fields if _is_superuser(request) else (*fields, *SUPERUSER_FIELDS)

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        # The page that adds a user has only the name and the password.
        return self.inlines if obj else ()

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer the account's present groups and built-in ones that grant no more than one has."""
        if db_field.name == "groups" and not _is_superuser(request):
            pk = (
                request.resolver_match.kwargs.get("object_id", "") if request.resolver_match else ""
            )
            user_id = parse_positive(pk)
            held = Q(user__pk=user_id) if user_id else Q()
            beyond = Permission.objects.exclude(
                pk__in=[each.pk for each in _list_permissions(cast(User, request.user))]
            )
            offered = Q(name__in=GROUP_NAMES) & ~Q(
                pk__in=Group.objects.filter(permissions__in=beyond)
            )
            kwargs["queryset"] = Group.objects.filter(offered | held).distinct()
        return super().formfield_for_manytomany(db_field, request, **kwargs)


def _is_superuser(request: HttpRequest) -> bool:
    return cast(User, request.user).is_superuser


def _has_all_permissions_of(request: HttpRequest, person: User) -> bool:
    """Whether the requesting user may do all this person may, or may again once reactivated."""
    asking = cast(User, request.user)
    if asking.is_superuser or asking.pk == person.pk:
        return True
    return not person.is_superuser and _list_permissions(person) <= _list_permissions(asking)


def _list_permissions(person: User) -> set[Permission]:
    """Return the user's own and their groups' permissions, of an inactive account too."""
    return set(Permission.objects.filter(Q(user=person) | Q(group__user=person)))
