"""How people log in, beside Django's password."""

from datetime import datetime

from django.conf import settings
from django.db import models

from plans.models import Key, Tenant


class Identity(models.Model):
    """A person at an OIDC provider, and the account that is theirs here.

    Matched by issuer and subject alone: an e-mail address can be given to somebody else.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="identities"
    )
    issuer = models.CharField(max_length=500)
    subject = models.CharField(
        max_length=255, help_text="The claim `sub`: the provider's own, unchanging name."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField("last log-in", null=True, blank=True, editable=False)

    class Meta:
        verbose_name_plural = "identities"
        constraints = (
            models.UniqueConstraint(fields=("issuer", "subject"), name="one_account_per_subject"),
        )

    def __str__(self) -> str:
        return f"{self.subject} at {self.issuer}"


class ApiToken(Key):
    """A person's token for /token-saving: it may do at most what the person may at that moment."""

    class Access(models.TextChoices):
        READ = "read", "read"
        WRITE = "write", "read and write"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    access = models.CharField(max_length=8, choices=Access.choices, default=Access.READ)
    resources = models.JSONField(
        default=list, blank=True, help_text="What of the API it reaches. Empty: everything."
    )
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField("last used", null=True, blank=True, editable=False)
    used_from = models.GenericIPAddressField(
        "last used from", null=True, blank=True, editable=False
    )

    class Meta(Key.Meta):
        verbose_name = "API token"

    def is_live(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and self.expires_at > now


class SecondFactor(models.Model):
    """The authenticator app of a local account (TOTP, RFC 6238); it counts once confirmed."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="second_factor",
    )
    sealed_secret = models.BinaryField(editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    confirmed_at = models.DateTimeField(null=True, editable=False)
    # No code of this time step, or an earlier one, is accepted again.
    last_step = models.BigIntegerField(default=0, editable=False)
    recovery_digests = models.JSONField(default=list, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)
    failed_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return f"second factor of {self.user}"


class Invitation(models.Model):
    """A link with which one person makes themselves an account of a given role."""

    class Role(models.TextChoices):
        VIEWER = "viewer", "Viewer"
        TENANT_ADMIN = "tenant-admin", "Tenant admin"
        PLATFORM_ADMIN = "platform-admin", "Platform admin"

    digest = models.CharField(max_length=64, unique=True, editable=False)
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.VIEWER)
    tenant = models.ForeignKey(
        Tenant,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="Empty: the platform, and with it every tenant.",
    )
    email = models.EmailField("e-mail address", blank=True)
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(editable=False)
    withdrawn_at = models.DateTimeField(null=True, editable=False)
    used_at = models.DateTimeField(null=True, editable=False)
    account = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        editable=False,
    )

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        place = f" of {self.tenant}" if self.tenant else ""
        return f"{self.get_role_display()}{place}, for {self.email or 'whoever has the link'}"

    def describe_state(self, now: datetime) -> str:
        """Say whether the link still works: open, used, withdrawn or expired."""
        if self.used_at:
            return "used"
        if self.withdrawn_at:
            return "withdrawn"
        return "open" if self.expires_at > now else "expired"
