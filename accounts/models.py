"""How people log in, beside Django's password."""

from django.conf import settings
from django.db import models


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
