"""Cache entries, one row per stored answer without its text, and requested deletions."""

from django.db import models
from django.db.models import Q


class CacheEntry(models.Model):
    """`stats.events.CacheEntryRecord` as a row, written through the spool.

    `backend`: the semantic caches that may have a copy, separated by spaces: the plan's own, and
    former ones if the answer was stored again. `hits` and `used_at` come from the ledger; `used_at`
    advances in steps of ten seconds.
    """

    entry_id = models.CharField(max_length=64, primary_key=True)
    sent = models.CharField(max_length=64, blank=True)
    tenant_id = models.BigIntegerField()
    tenant = models.CharField(max_length=64)
    plan_id = models.BigIntegerField()
    plan = models.CharField(max_length=64)
    route = models.CharField("model", max_length=128)
    namespace = models.CharField(max_length=128, blank=True)
    end_user = models.CharField(max_length=64, blank=True)
    backend = models.CharField(max_length=64, blank=True)
    exact = models.BooleanField()
    bytes = models.PositiveBigIntegerField()
    created_at = models.DateTimeField(db_index=True)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField()
    hits = models.PositiveBigIntegerField(default=0)
    # Set to delete the entry: a worker removes it from the stores (`removed`), does so again some
    # seconds later in case a write was in progress, and then deletes the row.
    doomed_at = models.DateTimeField(null=True)
    removed = models.BooleanField(default=False)

    class Meta:
        verbose_name = "cached answer"
        indexes = (
            models.Index(fields=("tenant_id", "used_at"), name="entry_lru"),
            models.Index(fields=("plan_id",), name="entry_plan"),
            models.Index(fields=("end_user",), name="entry_user", condition=~Q(end_user="")),
            models.Index(fields=("sent",), name="entry_sent", condition=~Q(sent="")),
            models.Index(
                fields=("doomed_at",), name="entry_doomed", condition=Q(doomed_at__isnull=False)
            ),
        )

    def __str__(self) -> str:
        return self.entry_id


class Erasure(models.Model):
    """A requested deletion: everything stored before `at` that matches; null and "" match any.

    A row that arrives later, from the spool of a slow or killed worker, is marked as deleted when
    it is inserted.
    """

    at = models.DateTimeField(db_index=True)
    by = models.CharField(max_length=200)
    tenant_id = models.BigIntegerField(null=True)
    plan_id = models.BigIntegerField(null=True)
    entry_id = models.CharField(max_length=64, blank=True)
    route = models.CharField("model", max_length=128, blank=True)
    namespace = models.CharField(max_length=128, blank=True)
    end_user = models.CharField(max_length=64, blank=True)
    entries = models.PositiveBigIntegerField(default=0, help_text="Found when it was asked for.")

    class Meta:
        verbose_name = "deletion from the cache"
        verbose_name_plural = "deletions from the cache"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} by {self.by}"
