"""Upkeep of the ledger's tables: months to come get their partitions, what is old is forgotten.

Every worker looks now and then; one of them, of all machines, does it once an hour.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import Error, connections

from stats import database, partitions, pruning

log = logging.getLogger(__name__)

FIRST_LOOK: Final = 20.0  # seconds after the start, so that it does not compete with the first requests
LONGEST_PAUSE: Final = 300.0  # seconds between two looks; what failed is tried again at the next
LOCK: Final = 0x75706B70  # any number of our own
_THREAD = ThreadPoolExecutor(1, thread_name_prefix="upkeep")  # a hung database holds up nothing else


async def run() -> None:
    """Look for ever whether it is time, and do what is due."""
    stopping = threading.Event()
    pause = min(LONGEST_PAUSE, settings.UPKEEP_SECONDS)
    try:
        await asyncio.sleep(min(FIRST_LOOK, pause))
        while True:
            await asyncio.get_running_loop().run_in_executor(_THREAD, turn, stopping)
            await asyncio.sleep(pause)
    finally:
        stopping.set()


def turn(stopping: threading.Event) -> None:
    """Do what is due if no other worker is at it; never raises. On a connection of its own."""
    try:
        with database.try_lead(LOCK) as leads:
            if leads and pruning.is_due(timedelta(seconds=settings.UPKEEP_SECONDS)):
                results = [_succeeds(step, stopping) for step in (_make_partitions, _forget)]
                if all(results) and not stopping.is_set():
                    pruning.note_finished_turn()
    except Error as error:
        log.warning("the ledger's upkeep waits for its next turn: %s", type(error).__name__)
    finally:
        connections.close_all()


def _succeeds(step: Callable[[threading.Event], None], stopping: threading.Event) -> bool:
    """Whether the step ended well. One that failed keeps no other from its work."""
    try:
        step(stopping)
    except Error as error:
        log.warning("the ledger's upkeep waits for its next turn: %s", type(error).__name__)
        return False
    return True


def _make_partitions(stopping: threading.Event) -> None:
    for name in partitions.make(datetime.now(UTC)):
        log.info("made %s", name)


def _forget(stopping: threading.Event) -> None:
    for what, number in pruning.prune(pruning.policy(), stopping):
        if number:
            log.info("forgot %s: %d", what, number)
