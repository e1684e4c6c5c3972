"""Fingerprints of requests, stored for some days so that another plan can be tried on them."""

from django.db import models


class StoredImprint(models.Model):
    """`stats.events.RequestFingerprint` as a row."""

    event_id = models.UUIDField(primary_key=True)
    at = models.DateTimeField(db_index=True)
    tenant_id = models.BigIntegerField()
    plan_id = models.BigIntegerField()
    key_id = models.BigIntegerField()
    asked = models.UUIDField(db_index=True)
    bucket = models.UUIDField(null=True)
    end_user = models.CharField(max_length=64, blank=True)
    vector = models.BinaryField(null=True)

    class Meta:
        db_table = "stats_imprint"
        verbose_name = "imprint of a request"
        verbose_name_plural = "imprints of requests"
        indexes = (models.Index(fields=("plan_id", "at"), name="imprint_of_plan"),)

    def __str__(self) -> str:
        return str(self.event_id)
