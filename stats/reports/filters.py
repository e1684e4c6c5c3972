"""What somebody asks the numbers: a period, its granularity, what to group by and filters,
read strictly from URL parameters.

A parameter that is not understood is refused: a typo must not silently widen a report.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from plans.errors import Refusal
from plans.models import Tenant
from stats.reports import visibility
from stats.reports.periods import MINUTES_KEPT, minutes_gone, period
from stats.reports.rollup_query import FULL_ONLY, Wanted
from stats.time_grains import DAY, HOUR, MINUTE, STEPS, floor

GRANULARITIES: Final = (MINUTE, HOUR, DAY)
GROUPS: Final = ("tenant", "plan", "key", "route", "model", "tier")
PERIOD: Final = ("from", "to", "range")
FILTERS: Final = ("tenant", "plan", "key", "route", "model")
NAMES: Final = (*PERIOD, "granularity", "group_by", *FILTERS)
MAX_POINTS: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
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
    def wanted(self) -> Wanted:
        """The same, for `stats.reports.totals` and `stats.reports.selectors`."""
        names = ("start", "end", "tenant_id", "plan_id", "key_id", "route", "model")
        return Wanted(**{name: getattr(self, name) for name in names})

    @property
    def narrow(self) -> bool:
        """Whether it is of one key, route or model, by which neither
        durations nor reasons are kept."""
        return any(getattr(self, name) is not None for name in FULL_ONLY)

    def of_plan(self, plan_id: int) -> "Asked":
        """The same, of that plan alone."""
        return replace(self, plan_id=plan_id)

    @property
    def before(self) -> "Asked":
        """The same length of time just before; to the hour where minutes may be gone."""
        start = self.start - (self.end - self.start)
        return replace(
            self, start=floor(start, HOUR) if minutes_gone(start) else start, end=self.start
        )


def asked(
    params: Mapping[str, str],
    *,
    tenant: Tenant | None,
    since: datetime | None = None,
    also: Collection[str] = (),
) -> Asked:
    """Out of URL parameters; empty ones count as left out.

    `tenant`: the only one the person may see, None: all of them.

    `since`: where the period starts when none is named (default: 30 days ago); `also`: further
    names that the caller reads itself. Raises Refusal: 400 with what is accepted, 404 for what is
    not there or not theirs.
    """
    _known(params, {*NAMES, *also})
    start, end = period(params, since=since)
    group_by = params.get("group_by", "")
    if group_by and group_by not in GROUPS:
        raise Refusal(f"Unknown group. Accepted: {', '.join(GROUPS)}.", param="group_by")
    owner = visibility.tenant_id(params.get("tenant", ""), tenant)
    return Asked(
        start=start,
        end=end,
        granularity=_granularity(params.get("granularity", ""), start, end),
        group_by=group_by,
        tenant_id=owner,
        plan_id=visibility.plan_id(params.get("plan", ""), tenant),
        key_id=visibility.key_id(params.get("key", ""), tenant),
        route=visibility.text(params.get("route", ""), "route"),
        model=visibility.text(params.get("model", ""), "model"),
    )


def bounded(asked: Asked) -> Asked:
    """The same.

    Raises Refusal when its granularity makes more points than a chart or a table can show.
    """
    if (asked.end - floor(asked.start, asked.granularity)) / STEPS[asked.granularity] <= MAX_POINTS:
        return asked
    coarser = next(
        (name for name in GRANULARITIES if (asked.end - asked.start) / STEPS[name] < MAX_POINTS), ""
    )
    advice = f"use granularity={coarser}" if coarser else "ask for a shorter period"
    raise Refusal(f"That is more than {MAX_POINTS:,} points: {advice}.", param="granularity")


def _known(params: Mapping[str, str], names: Collection[str]) -> None:
    # Django's mapping holds a list for each name and shows the last.
    several: Any = getattr(params, "getlist", lambda _: ())
    for name in params:
        if name not in names:
            raise Refusal(
                f"Unknown parameter. Accepted: {', '.join(sorted(names))}.",
                param=name if name.isprintable() else None,
            )
        if len(several(name)) > 1:
            raise Refusal(f"Give `{name}` once.", param=name)


def _granularity(named: str, start: datetime, end: datetime) -> str:
    """By default some dozens of points: minutes up to three hours, hours up to three days,
    then days."""
    if not named:
        length = end - start
        fine = MINUTE if length <= timedelta(hours=3) and not minutes_gone(start) else HOUR
        return fine if length <= timedelta(days=3) else DAY
    if named not in GRANULARITIES:
        raise Refusal(
            f"Unknown granularity. Accepted: {', '.join(GRANULARITIES)}.", param="granularity"
        )
    if named == MINUTE and minutes_gone(start):
        raise Refusal(
            f"Minutes are kept for {MINUTES_KEPT.days} days: use hour or day, or a later `from`.",
            param="granularity",
        )
    return named
