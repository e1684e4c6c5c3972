"""What requests cost with their plan and without it, by day and replicate group."""

from decimal import Decimal

from django.db import models


def _dollars_field() -> "models.DecimalField[Decimal, Decimal]":
    return models.DecimalField(max_digits=30, decimal_places=12, default=0)


class Held(models.Model):
    """Sums over the requests of one day (UTC), tenant and plan that count and had a lot drawn,
    on one side and in one replicate group.

    `held`: they went without the plan, as the `share` of chats did then. `cost`: billed and spent
    on saving, samples of them included; `would`: what they would have cost by the model; `size`:
    how large they were before any lot was drawn, in dollars by their characters. Money is of the
    `priced` ones.
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
