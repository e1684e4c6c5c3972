"""Cached answers that somebody said were wrong, and what was taken out of the caches for it."""

from django.db import models


class WrongAnswer(models.Model):
    """Said of one request. Around the question that was answered hits take `threshold` until then, unless it is undone."""

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
    """An answer as one tier had it: it goes back when the word is taken back, and until then it is served to nobody.

    `tier`: `exact`, or the backend that had it as an entry of that bucket and question; `created_at` and `expires_at` in epoch seconds, to
    the last digit, as the answer says them.
    """

    said = models.ForeignKey(WrongAnswer, on_delete=models.CASCADE, related_name="evicted")
    entry_id = models.CharField(max_length=64)
    tier = models.CharField(max_length=64)
    similarity = models.FloatField()
    scope = models.CharField(max_length=64)
    plan_id = models.BigIntegerField()
    value = models.BinaryField()
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
