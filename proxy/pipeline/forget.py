"""Remove near entries that can never be served: forgotten ones, and those that are broken, of an older schema or another scope.

A look-up returns a few neighbours only, and they would take the places of living ones.
"""

import asyncio
import logging

from proxy.core.errors import ToolUnavailable
from proxy.core.exchange import Call
from proxy.core.forgetting import FORGOTTEN
from proxy.core.ports import Toolbox

log = logging.getLogger("tokenthrift.proxy")
DEAD = frozenset({FORGOTTEN, "foreign"})


async def forget(call: Call, tools: Toolbox) -> Call:
    """Delete them, after the answer and before `store`, which may write one of them anew. What cannot be deleted is never served either."""
    dead = [each.entry_id for each in call.judged if each.reason in DEAD]
    if not dead:
        return call
    backend = tools.semantic[call.plan.cache.backend]  # type: ignore[union-attr,index]  # there are no neighbours without
    breaker, seconds = tools.breakers[backend.name], tools.limits.store_budget
    removed = await asyncio.gather(*(breaker.run(backend.delete(name), seconds=seconds) for name in dead), return_exceptions=True)
    for outcome in removed:
        if isinstance(outcome, ToolUnavailable):
            log.log(outcome.log_level, "request %s: a dead entry stays in %s: %s", call.request_id, backend.name, outcome.reason)
        elif isinstance(outcome, BaseException):
            raise outcome
    return call
