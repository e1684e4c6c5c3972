"""Name look-ups that refuse private addresses, so that a public name cannot lead the gateway
into its own network.

The check is made on what the connection will really use, after the look-up: a name judged earlier
could resolve to something else by now (DNS rebinding).
"""

import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from proxy.core.upstream_urls import is_private


class PublicResolver(AbstractResolver):
    """The system's resolver, less every answer that is loopback, private,
    link-local or otherwise not public."""

    def __init__(self) -> None:
        self._system_resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises OSError when nothing public is left, as for a name that does not exist."""
        found = await self._system_resolver.resolve(host, port, family)
        public = [answer for answer in found if not is_private(answer["host"])]
        if not public:
            raise OSError(None, "the name resolves to private addresses only")
        return public

    async def close(self) -> None:
        await self._system_resolver.close()
