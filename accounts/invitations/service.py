"""Make, find, accept and withdraw invitations."""

import hmac
import re
import secrets
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts import mail
from accounts.grants import GROUP_BY_ROLE, apply_access, describe_fault
from accounts.models import Invitation
from plans.access import is_tenant_bound
from plans.models import Tenant

MAX_DAYS: Final = 30
DEFAULT_DAYS: Final = 7
MAX_OPEN: Final = 500  # invitations
_TOKEN_PATTERN = re.compile(r"[A-Za-z0-9_-]{43}")
MAIL_TEXT: Final = """\
{inviter} invites you to Tokenthrift.

Choose a name and a password here, until {until:%Y-%m-%d %H:%M} UTC; the link works once:

{link}

If you expected no invitation, do nothing.
"""


def may_invite(user: User) -> bool:
    """Whether the person may invite at all: who may add users of the platform."""
    return bool(
        settings.LOCAL_LOGIN
        and user.is_active
        and user.is_staff
        and user.has_perm("auth.add_user")
        and not is_tenant_bound(user)
    )


def may_grant(user: User, role: str) -> bool:
    """Whether the role gives nothing that the person has not got themselves."""
    if user.is_superuser:
        return True
    granted = Permission.objects.filter(group__name=GROUP_BY_ROLE[role])
    held = Permission.objects.filter(Q(user=user) | Q(group__user=user))
    return not granted.exclude(pk__in=held.values("pk")).exists()


def create_invitation(
    *, by: User, role: str, tenant: Tenant | None, email: str = "", days: int = DEFAULT_DAYS
) -> tuple[Invitation, str]:
    """Create an invitation and return it with its token, which is returned only here.

    Raises ValidationError.
    """
    if fault := describe_fault(role, has_tenant=tenant is not None):
        raise ValidationError({"tenant": fault})
    if not may_invite(by) or not may_grant(by, role):
        raise ValidationError({"role": "This role may do more than you: you cannot give it."})
    now = timezone.now()
    if Invitation.objects.filter(used_at=None, withdrawn_at=None, expires_at__gt=now).count() >= (
        MAX_OPEN
    ):
        raise ValidationError(f"{MAX_OPEN} invitations are open, which are the most.")
    token = secrets.token_urlsafe(32)
    row = Invitation(
        digest=_compute_digest(token),
        role=role,
        tenant=tenant,
        email=email,
        invited_by=by,
        expires_at=now + timedelta(days=days),
    )
    row.full_clean(exclude=["digest"])
    row.save()
    return row, token


def mail_invitation(row: Invitation, link: str) -> bool:
    """Mail the link in the background; False if there is no address or no mail server."""
    if not row.email or not mail.is_mail_enabled():
        return False
    text = MAIL_TEXT.format(inviter=row.invited_by, until=row.expires_at, link=link)
    mail.run_in_background(
        f"invitation {row.pk}",
        lambda: mail.send_message(
            to=row.email, subject="You are invited to Tokenthrift", text=text
        ),
    )
    return True


def find_invitation(token: str, *, lock: bool = False) -> Invitation | None:
    """Return the invitation that the token opens at this moment; None for any other.

    It is dead if whoever invited may not give the role any more.
    """
    if not _TOKEN_PATTERN.fullmatch(token):
        return None
    rows = Invitation.objects.select_related("invited_by", "tenant")
    if lock:
        rows = rows.select_for_update(of=("self",))
    row = rows.filter(
        digest=_compute_digest(token),
        used_at=None,
        withdrawn_at=None,
        expires_at__gt=timezone.now(),
    ).first()
    if row is None or not may_invite(row.invited_by) or not may_grant(row.invited_by, row.role):
        return None
    return row


@transaction.atomic
def accept_invitation(token: str, *, user: User) -> User | None:
    """Save the new account with the invitation's role; None if the token opens none any more."""
    row = find_invitation(token, lock=True)  # of two at once the second finds it used
    if row is None:
        return None
    user.save()
    groups = Group.objects.filter(name=GROUP_BY_ROLE[row.role]).values_list("name", flat=True)
    apply_access(user, frozenset(groups), row.tenant)
    row.used_at, row.account = timezone.now(), user
    row.save(update_fields=["used_at", "account"])
    return user


def withdraw_invitation(row: Invitation) -> None:
    """Let the link work no more; withdrawing again changes nothing."""
    Invitation.objects.filter(pk=row.pk, used_at=None, withdrawn_at=None).update(
        withdrawn_at=timezone.now()
    )


def _compute_digest(token: str) -> str:
    return hmac.digest(settings.KEY_PEPPER.encode(), f"invitation {token}".encode(), "sha256").hex()
