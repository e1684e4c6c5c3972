"""Costs of requests with and without their plan, by day and replicate group."""

from decimal import Decimal

from django.db import models


def _dollars_field() -> "models.DecimalField[Decimal, Decimal]":
    return models.DecimalField(max_digits=30, decimal_places=12, default=0)


class Held(models.Model):
    """Sums of a day's (UTC) counted requests in one arm and replicate group of a holdout.

    By tenant, plan and held-out `share`. `held`: without the plan. `cost`: billed and spent on
    saving, samples included; `would`: the modelled cost without a plan; `size`: dollars by the
    requests' characters, before the assignment. Money is of the `priced` requests.
    """

    pk = models.CompositePrimaryKey("at", "tenant_id", "plan_id", "share", "held", "replicate")
    at = models.DateTimeField()
    tenant_id = models.BigIntegerField()
    plan_id = models.BigIntegerField()
    share = models.FloatField()
    held = models.BooleanField()
    replicate = models.PositiveSmallIntegerField()
    requests = models.BigIntegerField(default=0)
    priced = models.BigIntegerField(default=0)
    cost = _dollars_field()
    would = _dollars_field()
    size = models.FloatField(default=0)

    def __str__(self) -> str:
        return (
            f"{self.requests} requests {'without' if self.held else 'with'} plan {self.plan_id}, "
            f"group {self.replicate}"
        )
