"""Name lookups that refuse private addresses.

So a public name cannot lead the gateway into its own network. The addresses checked are those that
the connection uses: a name checked earlier could resolve to something else by now (DNS rebinding).
"""

import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from proxy.core.upstream_urls import is_private


class PrivateAddressError(OSError):
    """A public name leads to a private address."""

    def __init__(self) -> None:
        super().__init__(None, "the name resolves to private addresses only")


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
            raise PrivateAddressError
        return public

    async def check_proxied_host(self, host: str) -> None:
        """Raise PrivateAddressError if any address of a name is private, as far as it is known.

        A proxy looks the name up itself, and may do so where we cannot.
        """
        try:
            found = await self._system_resolver.resolve(host, 0, socket.AF_UNSPEC)
        except OSError:
            return
        if any(is_private(answer["host"]) for answer in found):
            raise PrivateAddressError

    async def close(self) -> None:
        await self._system_resolver.close()
