"""Fewer tokens for the same question, off the event loop. Only reached when no stored answer served."""

import logging
import time
from dataclasses import replace

from proxy.core.errors import ToolUnavailable
from proxy.core.event_loop import off_loop
from proxy.core.prompt_caching.conversations import chat_ids
from proxy.core.prompt_caching.terms import outlook
from proxy.core.tokens import encoding_for
from proxy.pipeline.cache_access import sent_key
from proxy.pipeline.call import Call, revise, tenant_of
from proxy.pipeline.toolbox import Toolbox

log = logging.getLogger("tokenthrift.proxy")


async def compress(call: Call, tools: Toolbox) -> Call:
    """Set what was cut. Raises ToolUnavailable: then the request goes out whole."""
    if call.plan is None or call.plan.mode == "off" or call.plan.compression is None:
        return call
    if call.asked.unusual:  # what is not understood cannot be cut
        return call
    if call.would is not None and call.in_shadow:  # nothing would have been sent
        return call
    settings = call.plan.compression
    begun = time.monotonic()
    terms = None
    if settings.when == "saves":
        call = await _looked_up(call, tools)
        terms = outlook(call.target.price, call.known, provider=call.target.upstream.provider, now=call.at)
    work = tools.compressor.compress(call.asked.messages, settings, model=call.target.model, terms=terms, tenant=tenant_of(call))
    cut = await work
    # Compression is no cache work: it must not use up the time of the look-up that follows it.
    if cut.messages is not None and not encoding_for(call.target.model)[1]:
        cut = replace(cut, note=", ".join(filter(None, [cut.note, f"unknown-model-counted-by-{cut.encoding}"])))
    call = revise(call, cut=cut, budget_ends=call.budget_ends + time.monotonic() - begun)
    return revise(call, keys=replace(call.keys, sent=await off_loop(call.asked.size, sent_key, call))) if call.keys else call


async def _looked_up(call: Call, tools: Toolbox) -> Call:
    """Set the chat's id and what is known of it; None when nobody can say in time."""
    assert call.key is not None  # noqa: S101 -- authenticate set it
    before, now = await off_loop(call.asked.size, chat_ids, call.asked.messages, tenant=call.key.tenant_id, route=call.target.id)
    asking = tools.chats.known(before, tenant=call.key.tenant_id, route=call.target.id)
    try:
        known = await tools.breakers["chats"].run(asking, seconds=tools.limits.cache_budget)
    except ToolUnavailable as error:
        log.log(error.log_level, "request %s: its chat is not looked up: %s", call.request_id, error.reason)
        return revise(call.failed_open("chats"), chat=now)
    return revise(call, chat=now, known=known)
