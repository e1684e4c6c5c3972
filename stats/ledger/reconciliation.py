"""Check that the ledger agrees with itself: the invariants I1 to I5 on live data.

In one snapshot, so that traffic may continue. Rollups are compared with the requests they were made
of, for every minute, hour and day that still has both. A request that waits to be rolled up is in
neither.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from stats.ledger.rollup import EVENT_KIND_SQL, SUM_EXPRESSIONS
from stats.models.requests import DeadLetter, RequestEvent
from stats.models.rollups import FULL_CUT, PLAN_CUT, Pruned, Rollup, Unfolded
from stats.request_id_times import CLOCK_TOLERANCE
from stats.time_grains import DAY, HOUR, MINUTE, ceil_to_grain

MAX_SHOWN_DIFFERENCES: Final = 5  # differences shown individually
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CUT_KEYS: Final = {
    PLAN_CUT: ("tenant_id", "plan_id", "kind", "tier"),
    FULL_CUT: ("tenant_id", "plan_id", "key_id", "route", "model", "kind", "tier"),
}
_NULL_DEFAULTS: Final = {
    "tenant_id": "0",
    "plan_id": "0",
    "key_id": "0",
    "route": "''",
    "model": "''",
}
EVENTS_TABLE, ROLLUPS_TABLE, PENDING_TABLE = (
    model._meta.db_table for model in (RequestEvent, Rollup, Unfolded)
)
_GROUP_COLUMNS_SQL: Final = ", ".join(
    f"coalesce({name}, {_NULL_DEFAULTS[name]}) AS {name}" if name in _NULL_DEFAULTS else name
    for name in _CUT_KEYS[FULL_CUT]
)
# The requests are summed once, by minute if minutes are still stored, else by hour; all other sums
# are made of these.
_SUM_EVENTS_SQL: Final = f"""
CREATE TEMPORARY TABLE summed ON COMMIT DROP AS
SELECT date_trunc(CASE WHEN at >= %s THEN 'minute' ELSE 'hour' END, at, 'UTC') AS at, {_GROUP_COLUMNS_SQL},
    {", ".join(f"{value} AS {name}" for name, value in SUM_EXPRESSIONS.items())}
FROM (SELECT {EVENT_KIND_SQL} FROM {EVENTS_TABLE} e WHERE at >= %s
    AND NOT EXISTS (SELECT FROM {PENDING_TABLE} CROSS JOIN LATERAL unnest(events) AS waits WHERE waits = e.event_id)) AS told
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8"""
_ID_TIME_SQL: Final = (
    "('x' || left(replace(event_id::text, '-', ''), 12))::bit(48)::bigint / 1000.0"
)
_EVENT_FACTS_SQL: Final = f"""
SELECT count(*), count(DISTINCT event_id), count(*) FILTER (WHERE tier IN ('exact', 'semantic') AND attempts > 0 AND NOT stale),
    count(*) FILTER (WHERE abs(extract(epoch FROM at) - {_ID_TIME_SQL}) > {CLOCK_TOLERANCE.total_seconds()}) FROM {EVENTS_TABLE}"""


@dataclass(frozen=True, slots=True)
class ConsistencyCheck:
    """The result of one check.

    `said`: what was found, as a sentence; `differences`: some of them individually.
    """

    name: str
    holds: bool
    said: str
    differences: tuple[str, ...] = ()


@contextmanager
def open_snapshot() -> Iterator[None]:
    """Give all reads of the block the same snapshot and no statement timeout."""
    outermost = not connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if outermost:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SET LOCAL statement_timeout = 0")
        yield


def run_checks() -> list[ConsistencyCheck]:
    """Run all checks, within `open_snapshot`."""
    with connection.cursor() as cursor:
        return [*_check_requests(cursor), *_check_rollups(cursor), _check_dead_letters()]


def _check_requests(cursor: CursorWrapper) -> Iterator[ConsistencyCheck]:
    cursor.execute(_EVENT_FACTS_SQL)
    requests, different, paid, astray = cursor.fetchone()
    yield ConsistencyCheck(
        "request ids are unique", requests == different, f"{requests:,} requests, {different:,} ids"
    )
    yield ConsistencyCheck("a hit has no upstream attempt", paid == 0, f"{paid:,} hits have one")
    yield ConsistencyCheck(
        "ids were made at their time",
        astray == 0,
        f"{astray:,} are more than {CLOCK_TOLERANCE.total_seconds():.0f} s off",
    )


def _check_dead_letters() -> ConsistencyCheck:
    letters = DeadLetter.objects.count()
    return ConsistencyCheck(
        "every line of the spool was stored",
        letters == 0,
        f"{letters:,} dead letters, to be looked at in the admin",
    )


def _check_rollups(cursor: CursorWrapper) -> Iterator[ConsistencyCheck]:
    forgotten = {row.what: row.before for row in Pruned.objects.all()}
    oldest = forgotten.get("event", _EPOCH)
    since = {
        grain: ceil_to_grain(max(oldest, forgotten.get(grain, oldest)), grain)
        for grain in (MINUTE, HOUR, DAY)
    }
    cursor.execute("DROP TABLE IF EXISTS summed")
    cursor.execute(_SUM_EVENTS_SQL, [since[MINUTE], min(since.values())])
    for grain, begin in since.items():
        for cut in (PLAN_CUT, FULL_CUT):
            cursor.execute(_build_compare_sql(cut), {"grain": grain, "cut": cut, "since": begin})
            rows = cursor.fetchall()
            compared, requests, apart = rows[0][:3] if rows else (0, 0, 0)
            told = tuple(_describe_difference(row[3:], cut) for row in rows if apart)
            said = f"{compared:,} sums over {requests:,} requests, {apart:,} of them differ"
            yield ConsistencyCheck(f"roll-ups by {grain}, {cut} cut", apart == 0, said, told)


def _build_compare_sql(cut: str) -> str:
    """Build the query for the number of sums, of requests and of differing sums.

    And the first few differing ones, with both sides.
    """
    keys = ", ".join(("at", *_CUT_KEYS[cut]))
    sums, ours, theirs = (
        ", ".join(f"{mark}{name}" for name in SUM_EXPRESSIONS) for mark in ("", "m.", "r.")
    )
    return f"""
WITH made AS (SELECT date_trunc(%(grain)s, at, 'UTC') AS at, {", ".join(_CUT_KEYS[cut])}, {", ".join(f"sum({name}) AS {name}" for name in SUM_EXPRESSIONS)}
    FROM summed WHERE at >= %(since)s GROUP BY {", ".join(str(number) for number in range(1, len(_CUT_KEYS[cut]) + 2))}),
rolled AS (SELECT {keys}, {sums} FROM {ROLLUPS_TABLE} WHERE grain = %(grain)s AND cut = %(cut)s AND at >= %(since)s),
both_sides AS (SELECT {keys}, m.requests AS made, r.requests AS rolled, ROW({ours}) IS DISTINCT FROM ROW({theirs}) AS apart,
    to_jsonb(m)::text AS events, to_jsonb(r)::text AS sums FROM made m FULL JOIN rolled r USING ({keys}))
SELECT count(*) OVER (), sum(coalesce(made, 0)) OVER (), count(*) FILTER (WHERE apart) OVER (), {keys}, events, sums
FROM both_sides ORDER BY apart DESC, at LIMIT {MAX_SHOWN_DIFFERENCES}"""


def _describe_difference(row: tuple[Any, ...], cut: str) -> str:
    *keys, made, rolled = row
    events, sums = (
        json.loads(side, parse_float=Decimal) if side else None for side in (made, rolled)
    )
    named = ", ".join(
        f"{name} {value!r}" for name, value in zip(_CUT_KEYS[cut], keys[1:], strict=True)
    )
    if not events or not sums:
        return f"{keys[0]:%Y-%m-%d %H:%M}, {named}: " + (
            "requests without a roll-up" if events else "a roll-up without requests"
        )
    apart = ", ".join(
        f"{name} {events[name]} by the requests, {sums[name]} rolled up"
        for name in SUM_EXPRESSIONS
        if events[name] != sums[name]
    )
    return f"{keys[0]:%Y-%m-%d %H:%M}, {named}: {apart}"
