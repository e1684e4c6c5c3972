"""Take an answer that was wrong, and those of its neighbours, out of every tier;
or put them back."""

import asyncio
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, replace
from typing import Any

from proxy.core.caching.envelope import BadEnvelope, Envelope, decode_envelope, encode_envelope
from proxy.core.config import MAX_PENALTY_RADIUS
from proxy.core.errors import ToolUnavailable
from proxy.core.ports import SemanticCache, SemanticEntry
from proxy.core.sealing import Sealer
from proxy.pipeline.toolbox import Toolbox

EXACT = "exact"
MOST = 20  # neighbours


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An answer as one tier has it.

    `tier`: `exact` or the name of the backend, which has it as an `entry`; `value`: the stored
    bytes; `similarity`: the cosine to the question of the answer that was wrong; `envelope` None:
    it is not one that we sealed for there.
    """

    entry_id: str
    tier: str
    value: bytes
    similarity: float
    entry: SemanticEntry | None = None
    envelope: Envelope | None = None


def opened(sealer: Sealer, held: Held) -> Held:
    """The same with its envelope, where the value stands where it belongs."""
    try:
        envelope = decode_envelope(held.value, sealer)
    except BadEnvelope:
        sealer.refusals.count_refusal(held.tier)
        return held
    return replace(held, envelope=envelope) if _belongs(envelope, held) else held


def _belongs(envelope: Envelope, held: Held) -> bool:
    if held.entry is None:
        return held.entry_id in (envelope.entry_id, envelope.sent) and not envelope.bucket
    where = (held.entry_id, held.entry.bucket, held.entry.scope)
    return (
        envelope.entry_id,
        envelope.bucket,
        envelope.scope,
    ) == where and held.entry.question in ("", envelope.question)


async def holdings(tools: Toolbox, entry_id: str) -> list[Held]:
    """The entry in every tier, then its neighbours.

    What cannot be read now, or is not ours, is left out.
    """
    found = await _held(tools, entry_id, tools.semantic_caches.values(), 1.0)
    for held in list(found):
        if held.entry is not None:
            found += await _neighbours(tools, held.entry, tools.semantic_caches[held.tier])
    return found


async def _neighbours(tools: Toolbox, entry: SemanticEntry, backend: SemanticCache) -> list[Held]:
    near = (
        await _tried(
            backend.find_nearest(
                entry.bucket, entry.vector, floor=MAX_PENALTY_RADIUS, limit=MOST + 1
            )
        )
        or []
    )
    others = [
        each for each in near if each.entry_id != entry.entry_id and each.scope == entry.scope
    ]
    return [
        held
        for each in others
        for held in await _held(tools, each.entry_id, [backend], each.similarity)
    ]


async def _held(
    tools: Toolbox, entry_id: str, backends: Iterable[SemanticCache], similarity: float
) -> list[Held]:
    value = await _tried(tools.exact_cache.get(entry_id))
    found = (
        [Held(entry_id=entry_id, tier=EXACT, value=value, similarity=similarity)] if value else []
    )
    entries = {backend.name: await _tried(backend.get(entry_id)) for backend in backends}
    found += [
        Held(entry_id=entry_id, tier=name, value=entry.envelope, similarity=similarity, entry=entry)
        for name, entry in entries.items()
        if entry is not None
    ]
    return [
        held for held in (opened(tools.sealer, each) for each in found) if held.envelope is not None
    ]


async def remove(tools: Toolbox, held: Iterable[Held]) -> None:
    """Delete them.

    A tier that is away keeps its own, which nobody is served as long as the word stands.
    """
    await asyncio.gather(
        *(
            _tried(_tier(tools, each).delete(each.entry_id))
            for each in held
            if each.tier in {EXACT, *tools.semantic_caches}
        )
    )


async def restore(tools: Toolbox, held: Iterable[Held]) -> int:
    """Put back what has not expired and was not answered anew since; the number put back.

    What is not ours stays out.
    """
    return sum(
        await asyncio.gather(
            *(_again(tools, each) for each in held if each.tier in {EXACT, *tools.semantic_caches})
        )
    )


async def _again(tools: Toolbox, held: Held) -> bool:
    if held.envelope is None:
        return False
    left = held.envelope.expires_at - time.time()
    try:
        if left < 1 or await _tier(tools, held).get(held.entry_id) is not None:
            return False
        value = encode_envelope(_anew(held.envelope), tools.sealer)
        if held.entry is None:
            await tools.exact_cache.set(held.entry_id, value, int(left))
        else:
            question = "" if tools.sealer.encrypts else held.envelope.question
            await tools.semantic_caches[held.tier].add(
                replace(held.entry, question=question, envelope=value)
            )
    except ToolUnavailable:
        return False
    return True


def _anew(envelope: Envelope) -> Envelope:
    """As another answer: workers that have not yet heard of the change of mind refuse the old one,
    by the time it was made."""
    return replace(envelope, created_at=min(envelope.created_at + 0.001, envelope.expires_at))


def _tier(tools: Toolbox, held: Held) -> Any:
    return tools.exact_cache if held.tier == EXACT else tools.semantic_caches[held.tier]


async def _tried(work: Coroutine[Any, Any, Any]) -> Any:
    """Its result, or None where the tool cannot help."""
    try:
        return await work
    except ToolUnavailable:
        return None
