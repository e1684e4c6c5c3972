"""Which requests somebody wants to know about, and the roll-ups that say it with the fewest rows."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet

from stats.models import RequestEvent, Rollup, Tally
from stats.rollups import DAY, FULL, HOUR, MINUTE, PLAN, REFUSED, UNPLANNED

FULL_ONLY = ("key_id", "route", "model")  # columns of the full cut alone
COLUMNS = ("tenant_id", "plan_id", *FULL_ONLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Requests made from `start` on and before `end` (UTC, None: open), of the tenant, plan, key, route and model named; None: of any.
    Those without a plan are left out."""

    start: datetime | None = None
    end: datetime | None = None
    tenant_id: int | None = None
    plan_id: int | None = None
    key_id: int | None = None
    route: str | None = None
    model: str | None = None

    @property
    def grain(self) -> str:
        """The coarsest that begins and ends where the period does. An end that lies ahead cuts nothing off."""
        ends = [self.start, self.end if self.end and self.end <= datetime.now(UTC) else None]
        return next((grain for grain in (DAY, HOUR) if all(end is None or floor(end, grain) == end for end in ends)), MINUTE)

    def rollups(self, *, grain: str = "", by: tuple[str, ...] = ()) -> QuerySet[Rollup]:
        """Rows that together hold each request once, at that grain, with the columns `by` to group by."""
        names = [name for name in FULL_ONLY if getattr(self, name) is not None or name in by]
        rows = Rollup.objects.filter(grain=grain or self.grain, cut=FULL if names else PLAN, **self._conditions(COLUMNS))
        return rows.exclude(kind__in=(UNPLANNED, REFUSED)).order_by()

    def tallies(self) -> QuerySet[Tally]:
        """Of whole hours at least, and whatever the key, route and model: nothing finer is kept."""
        grain = DAY if self.grain == DAY else HOUR
        start = self.start and floor(self.start, grain)
        conditions = self._conditions(("tenant_id", "plan_id")) | ({"at__gte": start} if start else {})
        return Tally.objects.filter(grain=grain, **conditions).order_by()

    def events(self) -> QuerySet[RequestEvent]:
        """The requests themselves."""
        return RequestEvent.objects.filter(plan_id__isnull=False, **self._conditions(COLUMNS))

    def _conditions(self, names: tuple[str, ...]) -> dict[str, Any]:
        period = {"at__gte": self.start, "at__lt": self.end}
        return {name: value for name, value in (period | {name: getattr(self, name) for name in names}).items() if value is not None}


def floor(at: datetime, grain: str) -> datetime:
    """The start of the minute, hour or day (UTC) that the time lies in."""
    at = at.astimezone(UTC)
    if grain == DAY:
        return at.replace(hour=0, minute=0, second=0, microsecond=0)
    return at.replace(minute=0, second=0, microsecond=0) if grain == HOUR else at.replace(second=0, microsecond=0)
