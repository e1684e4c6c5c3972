"""Delete rows older than the settings allow; create the partitions of coming months."""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import Error, connection
from django.db.models import F
from django.db.models.functions import Greatest, Now

from stats.ledger import partitions
from stats.models.cache_entries import Erasure
from stats.models.fingerprints import StoredImprint
from stats.models.requests import DeadLetter, RequestEvent, SpoolCursor, UpstreamAttempt
from stats.models.rollups import Pruned, Rollup, Tally, Unfolded
from stats.request_id_times import first_id
from stats.time_grains import DAY, HOUR, MINUTE, floor_to_grain

# Retention: requests and rollups by minute and by hour are deleted after a time; those by day stay.
# Totals do not change by it.
#
# How far is recorded first (`Pruned`), so that comparisons and sums know what they can rely on.
# Whole months of requests are dropped at once; the rest is deleted in small batches, which block no
# one. A request that is in no rollup yet is never deleted.

BATCH_ROWS: Final = 5_000
EVENT_MARK: Final = "event"
_TURN_MARK: Final = "turn"  # when a worker last pruned by itself
_DATED_MODELS: Final = (
    (UpstreamAttempt, "at"),
    (DeadLetter, "at"),
    (Erasure, "at"),
    (SpoolCursor, "seen_at"),
)
_OLD_FINGERPRINT_LINES_SQL: Final = (
    """at < %s AND starts_with(encode(line, 'escape'), '{"imprint":')"""
)
EVENTS_TABLE, PENDING_TABLE = RequestEvent._meta.db_table, Unfolded._meta.db_table
_DELETE_OLD_EVENTS_SQL: Final = f"""
DELETE FROM {EVENTS_TABLE} WHERE event_id IN (SELECT event_id FROM {EVENTS_TABLE}
    WHERE event_id < %s AND at < %s AND event_id NOT IN (SELECT unnest(events) FROM {PENDING_TABLE}) ORDER BY event_id LIMIT {BATCH_ROWS})"""  # noqa: E501 -- SQL is laid out as it is read


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """Days to keep data; 0 is for ever.

    `event_days` also applies to dead letters, calls of unknown outcome and the like.
    `fingerprint_days` is different: 0 keeps none, None keeps them for ever.
    """

    event_days: int = 0
    minute_days: int = 0
    hour_days: int = 0
    fingerprint_days: int | None = None


def load_policy() -> RetentionPolicy:
    """Load the policy from the settings."""
    days = settings.KEEP_EVENTS_DAYS, settings.KEEP_MINUTES_DAYS, settings.KEEP_HOURS_DAYS
    return RetentionPolicy(*days, settings.IMPRINT_DAYS)


def is_due(every: timedelta) -> bool:
    """Whether no worker on any machine finished a turn within `every`, by the database's clock."""
    last = Pruned.objects.filter(what=_TURN_MARK)
    return not last.filter(before__gt=Now() - every, before__lte=Now()).exists()


def note_finished_turn() -> None:
    """Record that old data was deleted as of now."""
    Pruned.objects.update_or_create(what=_TURN_MARK, defaults={"before": Now()})


def prune_ledger(
    keep: RetentionPolicy, stopping: threading.Event | None = None
) -> Iterator[tuple[str, int]]:
    """Delete old data, requests and rollups by whole days (UTC).

    Yields what was deleted, and the number of rows or 1 for a whole month. `stopping` ends it
    between two batches; the next run continues there. Raises OperationalError if a table cannot be
    locked in time.
    """
    stopping = stopping or threading.Event()
    # First what needs no table lock: a busy table of requests must not prevent the rest.
    if keep.fingerprint_days is not None:
        before = datetime.now(UTC) - timedelta(days=keep.fingerprint_days)
        imprints, refused = str(StoredImprint._meta.verbose_name), "refused imprint of a request"
        yield (
            imprints,
            _delete_batches(_build_delete_sql(StoredImprint, "at < %s"), [before], stopping),
        )
        yield (
            refused,
            _delete_batches(
                _build_delete_sql(DeadLetter, _OLD_FINGERPRINT_LINES_SQL), [before], stopping
            ),
        )
    for grain, days in ((MINUTE, keep.minute_days), (HOUR, keep.hour_days)):
        if days:
            yield from _prune_rollups(grain, _save_mark(grain, days), stopping)
    if keep.event_days:
        yield from _prune_events(_save_mark(EVENT_MARK, keep.event_days), stopping)


def _prune_rollups(
    grain: str, before: datetime, stopping: threading.Event
) -> Iterator[tuple[str, int]]:
    # The cuts are named for the index.
    for model, cuts in ((Rollup, "cut IN ('plan', 'full') AND"), (Tally, "")):
        statement = _build_delete_sql(model, f"grain = '{grain}' AND {cuts} at < %s")
        yield (
            f"{model._meta.verbose_name} by {grain}",
            _delete_batches(statement, [before], stopping),
        )


def _prune_events(before: datetime, stopping: threading.Event) -> Iterator[tuple[str, int]]:
    for dated, field in _DATED_MODELS:
        statement = _build_delete_sql(dated, f'"{field}" < %s')
        yield str(dated._meta.verbose_name), _delete_batches(statement, [before], stopping)
    for part in partitions.list_partitions():
        if (
            part.high_id < first_id(before)
            and not stopping.is_set()
            and partitions.drop_partition(part)
        ):
            yield part.name, 1
    yield EVENT_MARK, _delete_batches(_DELETE_OLD_EVENTS_SQL, [first_id(before), before], stopping)


def _save_mark(what: str, days: int) -> datetime:
    """Record that data from before this many days ago is incomplete; never move the mark back."""
    before = floor_to_grain(datetime.now(UTC) - timedelta(days=days), DAY)
    row, made = Pruned.objects.get_or_create(what=what, defaults={"before": before})
    if not made and row.before < before:
        Pruned.objects.filter(what=what).update(before=Greatest(F("before"), before))
    return before


def _build_delete_sql(model: Any, condition: str) -> str:
    table = model._meta.db_table
    return (
        f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} "
        f"WHERE {condition} LIMIT {BATCH_ROWS}))"
    )


def _delete_batches(statement: str, values: list[Any], stopping: threading.Event) -> int:
    """Delete in batches, each in a transaction of its own; return the number of rows."""
    deleted, found = 0, BATCH_ROWS
    # One transaction over millions of rows would delay the flusher.
    while found == BATCH_ROWS and not stopping.is_set():
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            found = int(cursor.rowcount)
        deleted += found
    return deleted


# Upkeep of the ledger's tables: coming months get their partitions, old data is deleted.
#
# Every worker checks now and then; one of them, on all machines, does it once an hour.

log = logging.getLogger(__name__)
# Seconds after the start, so that it does not compete with the first requests.
FIRST_TURN_DELAY_SECONDS: Final = 20.0
MAX_TURN_INTERVAL_SECONDS: Final = (
    300.0  # between two checks; what failed is tried again at the next
)
RETENTION_LOCK: Final = 0x75706B70  # an arbitrary number


def turn(stopping: threading.Event) -> None:
    """Do the upkeep if it is due. Raises the first django.db.Error of its steps."""
    if not is_due(timedelta(seconds=settings.UPKEEP_SECONDS)):
        return
    # All steps run: a busy table of requests must not prevent deleting old fingerprints.
    failures = [
        error
        for step in (_make_partitions, _prune_by_policy)
        if (error := _run_step(step, stopping))
    ]
    if failures:
        raise failures[0]
    if not stopping.is_set():
        note_finished_turn()


def _run_step(step: Callable[[threading.Event], None], stopping: threading.Event) -> Error | None:
    try:
        step(stopping)
    except Error as error:
        return error
    return None


def _make_partitions(stopping: threading.Event) -> None:
    for name in partitions.make_partitions(datetime.now(UTC)):
        log.info("made %s", name)


def _prune_by_policy(stopping: threading.Event) -> None:
    for what, number in prune_ledger(load_policy(), stopping):
        if number:
            log.info("forgot %s: %d", what, number)
