"""Who may call, on what terms: tenants, their keys, token-saving plans and prices."""

from dataclasses import fields
from decimal import Decimal

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q

from plans import price_terms
from plans.pricing import BASE_RATE_NAMES, Price
from plans.records import ConfigHistory
from plans.snapshot import ALL_ROUTES, CacheSettings, CompressionSettings, PlanSnapshot

PLAN_NAME_VALIDATOR = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z",
    "Use 1 to 64 letters, digits, dots, dashes or underscores, starting with a letter or digit.",
)


def all_routes() -> list[str]:
    return [ALL_ROUTES]


class Tenant(models.Model):
    """A customer of the gateway.

    Caches, keys, plans and figures of two tenants never meet. Which routes it may use the platform
    says; its keys can only narrow that.
    """

    slug = models.SlugField(
        max_length=64,
        unique=True,
        help_text="Short name used in the API (?tenant=) and in metrics.",
    )
    name = models.CharField(max_length=200, blank=True)
    max_entries = models.PositiveBigIntegerField(
        "most cached answers",
        null=True,
        blank=True,
        help_text="Beyond it, those used longest ago go. Empty: no limit.",
    )
    max_bytes = models.PositiveBigIntegerField(
        "most cached bytes", null=True, blank=True, help_text="Likewise, of all answers together."
    )
    routes = models.JSONField(
        default=all_routes,
        db_default=models.Value([ALL_ROUTES], models.JSONField()),
        blank=True,
        help_text=(
            'Names of the routes that keys of this tenant may use, such as ["smart/balanced"]; '
            '["*"]: all. Empty: none.'
        ),
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.slug


class Membership(models.Model):
    """A person who belongs to one tenant and sees nothing of another.

    Without a row a person belongs to the platform.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="membership",
    )
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="members")

    def __str__(self) -> str:
        return f"{self.user} of {self.tenant}"


class TenantUsage(models.Model):
    """What a tenant's answers in the caches come to, as counted lately by a worker."""

    tenant = models.OneToOneField(
        Tenant, on_delete=models.CASCADE, primary_key=True, related_name="usage"
    )
    entries = models.PositiveBigIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0)
    counted_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.entries} entries, {self.bytes} bytes"


class Key(models.Model):
    """What virtual and admin keys share.

    The key itself is shown once; kept are its HMAC and a visible prefix.
    """

    name = models.CharField(max_length=200, help_text="Who or what uses this key.")
    prefix = models.CharField(max_length=16, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}...)"


class VirtualKey(Key):
    """Opens /v1 for one tenant's SDK clients, and nothing else."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="keys")
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="Refused from this moment on. Empty: never expires."
    )
    routes = models.JSONField(
        default=list,
        blank=True,
        help_text=(
            'Names of the routes this key may use, such as ["smart/balanced"]. Empty: all '
            "of the tenant's."
        ),
    )
    history = ConfigHistory(leaving_out=("digest",))


class AdminKey(Key):
    """Opens /token-saving.

    Without a tenant it is the platform's; with one it sees that tenant only.
    """

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="admin_keys", null=True, blank=True
    )
    history = ConfigHistory(leaving_out=("digest",))


class Plan(models.Model):
    """A token-saving plan.

    Null `compression_engine` or false `cache_enabled` turns that half off.
    """

    class Mode(models.TextChoices):
        ACTIVE = "active", "Active: save on every request"
        SHADOW = "shadow", "Shadow: count what would have been saved, and answer from the provider"
        OFF = "off", "Off: pass everything through"

    class Scope(models.TextChoices):
        TENANT = "tenant", "The whole tenant shares answers"
        KEY = "key", "Each virtual key keeps its own answers"
        USER = "user", "Each end user (the request's `user` field) keeps their own answers"

    class Focus(models.TextChoices):
        QUESTION = "question", "The question: what it needs of the old part, and a gist of the rest"
        NONE = "none", "None: what says most about the whole chat, whatever is asked"

    class Match(models.TextChoices):
        VERIFIED = "verified", "The verifier's score: whether both questions have the same answer"
        COSINE = "cosine", "The cosine of the embeddings: whether both questions are about the same"

    class Context(models.TextChoices):
        STRICT = "strict", "Strict: the earlier turns are identical"
        WINDOW = "window", "Window: the user may have said the same in other words"
        LAST_MESSAGE = (
            "last_message",
            "Last message: whatever was said before, for bots without memory",
        )

    class ToolCalls(models.TextChoices):
        NONE = "none", "None: such an answer is paid for each time"
        OUTPUT = "output", "Where a call was demanded: it is the output itself"
        ALL = "all", "All: also those that the model chose to make"

    class When(models.TextChoices):
        ALWAYS = "always", "Always: no prompt is ever longer"
        SAVES = "saves", "When it saves: a prompt that the provider remembers may be cheaper whole"

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, null=True, blank=True, related_name="plans"
    )
    name = models.CharField(max_length=64, validators=[PLAN_NAME_VALIDATOR])
    mode = models.CharField(max_length=16, choices=Mode.choices, default=Mode.ACTIVE)
    version = models.PositiveIntegerField(default=1, editable=False)

    # Null is a value of the API.
    compression_engine = models.CharField(max_length=64, null=True, blank=True)
    max_input_tokens = models.PositiveIntegerField(default=4096, validators=[MinValueValidator(64)])
    language = models.CharField(max_length=32, default="english")
    min_sentences = models.PositiveIntegerField(default=1)
    focus = models.CharField(max_length=16, choices=Focus.choices, default=Focus.QUESTION)
    when = models.CharField(max_length=16, choices=When.choices, default=When.ALWAYS)
    deadline_ms = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(10), MaxValueValidator(60_000)]
    )

    cache_enabled = models.BooleanField(default=True)
    exact = models.BooleanField(default=True)
    # Null is a value of the API.
    backend = models.CharField(max_length=64, null=True, blank=True, default="pgvector_semantic")
    similarity_threshold = models.FloatField(
        default=0.85, validators=[MinValueValidator(0), MaxValueValidator(1)]
    )
    match = models.CharField(max_length=16, choices=Match.choices, default=Match.VERIFIED)
    context = models.CharField(max_length=16, choices=Context.choices, default=Context.WINDOW)
    window = models.PositiveSmallIntegerField(
        default=2, validators=[MinValueValidator(1), MaxValueValidator(20)]
    )
    max_error_rate = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(0.0001), MaxValueValidator(0.5)]
    )
    sample_rate = models.FloatField(
        default=0.05, validators=[MinValueValidator(0), MaxValueValidator(1)]
    )
    # Null is a value of the API.
    judge_model = models.CharField(max_length=128, null=True, blank=True)
    ttl = models.PositiveIntegerField(default=3600, validators=[MinValueValidator(1)])
    ttl_jitter = models.FloatField(
        default=0.1, validators=[MinValueValidator(0), MaxValueValidator(0.5)]
    )
    stale_while_revalidate = models.PositiveIntegerField(default=0)
    stale_if_error = models.PositiveIntegerField(default=0)
    scope = models.CharField(max_length=16, choices=Scope.choices, default=Scope.TENANT)
    tool_calls = models.CharField(
        max_length=16, choices=ToolCalls.choices, default=ToolCalls.OUTPUT
    )
    max_temperature = models.FloatField(
        default=1.0, validators=[MinValueValidator(0), MaxValueValidator(2)]
    )
    time_sensitive = models.BooleanField(default=False)
    personal = models.BooleanField(default=False)

    holdout = models.FloatField(
        default=0.0, validators=[MinValueValidator(0), MaxValueValidator(0.5)]
    )

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    history = ConfigHistory()

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(fields=("tenant", "name"), name="plan_name_per_tenant"),
            models.UniqueConstraint(
                fields=("name",), condition=Q(tenant=None), name="plan_name_of_platform"
            ),
        )

    def __str__(self) -> str:
        return self.name

    def build_snapshot(self) -> PlanSnapshot:
        """The frozen copy the request path works on."""
        compression = (
            CompressionSettings(
                engine=self.compression_engine,
                max_input_tokens=self.max_input_tokens,
                language=self.language,
                min_sentences=self.min_sentences,
                focus=self.focus,  # type: ignore[arg-type]  # a choice of the same two words
                when=self.when,  # type: ignore[arg-type]  # likewise
                deadline_ms=self.deadline_ms,
            )
            if self.compression_engine
            else None
        )
        cache = (
            CacheSettings(**{each.name: getattr(self, each.name) for each in fields(CacheSettings)})
            if self.cache_enabled
            else None
        )
        return PlanSnapshot(
            id=self.pk,
            name=self.name,
            version=self.version,
            tenant_id=self.tenant_id,
            mode=self.mode,  # type: ignore[arg-type]  # likewise
            compression=compression,
            cache=cache,
            holdout=self.holdout,
        )


class Invalidation(models.Model):
    """From the configuration's revision `generation` on a plan's answers count,
    those with this tag, or all of them where `tag` is "".

    Of one tenant, or of all of them. Requests and entries carry revisions too, so no clock has to
    agree with another.
    """

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="invalidations")
    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    tag = models.CharField(max_length=64, blank=True)
    generation = models.BigIntegerField(default=0)
    at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("plan", "tenant", "tag"),
                name="one_invalidation_per_tag",
                nulls_distinct=False,
            ),
        )

    def __str__(self) -> str:
        return f"{self.plan}: {self.tag or 'all'}"


def are_price_terms(text: str) -> None:
    """Raises ValidationError, which names the line at fault."""
    try:
        price_terms.parse_terms(text)
    except ValueError as error:
        raise ValidationError(str(error)) from error


class ModelPrice(models.Model):
    """US dollars per million tokens of one provider's model.

    Seeded from genai-prices; an edited row is never overwritten.
    """

    provider = models.CharField(
        max_length=64, help_text="Provider id, as on the upstream: openai, anthropic, azure ..."
    )
    model = models.CharField(max_length=200)
    input = models.DecimalField(
        max_digits=14, decimal_places=6, validators=[MinValueValidator(Decimal(0))]
    )
    output = models.DecimalField(
        max_digits=14, decimal_places=6, validators=[MinValueValidator(Decimal(0))]
    )
    cached_input = models.DecimalField(
        max_digits=14,
        decimal_places=6,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal(0))],
        help_text="Empty: no discount for cached input.",
    )
    cache_write = models.DecimalField(
        max_digits=14,
        decimal_places=6,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal(0))],
        help_text="Empty: writing into the provider's prefix cache costs no more than other input.",
    )
    terms = models.TextField(
        blank=True,
        default="",
        max_length=price_terms.MAX_TERMS_LENGTH,
        validators=[are_price_terms],
        help_text="Further rates and when they hold, one a line: docs/prices.md.",
    )
    edited = models.BooleanField(
        default=False, help_text="Set when a person changed the row: updates leave it alone."
    )
    updated_at = models.DateTimeField(auto_now=True)
    history = ConfigHistory()

    class Meta:
        ordering = ("provider", "model")
        constraints = (
            models.UniqueConstraint(F("provider"), F("model"), name="one_price_per_model"),
        )

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"

    @property
    def price(self) -> Price:
        """The amounts of the row.

        Raises ValueError when its terms, written past the form, say nothing.
        """
        own = {name: getattr(self, name) for name in BASE_RATE_NAMES}
        return Price(**own, terms=price_terms.parse_terms(self.terms))


class Revision(models.Model):
    """One row, raised by database triggers in the transaction of every change to keys, plans,
    invalidations, prices, upstreams and routes.

    Workers poll it and take a new snapshot when it grew, so edits by any road (admin, API, SQL,
    fixture) reach them.
    """

    value = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.value)
