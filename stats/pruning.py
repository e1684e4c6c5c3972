"""What was recorded is forgotten in time: requests, roll-ups by minute and by hour; those by day stay. Totals do not change by it.

How far is written down first (`Pruned`), so that whoever compares or adds up knows what to rely on. Whole months of requests go in one
piece; the rest in small portions, which hold up nobody. A request that is in no roll-up yet is never forgotten.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import connection
from django.db.models import F
from django.db.models.functions import Greatest

from stats import partitions
from stats.ids import first_id
from stats.models import DeadLetter, Erasure, Pruned, RequestEvent, Rollup, SpoolCursor, StoredImprint, Tally, Unfolded, UpstreamAttempt
from stats.rollups import DAY, HOUR, MINUTE
from stats.spans import floor

BATCH: Final = 5_000
EVENT: Final = "event"
EVERY: Final = timedelta(minutes=55)
_TURN: Final = "turn"  # of whoever prunes by itself
_DATED: Final = ((UpstreamAttempt, "at"), (DeadLetter, "at"), (Erasure, "at"), (SpoolCursor, "seen_at"))
EVENTS, UNFOLDED = RequestEvent._meta.db_table, Unfolded._meta.db_table
_OLD_EVENTS: Final = f"""
DELETE FROM {EVENTS} WHERE event_id IN (SELECT event_id FROM {EVENTS}
    WHERE event_id < %s AND at < %s AND event_id NOT IN (SELECT unnest(events) FROM {UNFOLDED}) ORDER BY event_id LIMIT {BATCH})"""


@dataclass(frozen=True, slots=True)
class Keep:
    """For how many days; 0: for ever. With requests go dead letters, calls of unknown outcome and the like."""

    events: int = 0
    minutes: int = 0
    hours: int = 0
    imprints: int = 0


def policy() -> Keep:
    """As the settings say."""
    return Keep(settings.KEEP_EVENTS_DAYS, settings.KEEP_MINUTES_DAYS, settings.KEEP_HOURS_DAYS, max(1, settings.IMPRINT_DAYS))


def our_turn() -> bool:
    """Whether this process is the one to prune now; an hour later it may be another."""
    now = datetime.now(UTC)
    _, made = Pruned.objects.get_or_create(what=_TURN, defaults={"before": now})
    return made or Pruned.objects.filter(what=_TURN, before__lt=now - EVERY).update(before=now) == 1


def prune(keep: Keep) -> Iterator[tuple[str, int]]:
    """Forget what is older, by whole days (UTC). Yields what, and how many rows of it or 1 for a month in one piece. What it was broken
    off at, the next one goes on with. Raises OperationalError when the lock of a table is not to be had."""
    if keep.events:
        before = _mark(EVENT, keep.events)
        for part in partitions.parts():
            if part.high < first_id(before) and partitions.drop(part):
                yield part.name, 1
        yield EVENT, _batches(_OLD_EVENTS, [first_id(before), before])
        for dated, field in _DATED:
            yield str(dated._meta.verbose_name), _batches(_old(dated, f'"{field}" < %s'), [before])
    if keep.imprints:
        before = floor(datetime.now(UTC) - timedelta(days=keep.imprints), DAY)
        yield str(StoredImprint._meta.verbose_name), _batches(_old(StoredImprint, "at < %s"), [before])
    for grain, days in ((MINUTE, keep.minutes), (HOUR, keep.hours)):
        if days:
            before = _mark(grain, days)
            for model, cuts in ((Rollup, "cut IN ('plan', 'full') AND"), (Tally, "")):  # the cuts for the sake of the index
                yield f"{model._meta.verbose_name} by {grain}", _batches(_old(model, f"grain = '{grain}' AND {cuts} at < %s"), [before])


def _mark(what: str, days: int) -> datetime:
    """Write down that nothing from before so many days ago can be relied on; what is written stays, if it is more."""
    before = floor(datetime.now(UTC) - timedelta(days=days), DAY)
    row, made = Pruned.objects.get_or_create(what=what, defaults={"before": before})
    if not made and row.before < before:
        Pruned.objects.filter(what=what).update(before=Greatest(F("before"), before))
    return before


def _old(model: Any, condition: str) -> str:
    table = model._meta.db_table
    return f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {condition} LIMIT {BATCH}))"


def _batches(statement: str, values: list[Any]) -> int:
    """Each a transaction of its own: one over millions of rows would hold up the flusher."""
    deleted, found = 0, BATCH
    while found == BATCH:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            found = int(cursor.rowcount)
        deleted += found
    return deleted
