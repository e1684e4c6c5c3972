"""Stop waiting for a provider when the client has left: nobody would read the answer, and it would still be billed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.core.errors import ClientGone
from proxy.core.ports import Client


@asynccontextmanager
async def until_gone(client: Client) -> AsyncIterator[None]:
    """Run the body; when the client leaves meanwhile, cancel it and raise ClientGone. A cancellation from elsewhere passes through."""
    waiting = asyncio.current_task()
    left = False

    async def watch() -> None:
        nonlocal left
        await client.gone()
        left = True
        if waiting is not None:
            waiting.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if left and waiting is not None and waiting.uncancel() == 0:
            raise ClientGone from None
        raise
    finally:
        watcher.cancel()
