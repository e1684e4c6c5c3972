"""Django's groups for the three kinds of people, made and completed after each migration. What an operator added to them stays."""

from typing import Any, Final

from django.apps import AppConfig
from django.apps import apps as today
from django.contrib.auth.management import create_permissions

from plans.people import OF_TENANTS, PLATFORM_ADMIN, TENANT_ADMIN, VIEWER

APPS: Final = ("plans", "stats", "proxy")
NOT_PLATFORM: Final = frozenset({"proxy.view_entry_text"})  # reading what people asked is granted to a person by name
USERS: Final = frozenset(f"auth.{action}_user" for action in ("view", "add", "change", "delete"))
# Of what a tenant's person may hold, what an operator may add to the group.
NOT_TENANT: Final = frozenset({"proxy.view_entry_text", "stats.view_cacheentry"})
SEEN: Final = frozenset({"stats.view_rollup", "stats.view_requestevent"})


def wanted(every: set[str]) -> dict[str, frozenset[str]]:
    """The permissions of each group, of those that there are ("app.codename")."""
    ours = {name for name in every if name.partition(".")[0] in APPS}
    return {
        PLATFORM_ADMIN: frozenset((ours - NOT_PLATFORM) | (USERS & every)),
        TENANT_ADMIN: frozenset((OF_TENANTS - NOT_TENANT) & every),
        VIEWER: frozenset(SEEN & every),
    }


def make_groups(sender: AppConfig, using: str, apps: Any = today, **_: object) -> None:
    """After the migration of an app (`apps`: the models as migrated), or a flush: its permissions first, as this may be called before
    Django makes them."""
    try:
        group_model, permission_model = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    except LookupError:  # migrated back to before there were any
        return
    create_permissions(sender, verbosity=0, using=using, apps=apps)
    rows = permission_model.objects.using(using).select_related("content_type")
    found = {f"{row.content_type.app_label}.{row.codename}": row for row in rows}
    for name, permissions in wanted(set(found)).items():
        group, _made = group_model.objects.using(using).get_or_create(name=name)
        group.permissions.add(*(found[permission] for permission in permissions))
