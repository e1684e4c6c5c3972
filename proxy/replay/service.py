"""Replay a plan's recent requests from the ledger under a draft of the plan."""

import logging
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import OperationalError, connection, transaction

from plans.api_errors import ApiError
from plans.fields import (
    MAX_ERROR_RATE,
    SETTINGS_IN_REPLAY_ORDER,
    UNREPLAYED_COMPRESSION,
    PlanHalf,
)
from plans.models import Plan, Tenant
from plans.snapshot import CacheSettings
from plans.validation import PlanDraft
from proxy.core.replay import ReplayResult
from proxy.engines.replay_worker import ReplayJob, replay_rows
from stats.analysis.error_rate import WINDOW_DAYS, ErrorRateEstimate, Sample, estimate_error_rate
from stats.ledger.fingerprint_sql import FINGERPRINTS_TABLE
from stats.models.requests import RequestEvent
from stats.reports.selectors import build_plan_query
from stats.request_id_times import first_id

MAX_REPLAYED_REQUESTS: Final = 50_000  # the latest ones
MAX_INLINE_REQUESTS: Final = 500  # replayed in this thread
STATEMENT_TIMEOUT_SECONDS: Final = 5  # for the database
REPLAY_TIMEOUT_SECONDS: Final = 30  # for the replay process
log = logging.getLogger("tokenthrift.proxy")
_SCOPE_NARROWNESS: Final = {"tenant": 0, "key": 1, "user": 1}
_REQUESTS_SQL: Final = f"""
SELECT extract(epoch FROM i.at)::float8, i.key_id, i.end_user, i.asked, i.bucket, i.vector, e.tier, e.would, e.shadow, e.reason,
    e.similarity, e.score, e.would_cost, e.billed_cost, e.spent_cost
FROM {FINGERPRINTS_TABLE} i JOIN {RequestEvent._meta.db_table} e ON e.event_id = i.event_id
WHERE i.plan_id = %s AND i.at >= %s AND e.event_id >= %s {{owner}} ORDER BY i.at DESC, i.event_id DESC LIMIT {MAX_REPLAYED_REQUESTS + 1}"""  # noqa: E501 -- SQL is laid out as it is read


class ReplayUnavailable(ApiError):
    status = 503
    code = "replay_unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReplay:
    """A replay's result and what it covers."""

    # How far back requests are read; 0: none are kept.
    days: int
    # The oldest request replayed.
    since: datetime | None
    # There were more requests than could be replayed.
    is_truncated: bool
    result: ReplayResult
    # Other changes of the draft, in words.
    not_replayed: tuple[str, ...]
    # From sampled hits at either threshold.
    wrong_now: ErrorRateEstimate
    wrong_then: ErrorRateEstimate
    # Requests whose model has no price, in no sum of money.
    unpriced: int
    # Virtual keys with requests.
    keys: int


def replay_plan(plan: Plan, draft: PlanDraft, owner: Tenant | None) -> PlanReplay:
    """Replay the requests of `owner` (None: all tenants) under the current plan and the draft.

    Takes seconds. Raises ReplayUnavailable.
    """
    ours, theirs = (
        plan.build_snapshot().cache if plan.mode != "off" else None,
        draft.cache if draft.mode != "off" else None,
    )
    start = datetime.now(UTC) - timedelta(days=settings.IMPRINT_DAYS)
    raw = _load_request_rows(plan, owner, start) if settings.IMPRINT_DAYS else []
    rows = raw[:MAX_REPLAYED_REQUESTS]
    done = _run_replay(
        (rows, _to_plain_settings(ours), _to_plain_settings(_limit_scope(ours, theirs)))
    )
    samples = _load_samples(plan, owner, theirs or ours)
    return PlanReplay(
        days=settings.IMPRINT_DAYS,
        since=datetime.fromtimestamp(rows[-1][0], UTC) if rows else None,
        is_truncated=len(raw) > MAX_REPLAYED_REQUESTS,
        result=done,
        not_replayed=tuple(_list_unreplayed_changes(plan, draft)),
        wrong_now=_estimate_at_threshold(samples, ours),
        wrong_then=_estimate_at_threshold(samples, theirs),
        unpriced=sum(row[12] is None for row in rows),
        keys=len({row[1] for row in rows}),
    )


def _run_replay(work: ReplayJob) -> ReplayResult:
    """Run the replay, in a separate process if it takes more than a moment.

    Raises ReplayUnavailable.
    """
    if len(work[0]) <= MAX_INLINE_REQUESTS:
        return replay_rows(work)
    # This process also answers requests.
    command = [sys.executable, "-m", "proxy.engines.replay_worker"]
    try:
        done = subprocess.run(  # noqa: S603 -- our own
            command,
            input=pickle.dumps(work),
            capture_output=True,
            cwd=settings.BASE_DIR,
            timeout=REPLAY_TIMEOUT_SECONDS,
            check=True,
        )
    except (subprocess.SubprocessError, OSError) as error:
        said = getattr(error, "stderr", None) or b""
        log.warning(
            "a replay of %d requests failed: %s %s",
            len(work[0]),
            type(error).__name__,
            said[-500:].decode(errors="replace"),
        )
        raise ReplayUnavailable(
            f"These requests could not be replayed within {REPLAY_TIMEOUT_SECONDS} s. Try again "
            "when "
            "there is less to do."
        ) from error
    found: ReplayResult = pickle.loads(done.stdout)  # noqa: S301 -- likewise
    return found


def _to_plain_settings(cache: CacheSettings | None) -> CacheSettings | None:
    """Return the settings with plain strings instead of the model's choices."""
    if cache is None:
        return None
    # A process without Django cannot unpickle the choices of a plan that was not read back.
    values: dict[str, Any] = {
        name: str(value) if isinstance(value, str) else value
        for name, value in asdict(cache).items()
    }
    return CacheSettings(**values)


def estimate_wrong_hits(
    side_semantic: float, wrong: ErrorRateEstimate
) -> tuple[float, float, float] | None:
    """Estimate the wrong hits: expected, and both ends of the 95 % interval; None if unknown."""
    return (
        None
        if wrong.rate is None
        else (side_semantic * wrong.rate, side_semantic * wrong.lower, side_semantic * wrong.upper)
    )


def _load_request_rows(plan: Plan, owner: Tenant | None, start: datetime) -> list[tuple[Any, ...]]:
    values: list[Any] = [plan.pk, start, first_id(start - timedelta(minutes=1))]
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_SECONDS * 1000}")
            cursor.execute(
                _REQUESTS_SQL.format(owner="AND i.tenant_id = %s" if owner else ""),
                [*values, owner.pk] if owner else values,
            )
            found: list[tuple[Any, ...]] = cursor.fetchall()
    except OperationalError as error:
        log.warning("requests to replay cannot be read: %s", error)
        raise ReplayUnavailable(
            f"The requests could not be read within {STATEMENT_TIMEOUT_SECONDS} s. Try again when "
            "the "
            "database has less to do."
        ) from error
    return found


def _limit_scope(ours: CacheSettings | None, theirs: CacheSettings | None) -> CacheSettings | None:
    """Return the draft's cache with its scope at least as narrow as the current one."""
    # Sharing can be simulated within the scope that was in use, not beyond.
    if (
        ours is None
        or theirs is None
        or _SCOPE_NARROWNESS[theirs.scope] >= _SCOPE_NARROWNESS[ours.scope]
    ):
        return theirs
    return CacheSettings(**asdict(theirs) | {"scope": ours.scope})


def _list_unreplayed_changes(plan: Plan, draft: PlanDraft) -> Iterator[str]:
    saved = plan.build_snapshot()
    if draft.compression != saved.compression:
        yield UNREPLAYED_COMPRESSION
    yield from _list_unreplayed("", saved, draft)
    if "off" not in (draft.mode, saved.mode) and draft.mode != saved.mode:
        yield f"that the plan would be {draft.mode}: the figures are those of a plan in use"
    if saved.cache is None or draft.cache is None or saved.mode == "off":
        if draft.cache is not None:
            yield "what a cache would have done that was not there"
        return
    before, after = saved.cache, draft.cache
    if before.backend is not None and after.backend is None:
        before = replace(before, backend=None)  # replayed: there are no semantic hits any more
    yield from _list_unreplayed("cache", before, after)
    wider = _SCOPE_NARROWNESS[after.scope] < _SCOPE_NARROWNESS[before.scope]
    if wider or {before.scope, after.scope} == {"key", "user"}:
        yield "answers shared by more than before"


def _list_unreplayed(half: PlanHalf, before: object, after: object) -> Iterator[str]:
    """Describe the changed settings that a replay cannot tell."""
    for each in SETTINGS_IN_REPLAY_ORDER:
        told = each.half == half and each.unreplayed
        if told and getattr(before, each.name) != getattr(after, each.name):
            yield each.unreplayed


def _load_samples(plan: Plan, owner: Tenant | None, cache: CacheSettings | None) -> list[Sample]:
    """Load the verdicts of recent samples with the number that the draft's threshold applies to."""
    column = "score" if cache is None or cache.match == "verified" else "similarity"
    events = build_plan_query(
        plan, owner, start=datetime.now(UTC) - timedelta(days=WINDOW_DAYS)
    ).query_events()
    rows = events.filter(
        sample__in=("right", "wrong", "unclear"), **{f"{column}__isnull": False}
    ).exclude(basis="")
    return [
        Sample(at.timestamp(), number, verdict)
        for at, number, verdict in rows.order_by("-at").values_list("at", column, "sample")[:5000]
    ]


def _estimate_at_threshold(samples: list[Sample], cache: CacheSettings | None) -> ErrorRateEstimate:
    threshold = cache.threshold if cache else 1.0
    # Only the rate is used, whatever the limit.
    return estimate_error_rate(samples, limit=MAX_ERROR_RATE, threshold=threshold)
