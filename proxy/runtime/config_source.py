"""The configuration in memory: read from the database at start, and again when its revision grew.

The database tells when that happens (LISTEN). It is asked twice a second all the same: a pooler in
between may swallow what it tells.
"""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from django.db import connections
from psycopg import Error

from plans.selectors import revision
from proxy.core.config import ConfigSnapshot
from proxy.runtime.config_loader import load_directory
from stats import database

log = logging.getLogger("tokenthrift.proxy")
CHANNEL = "tokenthrift_configuration"  # plans, migration 0003
POLL_SECONDS = 0.5
LISTEN_AGAIN = 2.0


class DatabaseSource:
    """Implements the `Source` port.

    While the database is away the last directory stays in force.
    """

    def __init__(self) -> None:
        self.config = ConfigSnapshot()
        self._read_at = time.monotonic()
        self.changed = asyncio.Event()
        # One thread of its own: a hung database holds it up, and nothing else.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="configuration")

    async def listen(self) -> None:
        """Set `changed` when the database says so, for ever.

        A database that is away is tried again.
        """
        while True:
            with suppress(Error, OSError, TimeoutError):
                await self._listen()
            await asyncio.sleep(LISTEN_AGAIN)

    async def _listen(self) -> None:
        conn = await database.connect(database.conninfo())
        try:
            with database.deadline(conn, database.CONNECT_DEADLINE):
                await conn.execute(f"LISTEN {CHANNEL}")
            self.changed.set()
            async for _ in conn.notifies():
                self.changed.set()
        finally:
            conn.pgconn.finish()  # at once: a farewell to a frozen server could block

    @property
    def age(self) -> float:
        """Seconds since the directory was known to be the present one."""
        return time.monotonic() - self._read_at

    async def refresh(self) -> None:
        """Take a new directory when the revision grew. Raises what the database raises."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._refresh)

    def _refresh(self) -> None:
        """In the thread, on its own connection: kept from poll to poll,
        dropped when anything goes wrong."""
        try:
            if revision() != self.config.revision:
                self.config = load_directory()
            self._read_at = time.monotonic()
        except BaseException:
            connections.close_all()
            raise

    def close(self) -> None:
        self._thread.submit(connections.close_all)
        self._thread.shutdown(wait=False)
