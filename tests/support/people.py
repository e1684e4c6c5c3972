"""Staff of each kind, logged in."""

from django.contrib.auth.models import Group, User
from django.test import Client

from plans.models import Membership, Tenant


def person(name: str, group: str, tenant: Tenant | None = None) -> User:
    """A member of staff in that group and of that tenant; None: of the platform."""
    # No password: hashing one takes a second.
    user: User = User.objects.create(username=name, is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    if tenant:
        Membership.objects.create(user=user, tenant=tenant)
    return user


def session(user: User) -> Client:
    """Refusals come back as replies, as a browser gets them."""
    client = Client(raise_request_exception=False)
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return client
