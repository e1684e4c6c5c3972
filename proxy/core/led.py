"""The leader's client, which is one of many: its leaving stops nothing while others wait for the same answer."""

from proxy.core.flights import Flight
from proxy.core.ports import Client


class Led:
    """Implements the `Client` port. `left`: the leader's own client has gone, whoever else is still there."""

    def __init__(self, client: Client, flight: Flight) -> None:
        self.left = False
        self._client = client
        self._flight = flight

    async def body(self, limit: int) -> bytes:
        return await self._client.body(limit)

    async def gone(self) -> None:
        """Return when nobody is left; nobody can board from then on."""
        await self._client.gone()
        self.left = True
        await self._flight.empty()
        self._flight.abandon()

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        await self._client.start(status, headers)

    async def send(self, data: bytes, *, more: bool) -> None:
        await self._client.send(data, more=more)
