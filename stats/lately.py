"""What plans saved and how much keys were used of late, for lists."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import Max, Sum

from stats.models import Rollup
from stats.rollups import DAY, FULL, HOUR
from stats.spans import floor
from stats.totals import SUMS
from stats.wanted import Wanted

DAYS: Final = 30
USED_WITHIN: Final = timedelta(days=90)


def saved_lately(plan_ids: Collection[int]) -> dict[int, Decimal]:
    """US dollars in the last 30 days, by plan; without requests that had a price a plan is left out. One query over days."""
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 1)
    rows = Wanted(start=start).rollups(grain=DAY).filter(plan_id__in=plan_ids).values_list("plan_id").annotate(sum_saved=SUMS["saved"])
    return {plan: saved for plan, saved in rows if saved is not None}


def key_uses(key_ids: Collection[int]) -> dict[int, tuple[int, datetime]]:
    """By virtual key: requests in the last 24 hours (whole hours), and when the latest in 90 days was made. Refused ones count:
    somebody holds the key."""
    now = datetime.now(UTC)
    rows = Rollup.objects.filter(cut=FULL, key_id__in=key_ids).order_by()
    days = rows.filter(grain=DAY, at__gte=now - USED_WITHIN).values_list("key_id").annotate(last=Max("last_at"))
    hours = rows.filter(grain=HOUR, at__gte=floor(now - timedelta(days=1), HOUR))
    lately = dict(hours.values_list("key_id").annotate(found=Sum("requests")))
    return {key: (lately.get(key, 0), last) for key, last in days}
