"""What plans saved of late, for lists."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from stats.rollups import DAY
from stats.totals import SUMS
from stats.wanted import Wanted

DAYS: Final = 30


def saved_lately(plan_ids: Collection[int]) -> dict[int, Decimal]:
    """US dollars in the last 30 days, by plan; without requests that had a price a plan is left out. One query over days."""
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 1)
    rows = Wanted(start=start).rollups(grain=DAY).filter(plan_id__in=plan_ids).values_list("plan_id").annotate(sum_saved=SUMS["saved"])
    return {plan: saved for plan, saved in rows if saved is not None}
