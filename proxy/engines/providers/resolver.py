"""Name lookups that refuse private addresses.

So a public name cannot lead the gateway into its own network. The addresses checked are those that
the connection uses: a name checked earlier could resolve to something else by now (DNS rebinding).
"""

import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from proxy.core.upstream_urls import is_private


class PublicResolver(AbstractResolver):
    """The system's resolver without loopback, private, link-local and other internal addresses."""

    def __init__(self) -> None:
        self._system_resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve to public addresses. Raises OSError if there are none, as for an unknown name."""
        found = await self._system_resolver.resolve(host, port, family)
        public = [answer for answer in found if not is_private(answer["host"])]
        if not public:
            raise OSError(None, "the name resolves to private addresses only")
        return public

    async def close(self) -> None:
        await self._system_resolver.close()
