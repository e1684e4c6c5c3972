"""The request's bytes."""

import time

from proxy.core.exchange import Call, revise
from proxy.core.ports import Toolbox


async def read(call: Call, tools: Toolbox) -> Call:
    """Take the body in; the clock of the cache budget starts. Raises TooLarge or ClientGone."""
    raw = await call.client.body(tools.limits.body_bytes)
    ready = time.monotonic()
    return revise(call, raw=raw, ready=ready, budget_ends=ready + tools.limits.cache_budget)
