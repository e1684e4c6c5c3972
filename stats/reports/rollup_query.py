"""Which requests somebody wants to know about, and the roll-ups
that say it with the fewest rows."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import Q, QuerySet

from stats.models.requests import RequestEvent
from stats.models.rollups import (
    FULL_CUT,
    PLAN_CUT,
    REFUSED_KIND,
    UNPLANNED_KIND,
    Pruned,
    Rollup,
    Tally,
)
from stats.request_ids import build_time_conditions
from stats.time_grains import (
    DAY,
    HOUR,
    MINUTE,
    GrainSpan,
    ceil_to_grain,
    floor_to_grain,
    split_into_spans,
)

FULL_CUT_COLUMNS = ("key_id", "route", "model")  # columns of the full cut alone
MIN_RETENTION: Final = timedelta(days=1)  # what is younger is never forgotten
FILTER_COLUMNS = ("tenant_id", "plan_id", *FULL_CUT_COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollupQuery:
    """Requests made from `start` on and before `end` (UTC, None: open), of the tenant, plan, key,
    route and model named; None: of any. Those without a plan are left out."""

    start: datetime | None = None
    end: datetime | None = None
    tenant_id: int | None = None
    plan_id: int | None = None
    key_id: int | None = None
    route: str | None = None
    model: str | None = None

    def query_rollups(self, *, grain: str = "", by: tuple[str, ...] = ()) -> QuerySet[Rollup]:
        """Rows that together hold each request once, none coarser than that grain,
        with the columns `by` to group by."""
        names = [name for name in FULL_CUT_COLUMNS if getattr(self, name) is not None or name in by]
        start, end = widen_to_kept_grains(self.start, self._past_end)
        rows = Rollup.objects.filter(
            _build_span_condition(split_into_spans(start, end, grain or DAY)),
            cut=FULL_CUT if names else PLAN_CUT,
            **self._build_conditions(FILTER_COLUMNS),
        )
        return rows.exclude(kind__in=(UNPLANNED_KIND, REFUSED_KIND)).order_by()

    def query_count_rollups(self) -> QuerySet[Tally]:
        """Of whole hours at least, and whatever the key, route and model: nothing finer is kept."""
        start, end = widen_to_kept_grains(
            self.start and floor_to_grain(self.start, HOUR),
            self._past_end and ceil_to_grain(self._past_end, HOUR),
        )
        return Tally.objects.filter(
            _build_span_condition(split_into_spans(start, end)),
            **self._build_conditions(("tenant_id", "plan_id")),
        ).order_by()

    def query_events(self) -> QuerySet[RequestEvent]:
        """The requests themselves."""
        return RequestEvent.objects.filter(
            plan_id__isnull=False,
            **build_time_conditions(self.start, self.end),
            **self._build_conditions(FILTER_COLUMNS),
        )

    @property
    def _past_end(self) -> datetime | None:
        """The end, unless it lies ahead: that cuts nothing off."""
        return self.end if self.end and self.end <= datetime.now(UTC) else None

    def _build_conditions(self, names: tuple[str, ...]) -> dict[str, Any]:
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def widen_to_kept_grains(
    start: datetime | None, end: datetime | None
) -> tuple[datetime | None, datetime | None]:
    """The period, with ends that lie where minutes or hours are no longer kept moved out
    to the next that is."""
    recently = datetime.now(UTC) - MIN_RETENTION
    if all(at is None or at >= recently or floor_to_grain(at, DAY) == at for at in (start, end)):
        return start, end
    forgotten = dict(Pruned.objects.filter(what__in=(MINUTE, HOUR)).values_list("what", "before"))
    for fine, coarse in ((MINUTE, HOUR), (HOUR, DAY)):
        if (before := forgotten.get(fine)) is not None:
            start = floor_to_grain(start, coarse) if start and start < before else start
            end = ceil_to_grain(end, coarse) if end and end < before else end
    return start, end


def _build_span_condition(found: list[GrainSpan]) -> Q:
    either = Q()
    for span in found:
        bounds = {"grain": span.grain, "at__gte": span.start, "at__lt": span.end}
        either |= Q(**{name: value for name, value in bounds.items() if value is not None})
    return either
