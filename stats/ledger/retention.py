"""Rows older than the settings allow are deleted; coming months get their partitions."""

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
from stats.request_ids import first_id
from stats.time_grains import DAY, HOUR, MINUTE, floor

# What was recorded is forgotten in time: requests, roll-ups by minute and by hour; those by day
# stay. Totals do not change by it.
#
# How far is written down first (`Pruned`), so that whoever compares or adds up knows what to rely
# on. Whole months of requests go in one piece; the rest in small portions, which hold up nobody. A
# request that is in no roll-up yet is never forgotten.

BATCH: Final = 5_000
EVENT: Final = "event"
_TURN: Final = "turn"  # when a worker pruned last by itself
_DATED: Final = (
    (UpstreamAttempt, "at"),
    (DeadLetter, "at"),
    (Erasure, "at"),
    (SpoolCursor, "seen_at"),
)
_OLD_IMPRINT_LINES: Final = """at < %s AND starts_with(encode(line, 'escape'), '{"imprint":')"""
EVENTS, UNFOLDED = RequestEvent._meta.db_table, Unfolded._meta.db_table
_OLD_EVENTS: Final = f"""
DELETE FROM {EVENTS} WHERE event_id IN (SELECT event_id FROM {EVENTS}
    WHERE event_id < %s AND at < %s AND event_id NOT IN (SELECT unnest(events) FROM {UNFOLDED}) ORDER BY event_id LIMIT {BATCH})"""  # noqa: E501 -- SQL is laid out as it is read


@dataclass(frozen=True, slots=True)
class Keep:
    """For how many days; 0: for ever.

    With requests go dead letters, calls of unknown outcome and the like.

    Imprints are the other way round: 0 keeps none of them, None keeps them for ever.
    """

    events: int = 0
    minutes: int = 0
    hours: int = 0
    imprints: int | None = None


def policy() -> Keep:
    """As the settings say."""
    days = settings.KEEP_EVENTS_DAYS, settings.KEEP_MINUTES_DAYS, settings.KEEP_HOURS_DAYS
    return Keep(*days, settings.IMPRINT_DAYS)


def is_due(every: timedelta) -> bool:
    """Whether no worker of any machine finished a turn within `every`, by the database's clock."""
    last = Pruned.objects.filter(what=_TURN)
    return not last.filter(before__gt=Now() - every, before__lte=Now()).exists()


def note_finished_turn() -> None:
    """Write down that what is old is gone as of now."""
    Pruned.objects.update_or_create(what=_TURN, defaults={"before": Now()})


def prune(keep: Keep, stopping: threading.Event | None = None) -> Iterator[tuple[str, int]]:
    """Forget what is older, requests and roll-ups by whole days (UTC).

    Yields what, and how many rows of it or 1 for a month in one piece. `stopping` ends it between
    two portions; the next one goes on from there. Raises OperationalError when the lock of a table
    is not to be had.
    """
    stopping = stopping or threading.Event()
    # First what needs no table's lock: a busy table of requests must not keep the rest from going.
    if keep.imprints is not None:
        before = datetime.now(UTC) - timedelta(days=keep.imprints)
        imprints, refused = str(StoredImprint._meta.verbose_name), "refused imprint of a request"
        yield imprints, _batches(_old(StoredImprint, "at < %s"), [before], stopping)
        yield refused, _batches(_old(DeadLetter, _OLD_IMPRINT_LINES), [before], stopping)
    for grain, days in ((MINUTE, keep.minutes), (HOUR, keep.hours)):
        if days:
            yield from _prune_rollups(grain, _mark(grain, days), stopping)
    if keep.events:
        yield from _prune_events(_mark(EVENT, keep.events), stopping)


def _prune_rollups(
    grain: str, before: datetime, stopping: threading.Event
) -> Iterator[tuple[str, int]]:
    # Cuts: for the index.
    for model, cuts in ((Rollup, "cut IN ('plan', 'full') AND"), (Tally, "")):
        statement = _old(model, f"grain = '{grain}' AND {cuts} at < %s")
        yield f"{model._meta.verbose_name} by {grain}", _batches(statement, [before], stopping)


def _prune_events(before: datetime, stopping: threading.Event) -> Iterator[tuple[str, int]]:
    for dated, field in _DATED:
        statement = _old(dated, f'"{field}" < %s')
        yield str(dated._meta.verbose_name), _batches(statement, [before], stopping)
    for part in partitions.parts():
        if part.high < first_id(before) and not stopping.is_set() and partitions.drop(part):
            yield part.name, 1
    yield EVENT, _batches(_OLD_EVENTS, [first_id(before), before], stopping)


def _mark(what: str, days: int) -> datetime:
    """Write down that nothing from before so many days ago can be relied on;
    what is written stays, if it is more."""
    before = floor(datetime.now(UTC) - timedelta(days=days), DAY)
    row, made = Pruned.objects.get_or_create(what=what, defaults={"before": before})
    if not made and row.before < before:
        Pruned.objects.filter(what=what).update(before=Greatest(F("before"), before))
    return before


def _old(model: Any, condition: str) -> str:
    table = model._meta.db_table
    return (
        f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} "
        f"WHERE {condition} LIMIT {BATCH}))"
    )


def _batches(statement: str, values: list[Any], stopping: threading.Event) -> int:
    """Each a transaction of its own: one over millions of rows would hold up the flusher."""
    deleted, found = 0, BATCH
    while found == BATCH and not stopping.is_set():
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            found = int(cursor.rowcount)
        deleted += found
    return deleted


# Upkeep of the ledger's tables: months to come get their partitions, what is old is forgotten.
#
# Every worker looks now and then; one of them, of all machines, does it once an hour.

log = logging.getLogger(__name__)
# Seconds after the start, so that it does not compete with the first requests.
FIRST_LOOK: Final = 20.0
LONGEST_PAUSE: Final = 300.0  # seconds between two looks; what failed is tried again at the next
LOCK: Final = 0x75706B70  # any number of our own


def turn(stopping: threading.Event) -> None:
    """Do what is due.

    Raises the first django.db.Error of a step, after the others had their go: a busy table of
    requests must not keep old imprints from going.
    """
    if not is_due(timedelta(seconds=settings.UPKEEP_SECONDS)):
        return
    failures = [
        error for step in (_make_partitions, _forget) if (error := _failure_of(step, stopping))
    ]
    if failures:
        raise failures[0]
    if not stopping.is_set():
        note_finished_turn()


def _failure_of(step: Callable[[threading.Event], None], stopping: threading.Event) -> Error | None:
    try:
        step(stopping)
    except Error as error:
        return error
    return None


def _make_partitions(stopping: threading.Event) -> None:
    for name in partitions.make(datetime.now(UTC)):
        log.info("made %s", name)


def _forget(stopping: threading.Event) -> None:
    for what, number in prune(policy(), stopping):
        if number:
            log.info("forgot %s: %d", what, number)
