"""What somebody asks the numbers: a period, its granularity, what to group by and filters,
read strictly from URL parameters.

A parameter that is not understood is refused: a typo must not silently widen a report.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from plans.errors import ApiError
from plans.models import Tenant
from stats.reports import visibility
from stats.reports.periods import MINUTE_RETENTION, has_pruned_minutes, parse_period
from stats.reports.rollup_query import FULL_CUT_COLUMNS, RollupQuery
from stats.time_grains import DAY, GRAIN_LENGTHS, HOUR, MINUTE, floor_to_grain

GRANULARITIES: Final = (MINUTE, HOUR, DAY)
GROUP_NAMES: Final = ("tenant", "plan", "key", "route", "model", "tier")
PERIOD_PARAMETERS: Final = ("from", "to", "range")
FILTER_PARAMETERS: Final = ("tenant", "plan", "key", "route", "model")
PARAMETER_NAMES: Final = (*PERIOD_PARAMETERS, "granularity", "group_by", *FILTER_PARAMETERS)
MAX_SERIES_POINTS: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFilter:
    """Requests made from `start` on and before `end` (UTC), of the tenant, plan, key,
    route and model named; None: of any."""

    start: datetime
    end: datetime
    granularity: str = DAY
    group_by: str = ""
    tenant_id: int | None = None
    plan_id: int | None = None
    key_id: int | None = None
    route: str | None = None
    model: str | None = None

    @property
    def rollup_query(self) -> RollupQuery:
        """The same, for `stats.reports.totals` and `stats.reports.selectors`."""
        names = ("start", "end", "tenant_id", "plan_id", "key_id", "route", "model")
        return RollupQuery(**{name: getattr(self, name) for name in names})

    @property
    def needs_full_cut(self) -> bool:
        """Whether it is of one key, route or model, by which neither
        durations nor reasons are kept."""
        return any(getattr(self, name) is not None for name in FULL_CUT_COLUMNS)

    def for_plan(self, plan_id: int) -> "ReportFilter":
        """The same, of that plan alone."""
        return replace(self, plan_id=plan_id)

    @property
    def previous_period(self) -> "ReportFilter":
        """The same length of time just before; to the hour where minutes may be gone."""
        start = self.start - (self.end - self.start)
        return replace(
            self,
            start=floor_to_grain(start, HOUR) if has_pruned_minutes(start) else start,
            end=self.start,
        )


def parse_filter(
    params: Mapping[str, str],
    *,
    tenant: Tenant | None,
    since: datetime | None = None,
    also: Collection[str] = (),
) -> ReportFilter:
    """Out of URL parameters; empty ones count as left out.

    `tenant`: the only one the person may see, None: all of them.

    `since`: where the period starts when none is named (default: 30 days ago); `also`: further
    names that the caller reads itself. Raises Refusal: 400 with what is accepted, 404 for what is
    not there or not theirs.
    """
    _check_parameter_names(params, {*PARAMETER_NAMES, *also})
    start, end = parse_period(params, since=since)
    group_by = params.get("group_by", "")
    if group_by and group_by not in GROUP_NAMES:
        raise ApiError(f"Unknown group. Accepted: {', '.join(GROUP_NAMES)}.", param="group_by")
    owner = visibility.resolve_tenant_id(params.get("tenant", ""), tenant)
    return ReportFilter(
        start=start,
        end=end,
        granularity=_choose_granularity(params.get("granularity", ""), start, end),
        group_by=group_by,
        tenant_id=owner,
        plan_id=visibility.resolve_plan_id(params.get("plan", ""), tenant),
        key_id=visibility.resolve_key_id(params.get("key", ""), tenant),
        route=visibility.parse_name(params.get("route", ""), "route"),
        model=visibility.parse_name(params.get("model", ""), "model"),
    )


def check_point_count(asked: ReportFilter) -> ReportFilter:
    """The same.

    Raises Refusal when its granularity makes more points than a chart or a table can show.
    """
    if (asked.end - floor_to_grain(asked.start, asked.granularity)) / GRAIN_LENGTHS[
        asked.granularity
    ] <= MAX_SERIES_POINTS:
        return asked
    coarser = next(
        (
            name
            for name in GRANULARITIES
            if (asked.end - asked.start) / GRAIN_LENGTHS[name] < MAX_SERIES_POINTS
        ),
        "",
    )
    advice = f"use granularity={coarser}" if coarser else "ask for a shorter period"
    raise ApiError(
        f"That is more than {MAX_SERIES_POINTS:,} points: {advice}.", param="granularity"
    )


def _check_parameter_names(params: Mapping[str, str], names: Collection[str]) -> None:
    # Django's mapping holds a list for each name and shows the last.
    several: Any = getattr(params, "getlist", lambda _: ())
    for name in params:
        if name not in names:
            raise ApiError(
                f"Unknown parameter. Accepted: {', '.join(sorted(names))}.",
                param=name if name.isprintable() else None,
            )
        if len(several(name)) > 1:
            raise ApiError(f"Give `{name}` once.", param=name)


def _choose_granularity(named: str, start: datetime, end: datetime) -> str:
    """By default some dozens of points: minutes up to three hours, hours up to three days,
    then days."""
    if not named:
        length = end - start
        fine = MINUTE if length <= timedelta(hours=3) and not has_pruned_minutes(start) else HOUR
        return fine if length <= timedelta(days=3) else DAY
    if named not in GRANULARITIES:
        raise ApiError(
            f"Unknown granularity. Accepted: {', '.join(GRANULARITIES)}.", param="granularity"
        )
    if named == MINUTE and has_pruned_minutes(start):
        raise ApiError(
            f"Minutes are kept for {MINUTE_RETENTION.days} days: use hour or day, or a later "
            "`from`.",
            param="granularity",
        )
    return named
