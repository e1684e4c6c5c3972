"""What recalibration found for a plan."""

from django.db import models


class Recalibration(models.Model):
    """The latest measurement of a plan's labelled pairs, and the threshold it proposes, if any.

    Nothing that is served depends on it until a proposal is applied to the plan.
    """

    plan_id = models.BigIntegerField(primary_key=True)
    measured_at = models.DateTimeField()
    target = models.FloatField()
    # The plan's threshold then.
    threshold = models.FloatField()
    right = models.PositiveIntegerField(default=0)
    wrong = models.PositiveIntegerField(default=0)
    unclear = models.PositiveIntegerField(default=0)
    # Why nothing is proposed, or what a proposal still lacks.
    note = models.CharField(max_length=200, blank=True)
    proposed = models.FloatField(null=True)
    proposed_at = models.DateTimeField(null=True)
    # The plan's cohort when it was made: under other settings it says nothing.
    basis = models.CharField(max_length=16, blank=True)
    # Pairs from after the proposal that it would have served.
    fresh = models.PositiveIntegerField(default=0)
    fresh_wrong = models.PositiveIntegerField(default=0)
    fresh_unclear = models.PositiveIntegerField(default=0)
    held = models.BooleanField(default=False)
    # The last proposal that was applied, and what it replaced.
    applied = models.FloatField(null=True)
    applied_at = models.DateTimeField(null=True)
    replaced_threshold = models.FloatField(null=True)
    replaced_strictness = models.CharField(max_length=16, null=True)
    # When the last one was reverted: earlier pairs no longer count.
    counted_since = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"plan {self.plan_id}: {self.proposed or self.note}"
