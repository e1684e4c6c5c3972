"""Which requests a report covers, and the rollups that sum them with the fewest rows."""

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
from stats.request_id_times import build_time_conditions
from stats.time_grains import (
    DAY,
    HOUR,
    MINUTE,
    GrainSpan,
    ceil_to_grain,
    floor_to_grain,
    split_into_spans,
)

FULL_CUT_COLUMNS = ("key_id", "route", "model")  # columns of the full cut only
MIN_RETENTION: Final = timedelta(days=1)  # younger data is never pruned
FILTER_COLUMNS = ("tenant_id", "plan_id", *FULL_CUT_COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollupQuery:
    """Requests from `start` on and before `end` (UTC, None: open), without those without a plan.

    Of the tenant, plan, key, route and model named; None: of any.
    """

    start: datetime | None = None
    end: datetime | None = None
    tenant_id: int | None = None
    plan_id: int | None = None
    key_id: int | None = None
    route: str | None = None
    model: str | None = None

    def query_rollups(self, *, grain: str = "", by: tuple[str, ...] = ()) -> QuerySet[Rollup]:
        """Query rows that together contain each request once.

        No coarser than `grain`, with the columns `by` to group by.
        """
        names = [name for name in FULL_CUT_COLUMNS if getattr(self, name) is not None or name in by]
        start, end = widen_to_kept_grains(self.start, self._past_end)
        rows = Rollup.objects.filter(
            _build_span_condition(split_into_spans(start, end, grain or DAY)),
            cut=FULL_CUT if names else PLAN_CUT,
            **self._build_conditions(FILTER_COLUMNS),
        )
        return rows.exclude(kind__in=(UNPLANNED_KIND, REFUSED_KIND)).order_by()

    def query_count_rollups(self) -> QuerySet[Tally]:
        """Query the counts by hour or day."""
        # Whole hours at least, for all keys, routes and models: nothing finer is stored.
        start, end = widen_to_kept_grains(
            self.start and floor_to_grain(self.start, HOUR),
            self._past_end and ceil_to_grain(self._past_end, HOUR),
        )
        return Tally.objects.filter(
            _build_span_condition(split_into_spans(start, end)),
            **self._build_conditions(("tenant_id", "plan_id")),
        ).order_by()

    def query_events(self) -> QuerySet[RequestEvent]:
        """Query the requests themselves."""
        return RequestEvent.objects.filter(
            plan_id__isnull=False,
            **build_time_conditions(self.start, self.end),
            **self._build_conditions(FILTER_COLUMNS),
        )

    @property
    def _past_end(self) -> datetime | None:
        """The end, or None if it is in the future and thus excludes nothing."""
        return self.end if self.end and self.end <= datetime.now(UTC) else None

    def _build_conditions(self, names: tuple[str, ...]) -> dict[str, Any]:
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def widen_to_kept_grains(
    start: datetime | None, end: datetime | None
) -> tuple[datetime | None, datetime | None]:
    """Move start and end outwards to a grain that is still stored."""
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
