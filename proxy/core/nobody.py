"""The other end of a request that nobody made: what the gateway asks on its own behalf."""

import asyncio


class Nobody:
    """A `Client` that never leaves and takes no answer."""

    async def body(self, limit: int) -> bytes:
        return b""

    async def gone(self) -> None:
        await asyncio.Event().wait()

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None: ...
    async def send(self, data: bytes, *, more: bool) -> None: ...
