"""Which requests somebody wants to know about, and the roll-ups
that say it with the fewest rows."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import Q, QuerySet

from stats.models.requests import RequestEvent
from stats.models.rollups import FULL, PLAN, REFUSED, UNPLANNED, Pruned, Rollup, Tally
from stats.request_ids import made
from stats.time_grains import DAY, HOUR, MINUTE, Span, ceil, floor, spans

FULL_ONLY = ("key_id", "route", "model")  # columns of the full cut alone
RECENTLY: Final = timedelta(days=1)  # what is younger is never forgotten
COLUMNS = ("tenant_id", "plan_id", *FULL_ONLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Requests made from `start` on and before `end` (UTC, None: open), of the tenant, plan, key,
    route and model named; None: of any. Those without a plan are left out."""

    start: datetime | None = None
    end: datetime | None = None
    tenant_id: int | None = None
    plan_id: int | None = None
    key_id: int | None = None
    route: str | None = None
    model: str | None = None

    def rollups(self, *, grain: str = "", by: tuple[str, ...] = ()) -> QuerySet[Rollup]:
        """Rows that together hold each request once, none coarser than that grain,
        with the columns `by` to group by."""
        names = [name for name in FULL_ONLY if getattr(self, name) is not None or name in by]
        start, end = outwards(self.start, self._past)
        rows = Rollup.objects.filter(
            _within(spans(start, end, grain or DAY)),
            cut=FULL if names else PLAN,
            **self._of(COLUMNS),
        )
        return rows.exclude(kind__in=(UNPLANNED, REFUSED)).order_by()

    def tallies(self) -> QuerySet[Tally]:
        """Of whole hours at least, and whatever the key, route and model: nothing finer is kept."""
        start, end = outwards(
            self.start and floor(self.start, HOUR), self._past and ceil(self._past, HOUR)
        )
        return Tally.objects.filter(
            _within(spans(start, end)), **self._of(("tenant_id", "plan_id"))
        ).order_by()

    def events(self) -> QuerySet[RequestEvent]:
        """The requests themselves."""
        return RequestEvent.objects.filter(
            plan_id__isnull=False, **made(self.start, self.end), **self._of(COLUMNS)
        )

    @property
    def _past(self) -> datetime | None:
        """The end, unless it lies ahead: that cuts nothing off."""
        return self.end if self.end and self.end <= datetime.now(UTC) else None

    def _of(self, names: tuple[str, ...]) -> dict[str, Any]:
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def outwards(
    start: datetime | None, end: datetime | None
) -> tuple[datetime | None, datetime | None]:
    """The period, with ends that lie where minutes or hours are no longer kept moved out
    to the next that is."""
    recently = datetime.now(UTC) - RECENTLY
    if all(at is None or at >= recently or floor(at, DAY) == at for at in (start, end)):
        return start, end
    forgotten = dict(Pruned.objects.filter(what__in=(MINUTE, HOUR)).values_list("what", "before"))
    for fine, coarse in ((MINUTE, HOUR), (HOUR, DAY)):
        if (before := forgotten.get(fine)) is not None:
            start = floor(start, coarse) if start and start < before else start
            end = ceil(end, coarse) if end and end < before else end
    return start, end


def _within(found: list[Span]) -> Q:
    either = Q()
    for span in found:
        bounds = {"grain": span.grain, "at__gte": span.start, "at__lt": span.end}
        either |= Q(**{name: value for name, value in bounds.items() if value is not None})
    return either
