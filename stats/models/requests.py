"""Finished requests, upstream attempts that were never settled, and lines not stored."""

from django.db import models

from stats.events import MAX_UPSTREAM_REQUEST_ID_LENGTH


class RequestEvent(models.Model):
    """`stats.events.Event` as a row, in monthly partitions (`stats.ledger.partitions`).

    `wrong`: the cached answer was reported as wrong afterwards.
    """

    event_id = models.UUIDField(primary_key=True)
    at = models.DateTimeField(db_index=True)
    # Tenant, key and plan are stored by id and name, so that history outlives them.
    tenant_id = models.BigIntegerField(null=True)
    tenant = models.CharField(max_length=64, blank=True)
    key_id = models.BigIntegerField(null=True)
    key = models.CharField(max_length=200, blank=True)
    plan_id = models.BigIntegerField(null=True)
    plan = models.CharField(max_length=64, blank=True)
    plan_version = models.PositiveIntegerField(null=True)
    route = models.CharField(max_length=128, blank=True)
    upstream = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=200, blank=True)
    stream = models.BooleanField(default=False)
    status = models.PositiveSmallIntegerField()
    outcome = models.CharField(max_length=16)
    error_code = models.CharField(max_length=64, blank=True)
    tier = models.CharField(max_length=16)
    reason = models.CharField(max_length=64, blank=True)
    similarity = models.FloatField(null=True)
    score = models.FloatField(null=True)
    entry_id = models.CharField(max_length=64, blank=True)
    would = models.CharField(max_length=16, blank=True)
    sample = models.CharField(max_length=16, blank=True)
    shadow = models.BooleanField(default=False)
    would_tokens = models.BigIntegerField(default=0)
    would_saved = models.DecimalField(max_digits=20, decimal_places=12, null=True)
    wrong = models.BooleanField(default=False)
    basis = models.CharField(max_length=16, blank=True)
    collapsed = models.BooleanField(default=False)
    stale = models.BooleanField(default=False)
    turns = models.PositiveIntegerField(default=0)
    holdout = models.FloatField(default=0)
    replicate = models.PositiveSmallIntegerField(default=0)
    size = models.FloatField(default=0)
    failures = models.JSONField(default=list)
    not_kept = models.CharField(max_length=32, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    upstream_request_id = models.CharField(max_length=MAX_UPSTREAM_REQUEST_ID_LENGTH, blank=True)
    engine = models.CharField(max_length=64, blank=True)
    note = models.CharField(max_length=200, blank=True)
    asked_tokens = models.PositiveBigIntegerField(default=0)
    prompt_tokens = models.PositiveBigIntegerField(default=0)
    cached_tokens = models.PositiveBigIntegerField(default=0)
    written_tokens = models.PositiveBigIntegerField(default=0)
    completion_tokens = models.PositiveBigIntegerField(default=0)
    token_details = models.JSONField(default=dict, blank=True)
    served_tokens = models.PositiveBigIntegerField(default=0)
    tokens_saved = models.BigIntegerField(default=0)
    estimated = models.BooleanField(default=False)
    bill = models.CharField(max_length=8, blank=True)
    would_cost = models.DecimalField(max_digits=20, decimal_places=12, null=True)
    billed_cost = models.DecimalField(max_digits=20, decimal_places=12, null=True)
    spent_cost = models.DecimalField(max_digits=20, decimal_places=12, default=0)
    duration_ms = models.FloatField(default=0)
    upstream_ms = models.FloatField(default=0)
    overhead_ms = models.FloatField(default=0)

    class Meta:
        indexes = (
            models.Index(fields=("plan_id", "at"), name="event_plan_at"),
            models.Index(fields=("tenant_id", "at"), name="event_tenant_at"),
            models.Index(
                fields=("plan_id", "basis", "at"),
                name="event_sample",
                condition=~models.Q(sample=""),
            ),
            models.Index(
                fields=("at",), name="event_unknown_plan", condition=models.Q(reason="unknown-plan")
            ),
        )
        verbose_name = "request"

    def __str__(self) -> str:
        return str(self.event_id)


class SemanticSwitch(models.Model):
    """Whether a plan's semantic tier is off for its error budget, per tenant and cohort (`basis`).

    `off_at` null: it is on.
    """

    plan_id = models.BigIntegerField()
    tenant_id = models.BigIntegerField()
    basis = models.CharField(max_length=16)
    # When a person turned the tier on again: earlier samples do not count.
    since = models.DateTimeField(null=True)
    off_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=32, blank=True)
    detail = models.CharField(max_length=200, blank=True)
    turned_on_by = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("plan_id", "basis", "tenant_id"), name="one_switch_per_tenant"
            ),
        )

    def __str__(self) -> str:
        return f"plan {self.plan_id}, tenant {self.tenant_id}: {self.reason or 'on'}"


class UpstreamAttempt(models.Model):
    """An upstream call that started.

    Its row is deleted when the request is settled; a row that stays is *outcome unknown*.
    """

    event_id = models.UUIDField(primary_key=True)
    at = models.DateTimeField(db_index=True)
    tenant_id = models.BigIntegerField(null=True)
    plan_id = models.BigIntegerField(null=True)
    upstream = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=200, blank=True)
    worker = models.CharField(max_length=64, default="", blank=True, db_index=True)

    class Meta:
        verbose_name = "attempt with outcome unknown"
        verbose_name_plural = "outcome unknown"

    def __str__(self) -> str:
        return str(self.event_id)


class SpoolCursor(models.Model):
    """How far a spool file has been read, updated in the transaction that inserts its lines."""

    file = models.CharField(max_length=100, primary_key=True)
    worker = models.CharField(max_length=64, db_index=True)
    offset = models.BigIntegerField(default=0)
    # A live worker touches the cursor of its file; an attempt whose worker has no fresh cursor is
    # no longer in flight.
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.file} @ {self.offset}"


class DeadLetter(models.Model):
    """A spooled line that the database rejected, stored whole for a person to look at."""

    at = models.DateTimeField(auto_now_add=True)
    line = models.BinaryField()
    reason = models.CharField(max_length=500)

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.reason[:60]}"
