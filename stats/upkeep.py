"""Upkeep of the ledger's tables: months to come get their partitions, what is old is forgotten.

Every worker looks now and then; one of them, of all machines, does it once an hour.
"""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import Error

from stats import partitions, pruning

log = logging.getLogger(__name__)

FIRST_LOOK: Final = 20.0  # seconds after the start, so that it does not compete with the first requests
LONGEST_PAUSE: Final = 300.0  # seconds between two looks; what failed is tried again at the next
LOCK: Final = 0x75706B70  # any number of our own


def turn(stopping: threading.Event) -> None:
    """Do what is due. Raises the first django.db.Error of a step, after the others had their go: a busy
    table of requests must not keep old imprints from going."""
    if not pruning.is_due(timedelta(seconds=settings.UPKEEP_SECONDS)):
        return
    failures = [error for step in (_make_partitions, _forget) if (error := _failure_of(step, stopping))]
    if failures:
        raise failures[0]
    if not stopping.is_set():
        pruning.note_finished_turn()


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
    for what, number in pruning.prune(pruning.policy(), stopping):
        if number:
            log.info("forgot %s: %d", what, number)
