"""Keep the configuration in memory, reloading it when its revision changes."""

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
# The database announces changes (LISTEN). It is polled twice a second all the same: a pooler in
# between may drop notifications.
NOTIFY_CHANNEL = "tokenthrift_configuration"  # plans, migration 0003
POLL_SECONDS = 0.5
LISTEN_RETRY_SECONDS = 2.0


class DatabaseConfigSource:
    """Implements the `ConfigSource` port; without the database the last snapshot stays in force."""

    def __init__(self) -> None:
        self.config = ConfigSnapshot()
        self._read_at = time.monotonic()
        self.change_event = asyncio.Event()
        # A thread of its own, so that a hung database blocks nothing else.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="configuration")

    async def listen_for_changes(self) -> None:
        """Set `change_event` on each notification, forever; reconnect after a failure."""
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
            conn.pgconn.finish()  # no clean shutdown: a frozen server would block it

    @property
    def age_seconds(self) -> float:
        """Seconds since the snapshot was known to be current."""
        return time.monotonic() - self._read_at

    async def refresh_config(self) -> None:
        """Reload the snapshot if the revision changed. Raises what the database raises."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._refresh_in_thread)

    def _refresh_in_thread(self) -> None:
        """Reload on the thread's own connection, which is dropped after any failure."""
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
