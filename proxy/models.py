"""Upstreams, routes, the pgvector backend's table, and reports of wrong answers."""

from typing import Final

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from pgvector.django import HalfVectorField

from plans.models import default_plan_field, managed_mark_relation
from plans.records import ConfigHistory
from plans.snapshot import WILDCARD
from proxy.core.config import DEFAULT_READ_TIMEOUT_SECONDS
from stats.models.cache_entries import CacheEntry

__all__ = ["EvictedAnswer", "Route", "SemanticEntry", "Upstream", "WrongAnswer"]


ROUTE_NAME = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9._:/-]{0,126}[A-Za-z0-9._:/*-]?\Z",
    "Use letters, digits and . _ : / - only, 128 at most; * at the end stands for any model.",
)
WILDCARD_MESSAGE: Final = (
    "A route whose name ends in * needs one * in its model, and no other route has one: openai/* "
    "leads to *, fast/* to accounts/me/models/*."
)
# What is encrypted at rest and never shown again; histories leave it out.
SECRET_COLUMNS: Final = (
    "encrypted_key",
    "encrypted_headers",
    "encrypted_query",
    "encrypted_proxy_url",
)
KEY_HEADER_CHOICES: Final = (
    ("", "As the provider asks"),
    ("bearer", "Authorization: Bearer …"),
    ("api-key", "api-key: …"),
    ("x-api-key", "x-api-key: …"),
)


class Upstream(models.Model):
    """A provider endpoint that speaks the OpenAI API."""

    # Set by `save_upstream`: what it corrected, a sentence each.
    notes: tuple[str, ...] = ()

    name = models.CharField(max_length=64, unique=True)
    provider = models.CharField(
        max_length=64,
        default="openai",
        help_text="Where it is, how it takes a key, and whose price list applies.",
    )
    base_url = models.CharField(
        max_length=500,
        help_text=(
            "Up to and without /chat/completions, such as https://api.openai.com/v1. Empty: the "
            "provider's own."
        ),
    )
    encrypted_key = models.BinaryField(default=b"", editable=False)
    key_header = models.CharField(
        max_length=16,
        blank=True,
        default="",
        choices=KEY_HEADER_CHOICES,
        help_text="Azure OpenAI reads api-key, all others Authorization: Bearer.",
    )
    # JSON objects of text by name.
    encrypted_headers = models.BinaryField(default=b"", editable=False)
    encrypted_query = models.BinaryField(default=b"", editable=False)
    forwarded_headers = models.JSONField(
        blank=True,
        default=list,
        help_text=(
            "Names of clients' headers that reach the provider, one a line, such as "
            "OpenAI-Project. Requests with other values share no answer. Empty: none."
        ),
    )
    encrypted_proxy_url = models.BinaryField(default=b"", editable=False)
    ca_file = models.CharField(
        max_length=500,
        blank=True,
        default="",
        help_text=(
            "Path of a PEM file of the authorities that are believed here in place of the system's."
        ),
    )
    client_certificate_file = models.CharField(
        max_length=500,
        blank=True,
        default="",
        help_text="Path of a PEM file, for a server that demands a client certificate.",
    )
    client_key_file = models.CharField(
        max_length=500,
        blank=True,
        default="",
        help_text="Path of its key, without a password. Empty: in the certificate's file.",
    )
    allow_private = models.BooleanField(
        default=False,
        help_text="Allow loopback and private addresses, for a model you host yourself.",
    )
    connect_timeout = models.FloatField(
        default=5.0,
        validators=[MinValueValidator(0.1), MaxValueValidator(60)],
        help_text="Seconds.",
    )
    read_timeout = models.FloatField(
        default=DEFAULT_READ_TIMEOUT_SECONDS,
        validators=[MinValueValidator(1), MaxValueValidator(3600)],
        help_text=(
            "Seconds without a byte. A whole answer sends none before its end, and "
            "clients wait 600 for it."
        ),
    )
    stream_usage = models.BooleanField(
        default=True,
        help_text="Ask for usage in streams (stream_options). Off for providers that refuse it.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    managed_marks = managed_mark_relation()
    history = ConfigHistory(leaving_out=SECRET_COLUMNS)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Route(models.Model):
    """A model name for clients, and the upstream model behind it."""

    name = models.CharField(
        max_length=128,
        unique=True,
        validators=[ROUTE_NAME],
        help_text=(
            "What clients send as `model`, such as gpt-4o-mini. openai/* serves every name that "
            "begins with openai/ and has no route of its own."
        ),
    )
    upstream = models.ForeignKey(Upstream, on_delete=models.PROTECT, related_name="routes")
    model = models.CharField(
        max_length=200,
        help_text=(
            "The model's name at the upstream, such as gpt-4o-mini. Of a name with * it has one "
            "too, in the place of what the client says for it."
        ),
    )
    version = models.PositiveIntegerField(
        default=1,
        editable=False,
        help_text="Grows when the target changes: older cached answers are not served.",
    )
    enabled = models.BooleanField(default=True)
    default_plan = default_plan_field(
        "A plan of the platform's. Applies where a request names no plan and neither its key nor "
        "its tenant has a default. Empty: no plan.",
        limit_choices_to={"tenant": None},
    )
    managed_marks = managed_mark_relation()
    history = ConfigHistory()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        super().clean()
        if self.name.endswith(WILDCARD) != (self.model.count(WILDCARD) == 1):
            raise ValidationError({"model": WILDCARD_MESSAGE})


class SemanticEntry(models.Model):
    """An entry of the pgvector backend."""

    # Rows of another embedder or bucket are never found by a lookup.
    entry_id = models.CharField(max_length=64, primary_key=True)
    bucket = models.CharField(max_length=64)
    scope = models.CharField(max_length=64)
    plan_id = models.BigIntegerField()
    embedder = models.CharField(max_length=100)
    question = models.TextField()
    embedding = HalfVectorField()
    envelope = models.BinaryField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        indexes = (
            models.Index(fields=("embedder", "bucket", "expires_at"), name="semantic_bucket"),
            models.Index(fields=("expires_at",), name="semantic_expiry"),
            models.Index(fields=("plan_id",), name="semantic_plan"),
        )

    def __str__(self) -> str:
        return self.entry_id


class Entry(CacheEntry):
    """A cached answer as staff see it; reading its text needs another permission."""

    class Meta:
        proxy = True
        verbose_name = "cached answer"
        permissions = (("view_entry_text", "Can read the text of cached answers"),)

    def __str__(self) -> str:
        return self.short

    @property
    def short(self) -> str:
        """The beginning of the id."""
        return self.entry_id[:12]


class EntryLook(models.Model):
    """A record that somebody read the text of a cached answer."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    user_id = models.BigIntegerField()
    user = models.CharField(max_length=150)
    entry_id = models.CharField(max_length=64, db_index=True)
    tenant = models.CharField(max_length=64)
    plan = models.CharField(max_length=64)

    class Meta:
        verbose_name = "look at a cached answer"
        verbose_name_plural = "looks at cached answers"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.user}"


class WrongAnswer(models.Model):
    """A report that one request's cached answer was wrong."""

    event_id = models.UUIDField(unique=True)
    at = models.DateTimeField(auto_now_add=True, db_index=True)
    tenant_id = models.BigIntegerField(null=True)
    tenant = models.CharField(max_length=64, blank=True)
    plan_id = models.BigIntegerField(null=True)
    plan = models.CharField(max_length=64, blank=True)
    entry_id = models.CharField(max_length=64)
    said_by = models.CharField(max_length=200, help_text="The virtual key, or the member of staff.")
    similarity = models.FloatField(null=True)
    score = models.FloatField(null=True)
    bucket = models.CharField(max_length=64, blank=True)
    embedder = models.CharField(max_length=100, blank=True)
    embedding = models.BinaryField(default=b"")
    # Around the answered question hits need `threshold` until `until`, unless the report is
    # withdrawn.
    radius = models.FloatField(null=True)
    threshold = models.FloatField(null=True)
    answered_at = models.DateTimeField(null=True, help_text="When the answer was made.")
    until = models.DateTimeField()
    undone_at = models.DateTimeField(null=True, editable=False)
    undone_by = models.CharField(max_length=150, blank=True, editable=False)

    class Meta:
        ordering = ("-at",)
        verbose_name = "wrong answer"

    def __str__(self) -> str:
        return str(self.event_id)


class EvictedAnswer(models.Model):
    """A copy of an evicted answer, restored if the report is withdrawn; not served until then."""

    said = models.ForeignKey(WrongAnswer, on_delete=models.CASCADE, related_name="evicted")
    entry_id = models.CharField(max_length=64)
    # `exact`, or the backend that had it under that bucket and question.
    tier = models.CharField(max_length=64)
    similarity = models.FloatField()
    scope = models.CharField(max_length=64)
    plan_id = models.BigIntegerField()
    value = models.BinaryField()
    # Epoch seconds, exactly as in the answer.
    created_at = models.FloatField()
    expires_at = models.FloatField(db_index=True)
    bucket = models.CharField(max_length=64, blank=True)
    embedder = models.CharField(max_length=100, blank=True)
    question = models.TextField(blank=True)
    embedding = models.BinaryField(default=b"")

    class Meta:
        verbose_name = "evicted answer"

    def __str__(self) -> str:
        return self.entry_id
