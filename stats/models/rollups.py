"""Sums of the recorded requests by minute, hour and day, from which all spend is reported.

Two cuts of the same requests: `plan` (tenant, plan) is small and answers most questions, `full`
(key, route and model as well) the rest. Rollups follow the requests within a second or so, see
`stats.ledger.rollup`, and outlive them. 0 and "" stand for none.
"""

from decimal import Decimal

from django.contrib.postgres.fields import ArrayField
from django.db import models

PLAN_CUT, FULL_CUT = "plan", "full"
# The kind of a request in relation to its plan. `counted`: one of the plan's `total_requests`;
# `judged` and `unjudged`: a judge model's call about a sample, answered or failed; `unplanned`: it
# named no plan and finished well.
COUNTED_KIND, SHADOW_KIND, SAMPLE_KIND, JUDGED_KIND, UNJUDGED_KIND, FAILED_KIND = (
    "counted",
    "shadow",
    "sample",
    "judged",
    "unjudged",
    "failed",
)
UNPLANNED_KIND, REFUSED_KIND = "unplanned", "refused"


def _count_field() -> "models.BigIntegerField[int, int]":
    return models.BigIntegerField(default=0)


def _dollars_field() -> "models.DecimalField[Decimal, Decimal]":
    return models.DecimalField(max_digits=30, decimal_places=12, default=0)


class Rollup(models.Model):
    """Sums of the requests of one kind and tier within one minute, hour or day (UTC).

    By tenant and plan (and key, route and model). Money is of the `priced` requests; of failed ones
    whatever was billed.
    """

    pk = models.CompositePrimaryKey(
        "grain", "cut", "at", "tenant_id", "plan_id", "key_id", "route", "model", "kind", "tier"
    )
    grain = models.CharField(max_length=6)
    cut = models.CharField(max_length=4)
    at = models.DateTimeField()
    tenant_id = models.BigIntegerField()
    plan_id = models.BigIntegerField()
    key_id = models.BigIntegerField()
    route = models.CharField(max_length=128)
    model = models.CharField(max_length=200)
    kind = models.CharField(max_length=9)
    tier = models.CharField(max_length=16)
    tenant = models.CharField(max_length=64)
    plan = models.CharField(max_length=64)
    key = models.CharField(max_length=200)
    requests = _count_field()
    called = _count_field()
    stale = _count_field()
    streamed = _count_field()
    compressed = _count_field()
    priced = _count_field()
    estimated = _count_field()
    bill_unknown = _count_field()
    would_exact = _count_field()
    would_semantic = _count_field()
    asked_tokens = _count_field()
    prompt_tokens = _count_field()
    cached_tokens = _count_field()
    written_tokens = _count_field()
    completion_tokens = _count_field()
    served_tokens = _count_field()
    tokens_saved = _count_field()
    would_tokens = _count_field()
    would_cost = _dollars_field()
    billed_cost = _dollars_field()
    spent_cost = _dollars_field()
    would_saved = _dollars_field()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        indexes = (
            models.Index(fields=("plan_id", "grain", "cut", "at"), name="rollup_plan_at"),
            # When was a key used last? Only this cut tells keys apart.
            models.Index(
                fields=("key_id", "grain", "at"),
                condition=models.Q(cut=FULL_CUT),
                name="rollup_key_at",
            ),
        )

    def __str__(self) -> str:
        return f"{self.requests} requests within the {self.grain} from {self.at:%Y-%m-%d %H:%M}"


class Tally(models.Model):
    """How often a word was counted within an hour or a day.

    `what` is `reason` (why a tier did not answer), `failure` (a tool that failed), or `whole` and
    `added`, whose words are the buckets of a duration (`stats.analysis.latency_buckets`).
    """

    pk = models.CompositePrimaryKey(
        "grain", "at", "tenant_id", "plan_id", "kind", "tier", "what", "word"
    )
    grain = models.CharField(max_length=6)
    at = models.DateTimeField()
    tenant_id = models.BigIntegerField()
    plan_id = models.BigIntegerField()
    kind = models.CharField(max_length=9)
    tier = models.CharField(max_length=16)
    what = models.CharField(max_length=7)
    word = models.CharField(max_length=64)
    number = _count_field()

    class Meta:
        # Without the number, which changes with every rollup: PostgreSQL then updates rows in place
        # (heap-only tuples).
        indexes = (
            models.Index(fields=("what", "grain", "at"), name="tally_what_at"),
            models.Index(fields=("plan_id", "what", "grain", "at"), name="tally_plan_at"),
        )

    def __str__(self) -> str:
        return f"{self.what} {self.word}: {self.number}"


class Unfolded(models.Model):
    """Requests that were recorded together and are in no rollup yet."""

    # Inserted by the statement that records them, deleted by the one that rolls them up, so no
    # request is lost between the two.
    events = ArrayField(models.UUIDField())

    def __str__(self) -> str:
        return f"{len(self.events)} requests"


class Pruned(models.Model):
    """How far requests (`event`) and rollups by minute and hour have been deleted.

    Data from before that time is incomplete.
    """

    what = models.CharField(max_length=6, primary_key=True)
    before = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.what} before {self.before:%Y-%m-%d %H:%M}"
