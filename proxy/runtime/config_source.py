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

from plans.selectors import get_revision
from proxy.core.config import ConfigSnapshot
from proxy.runtime.config_loader import load_config_snapshot
from stats import database

log = logging.getLogger("tokenthrift.proxy")
NOTIFY_CHANNEL = "tokenthrift_configuration"  # plans, migration 0003
POLL_SECONDS = 0.5
LISTEN_RETRY_SECONDS = 2.0


class DatabaseConfigSource:
    """Implements the `Source` port.

    While the database is away the last directory stays in force.
    """

    def __init__(self) -> None:
        self.config = ConfigSnapshot()
        self._read_at = time.monotonic()
        self.change_event = asyncio.Event()
        # One thread of its own: a hung database holds it up, and nothing else.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="configuration")

    async def listen_for_changes(self) -> None:
        """Set `changed` when the database says so, for ever.

        A database that is away is tried again.
        """
        while True:
            with suppress(Error, OSError, TimeoutError):
                await self._listen_once()
            await asyncio.sleep(LISTEN_RETRY_SECONDS)

    async def _listen_once(self) -> None:
        conn = await database.open_connection(database.build_conninfo())
        try:
            with database.enforce_deadline(conn, database.CONNECT_TIMEOUT_SECONDS):
                await conn.execute(f"LISTEN {NOTIFY_CHANNEL}")
            self.change_event.set()
            async for _ in conn.notifies():
                self.change_event.set()
        finally:
            conn.pgconn.finish()  # at once: a farewell to a frozen server could block

    @property
    def age_seconds(self) -> float:
        """Seconds since the directory was known to be the present one."""
        return time.monotonic() - self._read_at

    async def refresh_config(self) -> None:
        """Take a new directory when the revision grew. Raises what the database raises."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._refresh_in_thread)

    def _refresh_in_thread(self) -> None:
        """In the thread, on its own connection: kept from poll to poll,
        dropped when anything goes wrong."""
        try:
            if get_revision() != self.config.revision:
                self.config = load_config_snapshot()
            self._read_at = time.monotonic()
        except BaseException:
            connections.close_all()
            raise

    def close(self) -> None:
        self._executor.submit(connections.close_all)
        self._executor.shutdown(wait=False)
