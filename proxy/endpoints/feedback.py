"""POST /v1/cache/feedback: a client reports that a cached answer was wrong.

`{"request_id": "<x-request-id>", "wrong": true}`.
"""

import asyncio
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.core.cache import cache
from django.db import DatabaseError, InterfaceError, connections
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

from proxy import bridge
from proxy.conf import conf
from proxy.core.errors import (
    AnswerNotCached,
    BadRequest,
    FeedbackUnavailable,
    RateLimited,
    RequestNotFound,
)
from proxy.core.formats.chat_completions import load_json_object
from proxy.feedback.service import NotCached, find_other_recipients, report_wrong_answer
from proxy.models import WrongAnswer
from proxy.pipeline.call import Call
from proxy.pipeline.toolbox import Toolbox
from stats.models.requests import RequestEvent

T = TypeVar("T")
# A pool of its own, so that a hanging database blocks nothing else.
THREAD_POOL = ThreadPoolExecutor(2, thread_name_prefix="feedback")
MAX_BODY_BYTES = 4096
LEDGER_WAIT_SECONDS = 3.0  # a request is in the ledger by then, if the database answers
POLL_INTERVAL_SECONDS = 0.1
FEEDBACK_TIMEOUT_SECONDS = 15.0
MINUTE_SECONDS = 60


async def accept_feedback(call: Call, tools: Toolbox) -> dict[str, Any]:
    """Record that an answer was wrong, evict it, and return the reply.

    Raises BadRequest, RateLimited, RequestNotFound, AnswerNotCached or FeedbackUnavailable.
    """
    assert call.key is not None  # noqa: S101 -- authenticate set it
    request_id = _parse_request_id(
        load_json_object(await call.client.read_body(MAX_BODY_BYTES), depth=4)
    )
    tenant, name = call.key.tenant_id, call.key.name
    try:
        async with asyncio.timeout(FEEDBACK_TIMEOUT_SECONDS):
            await _run_in_thread(lambda: _check_rate_limit(tenant))
            event = await _wait_for_event(tenant, request_id)
            if event is None:
                raise RequestNotFound("No request of that id.", param="request_id")
            return await _run_in_thread(
                lambda: _build_reply(report_wrong_answer(event, said_by=name))
            )
    except NotCached:
        raise AnswerNotCached(
            "The answer to this request came from the provider, not from a cache.",
            param="request_id",
        ) from None
    except (DatabaseError, InterfaceError, bridge.GatewayNotRunning, TimeoutError):
        raise FeedbackUnavailable(
            "The ledger or the caches do not answer: try again soon."
        ) from None


def _parse_request_id(body: dict[str, Any]) -> uuid.UUID:
    """Validate the body and return the request's id. Raises BadRequest."""
    for name in body:
        if name not in ("request_id", "wrong"):
            raise BadRequest("Unknown field. Accepted here: request_id, wrong.", param=name[:64])
    if body.get("wrong") is not True:
        raise BadRequest("wrong must be true: an administrator takes it back.", param="wrong")
    try:
        return uuid.UUID(body.get("request_id") or "")
    except (ValueError, AttributeError, TypeError):
        raise BadRequest(
            "request_id must be the x-request-id of an answer.", param="request_id"
        ) from None


async def _wait_for_event(tenant: int, request_id: uuid.UUID) -> RequestEvent | None:
    """Return the tenant's ledger row of a request, or None."""
    # The ledger lags a moment, so a recent id is waited for: a UUIDv7 holds its time.
    until = time.monotonic() + (
        LEDGER_WAIT_SECONDS
        if abs(time.time() - (request_id.int >> 80) / 1000) < MINUTE_SECONDS
        else 0
    )
    while True:
        found = await _run_in_thread(
            lambda: RequestEvent.objects.filter(pk=request_id, tenant_id=tenant).first()
        )
        if found is not None or time.monotonic() >= until:
            return found
        await asyncio.sleep(POLL_INTERVAL_SECONDS)


def _check_rate_limit(tenant: int) -> None:
    """Count this call of the tenant's over all workers. Raises RateLimited."""
    # Without Redis nothing is limited.
    now = time.time()
    key = f"feedback:{tenant}:{int(now // MINUTE_SECONDS)}"
    try:
        cache.add(key, 0, timeout=2 * MINUTE_SECONDS)
        count = cache.incr(key)
    except (ConnectionInterrupted, RedisError, ValueError):
        # django-redis does not wrap the errors of `incr`.
        return
    if count > conf.max_feedback_per_minute:
        left = max(1, round(MINUTE_SECONDS - now % MINUTE_SECONDS))
        raise RateLimited(
            f"At most {conf.max_feedback_per_minute} a minute are taken from one tenant.",
            retry_after=left,
        )


def _build_reply(said: WrongAnswer) -> dict[str, Any]:
    """Build the reply, the same for repeated reports."""
    served = find_other_recipients(said)
    entries = set(said.evicted.values_list("entry_id", flat=True))
    return {
        "object": "cache.feedback",
        "request_id": str(said.event_id),
        "entry_id": said.entry_id,
        "evicted": sorted(entries, key=lambda entry: (entry != said.entry_id, entry)),
        "threshold": said.threshold,
        "undone": said.undone_at is not None,
        "also_served": [
            _serialize_recipient(each, served.get_role(each)) for each in served.newest_events
        ],
        "also_served_total": sum(served.counts_by_role.values()),
    }


def _serialize_recipient(row: RequestEvent, role: str) -> dict[str, Any]:
    return {"request_id": str(row.event_id), "at": row.at.isoformat(), "key": row.key, "role": role}


async def _run_in_thread(work: Callable[[], T]) -> T:
    """Run Django database and cache calls off the loop, and close their connections."""

    def run_and_close() -> T:
        try:
            return work()
        finally:
            connections.close_all()

    return await asyncio.get_running_loop().run_in_executor(THREAD_POOL, run_and_close)
