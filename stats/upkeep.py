"""Keeps the tables of the ledger in shape: months to come get their parts, what is old is forgotten. One worker an hour does it."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from django.db import Error, connections

from stats import partitions, pruning

log = logging.getLogger(__name__)

FIRST, EVERY = 20.0, 300.0  # seconds after the start, and between two looks whether it is our turn
_thread = ThreadPoolExecutor(1, thread_name_prefix="upkeep")  # a database that hangs holds up this thread and nothing else


async def run() -> None:
    """For ever. A database that is away, or a table whose lock is not to be had, is tried again at the next turn."""
    await asyncio.sleep(FIRST)
    while True:
        await asyncio.get_running_loop().run_in_executor(_thread, turn)
        await asyncio.sleep(EVERY)


def turn() -> None:
    """Once, if it is ours; never raises. On a connection of its own."""
    try:
        if pruning.our_turn():
            for name in partitions.make(datetime.now(UTC)):
                log.info("made %s", name)
            for what, number in pruning.prune(pruning.policy()):
                if number:
                    log.info("forgot %s: %d", what, number)
    except Error as error:
        log.warning("the ledger's upkeep waits for its next turn: %s", type(error).__name__)
    finally:
        connections.close_all()
