"""What requests cost with their plan and without it, by day and replicate group: what the measured saving is made of.

A chat is in one replicate group, whatever its turns (`proxy.core.holdout`), so the sums of the groups vary as independent ones do, however
much the requests of a chat hang together. 64 small sums a day, plan, tenant and side say enough for an interval.
"""

from decimal import Decimal
from typing import Final

from django.db import models

from stats.measures import HOLDOUT


def _dollars() -> "models.DecimalField[Decimal, Decimal]":
    return models.DecimalField(max_digits=30, decimal_places=12, default=0)


class Held(models.Model):
    """Sums over the requests of one day (UTC), tenant and plan that count and had a lot drawn, on one side and in one replicate group.

    `held`: they went without the plan, as the `share` of chats did then. `cost`: billed and spent on saving, samples of them included;
    `would`: what they would have cost by the model; `size`: how large they were before any lot was drawn, in dollars by their characters.
    Money is of the `priced` ones."""

    pk = models.CompositePrimaryKey("at", "tenant_id", "plan_id", "share", "held", "replicate")
    at = models.DateTimeField()
    tenant_id = models.BigIntegerField()
    plan_id = models.BigIntegerField()
    share = models.FloatField()
    held = models.BooleanField()
    replicate = models.PositiveSmallIntegerField()
    requests = models.BigIntegerField(default=0)
    priced = models.BigIntegerField(default=0)
    cost = _dollars()
    would = _dollars()
    size = models.FloatField(default=0)

    def __str__(self) -> str:
        return f"{self.requests} requests {'without' if self.held else 'with'} plan {self.plan_id}, group {self.replicate}"


_TABLE: Final = Held._meta.db_table
_KEY: Final = "at, tenant_id, plan_id, share, held, replicate"
# Behind `told` of `stats.rolling`: the requests being folded, with what they were to their plan.
HELD: Final = f"""
held AS (INSERT INTO {_TABLE} AS r ({_KEY}, requests, priced, cost, would, size)
    SELECT date_trunc('day', at, 'UTC'), coalesce(tenant_id, 0), plan_id, holdout, reason = '{HOLDOUT}', replicate,
        count(*) FILTER (WHERE kind = 'counted'), count(*) FILTER (WHERE kind = 'counted' AND priced),
        coalesce(sum(billed_cost + spent_cost) FILTER (WHERE priced), 0), coalesce(sum(would_cost) FILTER (WHERE priced), 0),
        coalesce(sum(size) FILTER (WHERE kind = 'counted' AND priced), 0)
    FROM told WHERE holdout > 0 AND kind IN ('counted', 'sample', 'judged', 'unjudged')
    GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT ({_KEY}) DO UPDATE SET requests = r.requests + excluded.requests, priced = r.priced + excluded.priced,
        cost = r.cost + excluded.cost, would = r.would + excluded.would, size = r.size + excluded.size)"""  # noqa: S608 -- names of our own
