"""Models of the configuration: tenants, keys, token-saving plans and prices."""

from decimal import Decimal
from typing import Any, Final, Literal

from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.core.validators import (
    BaseValidator,
    MaxValueValidator,
    MinValueValidator,
    RegexValidator,
)
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from plans import price_terms
from plans.fields import (
    MAX_INT32,
    SETTINGS_BY_COLUMN,
    PlanHalf,
    PlanSetting,
    SettingKind,
    list_settings,
)
from plans.pricing import BASE_RATE_NAMES, Price
from plans.records import ConfigHistory
from plans.snapshot import ALL_ROUTES, CacheSettings, CompressionSettings, PlanSnapshot
from plans.strictness import find_threshold

PLAN_NAME_VALIDATOR = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z",
    "Use 1 to 64 letters, digits, dots, dashes or underscores, starting with a letter or digit.",
)


def default_plan_field(help_text: str, **options: Any) -> "models.ForeignKey[Any, Any]":
    """Build the column of a default plan."""
    # A plan that is somebody's default cannot be deleted: requests that name no plan would stop
    # saving, and nobody would be told. RESTRICT lets a tenant go together with its plans.
    return models.ForeignKey(
        "plans.Plan",
        on_delete=models.RESTRICT,
        null=True,
        blank=True,
        related_name="+",
        help_text=help_text,
        **options,
    )


def check_default_plan(plan: "Plan | None", tenant_id: int | None) -> None:
    """Check that the plan can be a default within the tenant.

    Raises ValidationError for another tenant's plan.
    """
    if plan is not None and plan.tenant_id not in {None, tenant_id}:
        raise ValidationError(
            {"default_plan": "A default plan must be the tenant's own or the platform's."}
        )


class ManagedMark(models.Model):
    """That a configuration file says what an object is: which file, applied when and by whom.

    `source`: the file or folder given to `manage.py apply`; `file`: which file of it.
    """

    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE, related_name="+")
    object_id = models.BigIntegerField()
    marked = GenericForeignKey("content_type", "object_id")
    source = models.CharField(max_length=500)
    file = models.CharField(max_length=500)
    applied_at = models.DateTimeField()
    applied_by = models.CharField(max_length=220)

    class Meta:
        default_permissions = ()
        verbose_name = "mark of a configuration file"
        constraints = (
            models.UniqueConstraint(fields=("content_type", "object_id"), name="one_managed_mark"),
        )

    def __str__(self) -> str:
        return self.file


def managed_mark_relation() -> GenericRelation:
    """Build the relation to an object's mark, one at most, which goes when the object goes."""
    return GenericRelation(ManagedMark)


def all_routes() -> list[str]:
    return [ALL_ROUTES]


class Tenant(models.Model):
    """A customer of the gateway, with its own caches, keys, plans and reports.

    Nothing of these is shared between tenants. The platform decides which routes a tenant can use;
    its keys can only narrow that.
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
    default_plan = default_plan_field(
        "Applies where a request names no plan and its key has no default. Empty: the route's."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    managed_marks = managed_mark_relation()
    history = ConfigHistory()

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.slug

    def clean(self) -> None:
        check_default_plan(self.default_plan, self.pk)


class Membership(models.Model):
    """A user's tenant, the only one they see; users without a row belong to the platform."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="membership",
    )
    # Without a tenant they would belong to the platform, and see every tenant.
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="members")

    def __str__(self) -> str:
        return f"{self.user} of {self.tenant}"


class TenantUsage(models.Model):
    """The size of a tenant's cached answers, as last counted by a worker."""

    tenant = models.OneToOneField(
        Tenant, on_delete=models.CASCADE, primary_key=True, related_name="usage"
    )
    entries = models.PositiveBigIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0)
    counted_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.entries} entries, {self.bytes} bytes"


class Key(models.Model):
    """Base of virtual and admin keys.

    The secret is shown once; stored are its HMAC and a visible prefix.
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


KeyState = Literal["live", "paused", "replaced", "expired", "revoked"]


class VirtualKey(Key):
    """A key of one tenant for SDK clients; valid for /v1 only.

    A key with a `successor` is its former secret, which works until `expires_at`: routes, default
    plan and pause are the successor's.
    """

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
    default_plan = default_plan_field(
        "Applies where a request names no plan. Empty: the tenant's default."
    )
    paused = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Refused (403) with a message that says so, until it is resumed.",
    )
    # A former secret goes with its key, or it would work on as a key of its own.
    successor = models.ForeignKey(
        "self",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        editable=False,
        related_name="predecessors",
        help_text="The key that replaced it. Until it expires, both secrets work.",
    )
    managed_marks = managed_mark_relation()
    history = ConfigHistory(leaving_out=("digest",))

    def clean(self) -> None:
        check_default_plan(self.default_plan, self.tenant_id)

    @property
    def current(self) -> "VirtualKey":
        """The key whose routes, default plan and pause hold: its successor, else itself."""
        return self.successor or self

    @property
    def state(self) -> KeyState:
        """What requests with its secret meet now."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= timezone.now():
            return "expired"
        if self.current.paused:
            return "paused"
        return "replaced" if self.successor_id else "live"


class AdminKey(Key):
    """A key for /token-saving, of the platform or limited to one tenant."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="admin_keys", null=True, blank=True
    )
    history = ConfigHistory(leaving_out=("digest",))


_COLUMN_CLASSES: "Final[dict[SettingKind, type[models.Field[Any, Any]]]]" = {
    "whole": models.PositiveIntegerField,
    "number": models.FloatField,
    "flag": models.BooleanField,
    "choice": models.CharField,
    "name": models.CharField,
}


def setting_field(
    column: str, column_class: "type[models.Field[Any, Any]] | None" = None, **options: Any
) -> "models.Field[Any, Any]":
    """Build the column of a setting from the table of settings; `options` override it."""
    setting = SETTINGS_BY_COLUMN[column]
    found: dict[str, Any] = {"default": setting.default}
    if setting.nullable:  # null is a value of the API
        found = {"null": True, "blank": True}
        found |= {} if setting.default is None else {"default": setting.default}
    if setting.kind in {"choice", "name"}:
        found["max_length"] = setting.max_length
    if setting.choices:
        found["choices"] = list(setting.choices.items())
    if setting.kind in {"whole", "number"}:
        found["validators"] = _build_bound_validators(setting)
    return (column_class or _COLUMN_CLASSES[setting.kind])(**found | options)


def _build_bound_validators(setting: PlanSetting) -> list[BaseValidator]:
    # Only bounds that the column's type does not check itself.
    has_low, has_high = setting.kind == "number" or setting.low > 0, setting.high < MAX_INT32
    return [
        *([MinValueValidator(setting.low)] if has_low else ()),
        *([MaxValueValidator(setting.high)] if has_high else ()),
    ]


class Plan(models.Model):
    """A token-saving plan.

    Null `compression_engine` or false `cache_enabled` turns that half off.
    """

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, null=True, blank=True, related_name="plans"
    )
    name = models.CharField(max_length=64, validators=[PLAN_NAME_VALIDATOR])
    mode = setting_field("mode")
    version = models.PositiveIntegerField(default=1, editable=False)

    # No default: the API's default applies when a plan has compression.
    compression_engine = setting_field(
        "compression_engine", null=True, blank=True, default=models.NOT_PROVIDED
    )
    max_input_tokens = setting_field("max_input_tokens")
    language = setting_field("language")
    min_sentences = setting_field("min_sentences", validators=())  # validation alone requires one
    focus = setting_field("focus")
    when = setting_field("when")
    deadline_ms = setting_field("deadline_ms")

    cache_enabled = setting_field("cache_enabled")
    exact = setting_field("exact")
    backend = setting_field("backend")
    similarity_threshold = setting_field("similarity_threshold")
    strictness = setting_field("strictness")
    match = setting_field("match")
    context = setting_field("context")
    window = setting_field("window", models.PositiveSmallIntegerField)
    max_error_rate = setting_field("max_error_rate")
    sample_rate = setting_field("sample_rate")
    judge_model = setting_field("judge_model")
    ttl = setting_field("ttl")
    ttl_jitter = setting_field("ttl_jitter")
    stale_while_revalidate = setting_field("stale_while_revalidate")
    stale_if_error = setting_field("stale_if_error")
    scope = setting_field("scope")
    tool_calls = setting_field("tool_calls")
    max_temperature = setting_field("max_temperature")
    time_sensitive = setting_field("time_sensitive")
    personal = setting_field("personal")

    holdout = setting_field("holdout")

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    managed_marks = managed_mark_relation()
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

    @property
    def threshold(self) -> float:
        """The score or cosine that a stored question must reach, also while the cache is off."""
        return find_threshold(self.strictness, self.match, self.similarity_threshold)

    def build_snapshot(self) -> PlanSnapshot:
        """Build the frozen copy that the request path uses."""
        compression = (
            CompressionSettings(**self._read_settings("compression"))
            if self.compression_engine
            else None
        )
        cache = CacheSettings(**self._read_settings("cache")) if self.cache_enabled else None
        return PlanSnapshot(
            id=self.pk,
            name=self.name,
            version=self.version,
            tenant_id=self.tenant_id,
            compression=compression,
            cache=cache,
            **self._read_settings(""),
        )

    def _read_settings(self, half: PlanHalf) -> dict[str, Any]:
        return {each.name: getattr(self, each.column) for each in list_settings(half)}


class Invalidation(models.Model):
    """Answers of a plan from before revision `generation` are invalid.

    Limited to those with `tag` unless it is "", and to one tenant unless `tenant` is null.
    """

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="invalidations")
    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    tag = models.CharField(max_length=64, blank=True)
    # Requests and entries carry revisions too, so that no two clocks have to agree.
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
    """Validate price terms. Raises ValidationError that names the invalid line."""
    try:
        price_terms.parse_terms(text)
    except ValueError as error:
        raise ValidationError(str(error)) from error


class ModelPrice(models.Model):
    """The price of a provider's model, in US dollars per million tokens.

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
    managed_marks = managed_mark_relation()
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
        """The price as value object.

        Raises ValueError for invalid terms, which only a write past the form can save.
        """
        own = {name: getattr(self, name) for name in BASE_RATE_NAMES}
        return Price(**own, terms=price_terms.parse_terms(self.terms))


class Revision(models.Model):
    """The revision of the configuration, in one row that database triggers raise.

    It grows in the transaction of every change to keys, plans, invalidations, prices, upstreams and
    routes. Workers poll it and load a new snapshot when it grew.
    """

    # Triggers, so that workers see changes made in any way: admin, API, SQL, fixtures.
    value = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.value)
