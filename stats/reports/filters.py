"""The filter of a report: period, granularity, grouping and filters from URL parameters.

Unknown parameters are rejected: a typo must not silently widen a report.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from plans.api_errors import ApiError
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
    """Requests from `start` on and before `end` (UTC), of one tenant, plan, key, route or model.

    None: of any.
    """

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
        """The same filter as a query of rollups."""
        names = ("start", "end", "tenant_id", "plan_id", "key_id", "route", "model")
        return RollupQuery(**{name: getattr(self, name) for name in names})

    @property
    def needs_full_cut(self) -> bool:
        """Whether it filters by key, route or model."""
        # Durations and reasons are not stored by these.
        return any(getattr(self, name) is not None for name in FULL_CUT_COLUMNS)

    def for_plan(self, plan_id: int) -> "ReportFilter":
        """Return the filter for that plan only."""
        return replace(self, plan_id=plan_id)

    @property
    def previous_period(self) -> "ReportFilter":
        """The period of the same length just before; to the hour if its minutes may be pruned."""
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
    """Parse URL parameters; empty ones count as missing.

    `tenant`: the only visible one, None for all; `since`: the default start (else 30 days ago);
    `also`: further names, which the caller reads itself. Raises ApiError: 400 with what is
    accepted, 404 for what does not exist or is not visible.
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
    """Return the filter. Raises ApiError if its granularity makes too many points to show."""
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
    # Django's mapping holds a list for each name and returns the last.
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
    """Check the granularity, or choose one that gives some dozens of points.

    Minutes up to three hours, hours up to three days, then days.
    """
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
