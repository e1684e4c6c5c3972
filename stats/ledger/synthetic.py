"""Generate requests, written and rolled up by PostgreSQL, to test with a large ledger.

They follow each other in time, more by day than by night, over a few tenants, keys, plans and
models. Rollups by minute are written only where they would still be stored. Everything else is as
recording and rolling up would have left it, which `manage.py reconcile` confirms.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import BooleanField, CharField, JSONField
from django.db.models.fields import Field

from stats.ledger import partitions
from stats.ledger.rollup import COUNT_ROLLUP_SQL, EVENT_KIND_SQL, build_rollup_sql
from stats.models.requests import RequestEvent
from stats.time_grains import DAY, HOUR, MINUTE

PORTION_ROWS: Final = 100_000
MODEL_PRICES: Final = (
    ("gpt-4o-mini", "0.15", "0.60"),
    ("gpt-4o", "2.50", "10.00"),
    ("gpt-4.1-nano", "0.10", "0.40"),
)


@dataclass(frozen=True, slots=True)
class SyntheticCaller:
    """A tenant's key that makes requests under a plan."""

    tenant_id: int
    tenant: str
    key_id: int
    key: str
    plan_id: int
    plan: str


# Aliases in the column expressions: `x` random numbers, `m` a model with its prices, `a` a caller.
# A day's traffic comes in a wave.
_DICE_SQL: Final = """
SELECT i, random() AS d1, random() AS d2, random() AS d3, random() AS d4, random() AS d5, md5(random()::text || i) AS noise,
    %(start)s::timestamptz + %(days)s * interval '1 day' * ((i - 1 + random()) / %(number)s) AS even
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS i"""
_DRAWN_SQL: Final = f"""
SELECT x.*, even - interval '1 day' * 0.11 * sin(2 * pi() * extract(epoch FROM even) / 86400) AS at,
    CASE WHEN d1 < 0.30 THEN 'exact' WHEN d1 < 0.42 THEN 'semantic' WHEN d1 < 0.90 THEN 'miss'
        WHEN d1 < 0.98 THEN 'bypass' ELSE 'sample' END AS tier,
    CASE WHEN d1 >= 0.42 AND d2 < 0.02 THEN 'upstream_error' WHEN d1 >= 0.42 AND d2 < 0.03 THEN 'client_closed' ELSE 'ok' END AS outcome,
    (30 + 3000 * d3 ^ 3)::bigint AS asked, (5 + 400 * d4 ^ 2)::bigint AS answered,
    1 + floor(d5 * %(askers)s)::int AS asker, 1 + floor(d5 * 10000)::int %% {len(MODEL_PRICES)} AS nth FROM ({_DICE_SQL}) AS x"""
_COLUMN_VALUES: Final = {
    "event_id": (
        "(lpad(to_hex(milliseconds), 12, '0') || '7' || left(noise, 3) || '8' || "
        "right(noise, 15))::uuid"
    ),
    "at": "at",
    "tenant_id": "a.tenant_id",
    "tenant": "a.tenant",
    "key_id": "a.key_id",
    "key": "a.key",
    "plan_id": "a.plan_id",
    "plan": "a.plan",
    "plan_version": "1",
    "route": "m.model",
    "upstream": "'generated'",
    "model": "m.model",
    "stream": "d2 > 0.6",
    "status": "CASE outcome WHEN 'ok' THEN 200 WHEN 'client_closed' THEN 499 ELSE 502 END",
    "outcome": "outcome",
    "tier": "tier",
    "reason": (
        "CASE WHEN tier = 'bypass' THEN 'temperature' WHEN tier = 'miss' AND d4 < 0.1 THEN "
        "'numbers' ELSE '' END"
    ),
    "similarity": "CASE WHEN tier IN ('semantic', 'miss', 'sample') THEN 1 - d4 / 2 END",
    "score": "CASE WHEN tier IN ('semantic', 'miss', 'sample') THEN 1 - d4 END",
    "sample": (
        "CASE WHEN tier = 'sample' THEN CASE WHEN d2 < 0.02 THEN 'wrong' WHEN d2 < 0.1 THEN "
        "'unclear' ELSE 'right' END ELSE '' END"
    ),
    "basis": "CASE WHEN tier = 'sample' THEN 'generated' ELSE '' END",
    "attempts": "CASE WHEN called THEN 1 ELSE 0 END",
    "engine": "CASE WHEN tier = 'miss' AND d4 < 0.2 THEN 'text_rank' ELSE '' END",
    "turns": "1 + floor(5 * d4 ^ 3)::int",
    "asked_tokens": "CASE tier WHEN 'sample' THEN 0 ELSE asked END",
    "prompt_tokens": "CASE WHEN billed THEN asked ELSE 0 END",
    "completion_tokens": "CASE WHEN billed THEN answered ELSE 0 END",
    "served_tokens": "CASE WHEN outcome = 'ok' AND tier <> 'sample' THEN answered ELSE 0 END",
    "tokens_saved": (
        "CASE WHEN NOT called THEN asked + answered WHEN tier = 'sample' AND billed THEN -asked - "
        "answered ELSE 0 END"
    ),
    "would_cost": "CASE WHEN outcome = 'ok' AND tier <> 'sample' THEN dollars ELSE 0 END",
    "billed_cost": "CASE WHEN billed AND tier <> 'sample' THEN dollars ELSE 0 END",
    "spent_cost": "CASE WHEN billed AND tier = 'sample' THEN dollars ELSE 0 END",
    "duration_ms": "CASE WHEN called THEN 300 + 2000 * d4 ELSE 2 + 10 * d4 END",
    "upstream_ms": "CASE WHEN called THEN 295 + 2000 * d4 ELSE 0 END",
    "overhead_ms": "3 + 5 * d2",
}


def generate_events(
    number: int,
    *,
    start: datetime,
    end: datetime,
    minutes_from: datetime,
    askers: list[SyntheticCaller],
) -> Iterator[int]:
    """Write `number` requests made from `start` to before `end`, and their rollups.

    By minute from `minutes_from` on. Yields the number written so far after each portion.
    """
    partitions.make_partitions(start, months=_count_months(start, end) + partitions.MONTHS_AHEAD)
    first = 1
    while first <= number:
        last = min(number, first + PORTION_ROWS - 1)
        begins = start + (end - start) * ((first - 1) / number) + timedelta(days=1)
        grains = (
            (HOUR, DAY)
            if begins < minutes_from - (end - start) * (PORTION_ROWS / number)
            else (MINUTE, HOUR, DAY)
        )
        values: dict[str, Any] = {
            "start": start,
            "days": (end - start) / timedelta(days=1),
            "number": number,
            "first": first,
            "last": last,
        }
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute(_build_statement(grains), {**values, **_build_draw_lists(askers)})
        yield last
        first = last + 1


def _count_months(start: datetime, end: datetime) -> int:
    return 12 * (end.year - start.year) + end.month - start.month + 1


def _build_draw_lists(askers: list[SyntheticCaller]) -> Mapping[str, Any]:
    """Build the lists that the SQL draws from."""
    columns = {
        f"asker_{name}": [getattr(asker, name) for asker in askers]
        for name in SyntheticCaller.__slots__
    }
    models, full, out = zip(*MODEL_PRICES, strict=True)
    return {
        **columns,
        "askers": len(askers),
        "models": list(models),
        "inputs": list(map(Decimal, full)),
        "outputs": list(map(Decimal, out)),
    }


def _build_statement(grains: tuple[str, ...]) -> str:
    fields = RequestEvent._meta.concrete_fields
    names = ", ".join(f'"{field.column}"' for field in fields)
    values = ", ".join(
        _COLUMN_VALUES.get(str(field.column)) or _empty_value_sql(field) for field in fields
    )
    return f"""
WITH askers AS (SELECT * FROM unnest(%(asker_tenant_id)s::bigint[], %(asker_tenant)s::text[], %(asker_key_id)s::bigint[],
    %(asker_key)s::text[], %(asker_plan_id)s::bigint[], %(asker_plan)s::text[]) WITH ORDINALITY AS a({", ".join(SyntheticCaller.__slots__)}, asker)),
models AS (SELECT * FROM unnest(%(models)s::text[], %(inputs)s::numeric[], %(outputs)s::numeric[])
    WITH ORDINALITY AS m(model, inp, outp, nth)),
drawn AS MATERIALIZED ({_DRAWN_SQL}),
new AS (INSERT INTO {RequestEvent._meta.db_table} ({names}) SELECT {values} FROM drawn JOIN askers a USING (asker) JOIN models m USING (nth)
    CROSS JOIN LATERAL (SELECT tier NOT IN ('exact', 'semantic') AS called, tier NOT IN ('exact', 'semantic') AND outcome = 'ok' AS billed,
        (asked * inp + answered * outp) / 1000000 AS dollars, floor(extract(epoch FROM at) * 1000)::bigint AS milliseconds) AS worth
    RETURNING *),
told AS (SELECT {EVENT_KIND_SQL} FROM new e), {build_rollup_sql(*grains)}, {COUNT_ROLLUP_SQL}
SELECT count(*) FROM new"""


def _empty_value_sql(field: "Field[Any, Any]") -> str:
    if isinstance(field, JSONField):
        return f"'{json.dumps(field.get_default())}'"
    if field.null:
        return "NULL"
    if isinstance(field, BooleanField):
        return "false"
    return "''" if isinstance(field, CharField) else "0"
