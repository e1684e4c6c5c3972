"""SQL that adds requests to the rollups: counts, costs, and what the holdout measures."""

from typing import Final

from stats.analysis.latency_buckets import build_bucket_sql
from stats.events import HOLDOUT_REASON, JUDGE_REASON, LEDGER_COLUMNS, SumCondition
from stats.models.holdout_sums import Held
from stats.models.requests import RequestEvent
from stats.models.rollups import FULL_CUT, PLAN_CUT, Rollup, Tally, Unfolded
from stats.time_grains import DAY, HOUR, MINUTE

# Costs of requests with and without their plan, by day and replicate group, from which the holdout
# savings are computed.
#
# A conversation is in one replicate group, whatever its turns (`proxy.core.quality.holdout_assignment`), so
# the sums of the groups vary independently, however strongly the requests of a conversation are
# correlated. 64 small sums per day, plan, tenant and arm suffice for an interval.

_HOLDOUT_TABLE: Final = Held._meta.db_table
_HOLDOUT_KEY: Final = "at, tenant_id, plan_id, share, held, replicate"
# Follows `told`: the requests being rolled up, with their kind.
HOLDOUT_ROLLUP_SQL: Final = f"""
held AS (INSERT INTO {_HOLDOUT_TABLE} AS r ({_HOLDOUT_KEY}, requests, priced, cost, would, size)
    SELECT date_trunc('day', at, 'UTC'), coalesce(tenant_id, 0), plan_id, holdout, reason = '{HOLDOUT_REASON}', replicate,
        count(*) FILTER (WHERE kind = 'counted'), count(*) FILTER (WHERE kind = 'counted' AND priced),
        coalesce(sum(billed_cost + spent_cost) FILTER (WHERE priced), 0), coalesce(sum(would_cost) FILTER (WHERE priced), 0),
        coalesce(sum(size) FILTER (WHERE kind = 'counted' AND priced), 0)
    FROM told WHERE holdout > 0 AND kind IN ('counted', 'sample', 'judged', 'unjudged')
    GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT ({_HOLDOUT_KEY}) DO UPDATE SET requests = r.requests + excluded.requests, priced = r.priced + excluded.priced,
        cost = r.cost + excluded.cost, would = r.would + excluded.would, size = r.size + excluded.size)"""


# Requests are added to the rollups in two steps. The statement that records requests notes them as
# pending; ROLL_UP_SQL takes such notes and adds their requests, in one statement too: each is in
# every rollup once, or its note still exists.
#
# Updating rollups with every batch would cost four times what recording costs; rolling up a
# second's batches together costs little of that.

MAX_BATCHES: Final = 64  # rolled up at once: some 16,000 requests, which take half a second
# An arbitrary number: one worker rolls up at a time, so that none waits for another's rows.
_ROLLUP_LOCK: Final = 0x666F6C64
ROLLUPS_TABLE, COUNT_ROLLUPS_TABLE, PENDING_TABLE, EVENTS_TABLE = (
    model._meta.db_table for model in (Rollup, Tally, Unfolded, RequestEvent)
)
_ROLLUP_KEY: Final = (
    "grain",
    "cut",
    "at",
    "tenant_id",
    "plan_id",
    "key_id",
    "route",
    "model",
    "kind",
    "tier",
)
_NAME_COLUMNS: Final = ("tenant", "plan", "key")
_COUNT_CONDITIONS: Final = {
    "called": "attempts > 0",
    "stale": "stale",
    "streamed": "stream",
    "compressed": "engine <> ''",
    "priced": "priced",
    "estimated": "estimated",
    "bill_unknown": "bill = 'unknown'",
    "would_exact": "would = 'exact'",
    "would_semantic": "would = 'semantic'",
}
_SUM_CONDITIONS: Final[dict[SumCondition, str]] = {
    "priced": "priced",
    "billed": "(priced OR kind = 'failed')",
}


def _build_filter_sql(summed: SumCondition) -> str:
    condition = _SUM_CONDITIONS.get(summed)
    return f" FILTER (WHERE {condition})" if condition else ""


SUM_EXPRESSIONS: Final = {
    "requests": "count(*)",
    **{
        name: f"count(*) FILTER (WHERE {condition})"
        for name, condition in _COUNT_CONDITIONS.items()
    },
    **{
        each.name: f"coalesce(sum({each.name}){_build_filter_sql(each.summed)}, 0)"
        for each in LEDGER_COLUMNS
        if each.summed
    },
}
_ADD_SUMS_SQL: Final = ", ".join(f"{name} = r.{name} + excluded.{name}" for name in SUM_EXPRESSIONS)
_PLAN_CUT_KEY: Final = "grain, since, tenant_id, plan_id, kind, tier"


def _build_grains_sql(*grains: str) -> str:
    """Build the SQL that yields each row of `told` per grain, with the start of its interval."""
    values = ", ".join(f"('{grain}')" for grain in grains)
    return (
        f"told CROSS JOIN (VALUES {values}) AS g(grain) CROSS JOIN LATERAL (SELECT "
        "date_trunc(grain, at, 'UTC') AS since) AS s"
    )


# The kind of a request in relation to its plan.
EVENT_KIND_SQL: Final = f"""e.*, would_cost IS NOT NULL AND billed_cost IS NOT NULL AS priced, CASE
    WHEN plan_id IS NULL THEN CASE WHEN outcome = 'ok' THEN 'unplanned' ELSE 'refused' END
    WHEN tier = 'sample' AND reason = '{JUDGE_REASON}' THEN CASE WHEN outcome = 'ok' THEN 'judged' ELSE 'unjudged' END
    WHEN tier = 'sample' THEN 'sample'
    WHEN status NOT BETWEEN 200 AND 299 OR outcome <> 'ok' THEN 'failed'
    WHEN shadow THEN 'shadow' ELSE 'counted' END AS kind"""
# The requests of the notes taken.
_TAKEN_EVENTS_SQL: Final = f"""
told AS (SELECT {EVENT_KIND_SQL} FROM taken CROSS JOIN LATERAL unnest(taken.events) AS id JOIN {EVENTS_TABLE} e ON e.event_id = id)"""


def build_rollup_sql(*grains: str) -> str:
    """Build the SQL that follows `told` and adds its requests to the rollups of these grains."""
    return f"""
rolled AS (INSERT INTO {ROLLUPS_TABLE} AS r ({", ".join((*_ROLLUP_KEY, *_NAME_COLUMNS, *SUM_EXPRESSIONS, "first_at", "last_at"))})
    SELECT grain, CASE WHEN grouping(key_id) = 1 THEN '{PLAN_CUT}' ELSE '{FULL_CUT}' END AS cut, since,
        coalesce(tenant_id, 0), coalesce(plan_id, 0), coalesce(key_id, 0), coalesce(route, ''), coalesce(model, ''), kind, tier,
        max(tenant), coalesce(max(plan) FILTER (WHERE plan_id IS NOT NULL), ''), CASE WHEN grouping(key_id) = 1 THEN '' ELSE max(key) END,
        {", ".join(SUM_EXPRESSIONS.values())}, min(at), max(at)
    FROM {_build_grains_sql(*grains)}
    GROUP BY GROUPING SETS (({_PLAN_CUT_KEY}), ({_PLAN_CUT_KEY}, key_id, route, model))
    ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
    ON CONFLICT ({", ".join(_ROLLUP_KEY)}) DO UPDATE SET {_ADD_SUMS_SQL}, tenant = excluded.tenant, plan = excluded.plan, key = excluded.key,
        first_at = least(r.first_at, excluded.first_at), last_at = greatest(r.last_at, excluded.last_at))"""


# An expired answer may be served after waiting for the provider in vain: that is not the duration
# of a hit.
COUNT_ROLLUP_SQL: Final = f"""
tallied AS (INSERT INTO {COUNT_ROLLUPS_TABLE} AS r (grain, at, tenant_id, plan_id, kind, tier, what, word, number)
    SELECT grain, since, coalesce(tenant_id, 0), coalesce(plan_id, 0), kind, tier, what, word, count(*)
    FROM {_build_grains_sql(HOUR, DAY)} CROSS JOIN LATERAL (
        SELECT 'reason' AS what, reason AS word WHERE reason <> ''
        UNION ALL SELECT 'failure', left(tool, 64) FROM jsonb_array_elements_text(failures) AS tool
        UNION ALL SELECT 'whole', {build_bucket_sql("duration_ms")} WHERE tier <> 'exact' OR upstream_ms = 0
        UNION ALL SELECT 'added', {build_bucket_sql("overhead_ms")} WHERE tier = 'miss') AS words
    WHERE kind = 'counted'
    GROUP BY {_PLAN_CUT_KEY}, what, word ORDER BY 1, 2, 3, 4, 5, 6, 7, 8
    ON CONFLICT (grain, at, tenant_id, plan_id, kind, tier, what, word) DO UPDATE SET number = r.number + excluded.number)"""

# Follows `new`, the requests just recorded.
NOTE_PENDING_SQL: Final = (
    f"noted_unfolded AS (INSERT INTO {PENDING_TABLE} (events) SELECT array_agg(event_id) FROM new "
    "HAVING count(*) > 0)"
)
# Returns how many notes were rolled up, at most MAX_BATCHES; none while another worker does it.
ROLL_UP_SQL: Final = f"""
WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock({_ROLLUP_LOCK}) AS ours),
ready AS (SELECT id FROM {PENDING_TABLE} WHERE (SELECT ours FROM turn) ORDER BY id LIMIT {MAX_BATCHES}),
taken AS (DELETE FROM {PENDING_TABLE} u USING ready WHERE u.id = ready.id RETURNING u.events), {_TAKEN_EVENTS_SQL},
{build_rollup_sql(MINUTE, HOUR, DAY)}, {COUNT_ROLLUP_SQL}, {HOLDOUT_ROLLUP_SQL}
SELECT count(*) FROM taken"""
