"""Make, find and revoke personal API tokens."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import ApiToken
from accounts.tokens.scopes import list_resources
from plans import key_secrets

MAX_TOKENS: Final = 50  # live ones of a person
USE_SECONDS: Final = 60  # between two writes of a token's last use


def issue_token(row: ApiToken) -> str:
    """Give an unsaved token its secret and save it; the secret is returned only here.

    Raises ValidationError for a resource that does not exist, and beyond MAX_TOKENS.
    """
    unknown = sorted(set(row.resources) - set(list_resources()))
    if unknown:
        raise ValidationError(
            {
                "resources": f"There is no {', '.join(unknown)}: choose among "
                f"{', '.join(list_resources())}."
            }
        )
    with transaction.atomic():
        User.objects.select_for_update().get(pk=row.user_id)  # or two at once could pass the limit
        live = count_live_tokens(row.user)
        if live >= MAX_TOKENS:
            raise ValidationError(
                f"{row.user} has {live} live tokens, and {MAX_TOKENS} are the most: revoke one."
            )
        new = key_secrets.generate_key(key_secrets.PERSONAL_KEY_KIND, pepper=settings.KEY_PEPPER)
        row.prefix, row.digest = new.prefix, new.digest
        row.save()
    return new.secret


def create_token(
    *, user: User, name: str, access: str, resources: Sequence[str] = (), days: int
) -> tuple[ApiToken, str]:
    """Create a token and return it with its secret. Raises ValidationError."""
    if not 1 <= days <= settings.TOKEN_DAYS:
        raise ValidationError(
            {"days": f"A token lives 1 to {settings.TOKEN_DAYS} days (TOKENTHRIFT_TOKEN_DAYS)."}
        )
    row = ApiToken(
        user=user,
        name=name,
        access=access,
        resources=sorted(set(resources)),
        expires_at=timezone.now() + timedelta(days=days),
    )
    row.full_clean(exclude=["prefix", "digest"])
    return row, issue_token(row)


def count_live_tokens(user: User) -> int:
    return ApiToken.objects.filter(
        user=user, revoked_at=None, expires_at__gt=timezone.now()
    ).count()


def find_token(secret: str) -> ApiToken | None:
    """Return the live token of somebody who may still log in; None for any other."""
    digest = key_secrets.compute_key_digest(secret, pepper=settings.KEY_PEPPER)
    return (
        ApiToken.objects.filter(
            digest=digest,
            revoked_at=None,
            expires_at__gt=timezone.now(),
            user__is_active=True,
            user__is_staff=True,
        )
        .select_related("user")
        .first()
    )


def note_use(token: ApiToken, address: str) -> None:
    """Note when and from where the token was used, once in USE_SECONDS."""
    now = timezone.now()
    stale = Q(used_at=None) | Q(used_at__lt=now - timedelta(seconds=USE_SECONDS))
    if token.used_at is None or (now - token.used_at).total_seconds() > USE_SECONDS:
        ApiToken.objects.filter(stale, pk=token.pk).update(used_at=now, used_from=address or None)


def revoke_token(token: ApiToken) -> None:
    """Revoke the token, at once; revoking again changes nothing."""
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
