"""Limit the concurrent requests of a key."""

from proxy.pipeline.call import Call
from proxy.pipeline.toolbox import Toolbox


async def limit_concurrency(call: Call, tools: Toolbox) -> Call:
    """Count the request as one of its key until the chain has ended. Raises TooManyRequests."""
    assert call.key is not None  # noqa: S101 -- authenticate set it
    tools.concurrency_limiter.acquire_slot(
        call.request_id, call.key.id, most=tools.limits.max_requests_per_key
    )
    return call
