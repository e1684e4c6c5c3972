"""Entries of the exact tier: under which keys they are, and how to read one, trusting nothing that comes back."""

import time

from proxy.core.cache_key import exact_key
from proxy.core.envelope import BadEnvelope, Envelope, decode
from proxy.core.exchange import Call
from proxy.core.forgetting import forgotten
from proxy.core.ports import Toolbox


def time_left(call: Call) -> float:
    """Seconds until the cache budget of this request is used up; negative afterwards."""
    return call.budget_ends - time.monotonic()


async def read_exact(call: Call, tools: Toolbox, key: str) -> Envelope | None:
    """The entry, if it is whole, ours and young enough. A broken or foreign one is deleted. Raises ToolUnavailable."""
    envelope = await find_exact(call, tools, key)
    return envelope if envelope is not None and fresh_enough(call, envelope) else None


async def find_exact(call: Call, tools: Toolbox, key: str) -> Envelope | None:
    """The same, however old it is."""
    envelope = tools.recent.get(key) or await _fetch(call, tools, key)
    return envelope if envelope is not None and ours(call, envelope) and not forgotten(call, envelope) else None


async def _fetch(call: Call, tools: Toolbox, key: str) -> Envelope | None:
    """The entry from the store, kept in memory for the next who asks."""
    exact = tools.breakers["exact"]
    tools.recent.expect(key)
    try:
        found = await exact.run(tools.exact.get(key), seconds=time_left(call))
        if found is None:
            return None
        envelope = open_envelope(call, found)
        if envelope is not None:
            tools.recent.keep(key, envelope)
            return envelope
    finally:
        tools.recent.settle(key)
    await exact.run(tools.exact.delete(key), seconds=time_left(call))
    return None


def open_envelope(call: Call, value: bytes) -> Envelope | None:
    """The envelope, or None when it is corrupted, of another schema, or of another scope: never to be served."""
    try:
        envelope = decode(value)
    except BadEnvelope:
        return None
    return envelope if ours(call, envelope) else None


def ours(call: Call, envelope: Envelope) -> bool:
    """Whether those who may share this answer are those who ask, and nobody said that it was wrong."""
    return (
        call.keys is not None
        and envelope.scope == call.keys.scope
        and (envelope.scope, envelope.created_at) not in call.directory.doubts.answers
    )


def fresh_enough(call: Call, envelope: Envelope) -> bool:
    """Whether the entry has not expired and is not older than the request accepts (`s-maxage`)."""
    oldest = call.asked.controls.max_age
    return call.at < envelope.expires_at and (oldest is None or envelope.age(call.at) <= oldest)


def sent_key(call: Call) -> str | None:
    """The exact key of the compressed request; None when nothing was cut or the exact tier is off."""
    if call.keys is None or call.plan is None or not call.exact_tier:
        return None
    if call.cut is None or call.cut.messages is None:
        return None
    body = {**call.asked.body, "messages": call.cut.messages}
    return exact_key(body, scope=call.keys.scope, plan=call.plan, route=call.target)
