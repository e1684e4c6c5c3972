"""A client of which is known how much of its answer is out, so that it can still be told of a fault."""

from proxy.core.ports import Client


class WatchedClient:
    """Implements the `Client` port. `status`: the one that was sent, 0 before; `streams`: events follow it, and not a body of a known
    length; `finished`: the last bytes were handed over."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self.finished = False

    @property
    def streams(self) -> bool:
        return self.status > 0 and not any(name == b"content-length" for name, _ in self._headers)

    async def body(self, limit: int) -> bytes:
        return await self._client.body(limit)

    async def gone(self) -> None:
        await self._client.gone()

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status, self._headers = status, headers
        await self._client.start(status, headers)

    async def send(self, data: bytes, *, more: bool) -> None:
        self.finished = not more
        await self._client.send(data, more=more)
