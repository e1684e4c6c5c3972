"""Texts to vectors within what is left of a request's time."""

import asyncio

from proxy.core.exchange import Call, tenant_of
from proxy.core.ports import Toolbox, Vector
from proxy.core.reading import time_left
from proxy.core.verify.fold import fold


async def vectors(call: Call, tools: Toolbox, *texts: str, share: float = 1.0) -> list[Vector]:
    """One unit vector a text, folded, for which `share` of the time left may be used. Raises ToolUnavailable."""
    left = time_left(call)
    return await tools.breakers["embedder"].run(_embedded(tools, texts, tenant=tenant_of(call), within=share * left), seconds=left)


async def is_understood(call: Call, tools: Toolbox, text: str) -> bool:
    """Whether the embedder's vocabulary holds most of the text. Raises ToolUnavailable."""
    return await tools.breakers["embedder"].run(tools.embedder.understands(fold(text)), seconds=time_left(call))


async def _embedded(tools: Toolbox, texts: tuple[str, ...], *, tenant: int, within: float) -> list[Vector]:
    return await asyncio.gather(*(tools.embedder.embed(fold(text), tenant=tenant, within=within) for text in texts))
