"""The configuration in memory: read from the database at start, and again when its revision grew."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from django.db import connections

from plans.selectors import revision
from proxy.core.directory import Directory
from proxy.selectors import load_directory

log = logging.getLogger("tokenthrift.proxy")
POLL_SECONDS = 0.5


class DatabaseSource:
    """Implements the `Source` port. While the database is away the last directory stays in force."""

    def __init__(self) -> None:
        self.directory = Directory()
        # One thread of its own: a hung database holds it up, and nothing else.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="configuration")

    async def run(self) -> None:
        """Poll for ever. Errors are logged once a change, not once a poll."""
        failing = False
        while True:
            try:
                await self.refresh()
                failing = False
            except Exception as error:
                if not failing:
                    log.warning("the configuration cannot be read, the last one stays in force: %s", type(error).__name__)
                failing = True
            await asyncio.sleep(POLL_SECONDS)

    async def refresh(self) -> None:
        """Take a new directory when the revision grew. Raises what the database raises."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._refresh)

    def _refresh(self) -> None:
        """In the thread, on its own connection: kept from poll to poll, dropped when anything goes wrong."""
        try:
            if revision() != self.directory.revision:
                self.directory = load_directory()
        except BaseException:
            connections.close_all()
            raise

    def close(self) -> None:
        self._thread.submit(connections.close_all)
        self._thread.shutdown(wait=False)
