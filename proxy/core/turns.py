"""Work on the event loop in bounded turns: a reader whose bytes are all here already never waits, and nobody else would be served."""

import asyncio
from typing import Final

TURN_BYTES: Final = 64 * 1024


class Turns:
    """Counts the work of one task and lets others have their turn whenever it was as much as `limit` bytes take."""

    def __init__(self, limit: int = TURN_BYTES) -> None:
        self._limit = limit
        self._spent = 0

    async def spend(self, size: int) -> None:
        """Note that work of this size was done. What is small costs no turn of its own."""
        self._spent += size
        if self._spent >= self._limit:
            self._spent = 0
            await asyncio.sleep(0)
