"""Compress the conversation, off the event loop, if no stored answer was found."""

import logging
import time
from dataclasses import replace

from proxy.core.errors import ToolUnavailable
from proxy.core.event_loop import run_off_loop
from proxy.core.prompt_caching.conversations import derive_conversation_ids
from proxy.core.prompt_caching.terms import compression_terms
from proxy.core.tokens import find_encoding
from proxy.pipeline.cache_access import compressed_key
from proxy.pipeline.call import Call, evolve, get_tenant_id
from proxy.pipeline.toolbox import Toolbox

log = logging.getLogger("tokenthrift.proxy")


async def compress(call: Call, tools: Toolbox) -> Call:
    """Set the compression result. Raises ToolUnavailable: then the request is sent uncompressed."""
    if call.plan is None or call.plan.mode == "off" or call.plan.compression is None:
        return call
    if call.chat_request.is_unusual:  # a body that is not fully understood cannot be compressed
        return call
    if call.shadow_hit is not None and call.is_in_shadow:  # nothing would have been sent
        return call
    settings = call.plan.compression
    begun = time.monotonic()
    terms = None
    if settings.when == "saves":
        call = await _load_conversation(call, tools)
        terms = compression_terms(
            call.resolved_route.price,
            call.conversation,
            provider=call.resolved_route.upstream.provider,
            now=call.at,
        )
    work = tools.compressor.compress(
        call.chat_request.messages,
        settings,
        model=call.resolved_route.model,
        terms=terms,
        tenant=get_tenant_id(call),
    )
    cut = await work
    # Compression is no cache work: it must not use up the time of the lookup that follows it.
    if cut.messages is not None and not find_encoding(call.resolved_route.model)[1]:
        cut = replace(
            cut,
            note=", ".join(filter(None, [cut.note, f"unknown-model-counted-by-{cut.encoding}"])),
        )
    call = evolve(
        call, compression=cut, cache_deadline=call.cache_deadline + time.monotonic() - begun
    )
    return (
        evolve(
            call,
            cache_keys=replace(
                call.cache_keys,
                compressed=await run_off_loop(call.chat_request.size_bytes, compressed_key, call),
            ),
        )
        if call.cache_keys
        else call
    )


async def _load_conversation(call: Call, tools: Toolbox) -> Call:
    """Set the conversation's id and what is stored about it; None if the store does not answer."""
    assert call.key is not None  # noqa: S101 -- authenticate set it
    before, now = await run_off_loop(
        call.chat_request.size_bytes,
        derive_conversation_ids,
        call.chat_request.messages,
        tenant=call.key.tenant_id,
        route=call.resolved_route.memory_id,
    )
    asking = tools.conversations.load(
        before, tenant=call.key.tenant_id, route=call.resolved_route.memory_id
    )
    try:
        known = await tools.breakers["chats"].run(asking, seconds=tools.limits.cache_seconds)
    except ToolUnavailable as error:
        log.log(
            error.log_level,
            "request %s: its chat is not looked up: %s",
            call.request_id,
            error.reason,
        )
        return evolve(call.add_failure("chats"), conversation_id=now)
    return evolve(call, conversation_id=now, conversation=known)
