"""Remove a wrong answer and its neighbours from every tier, or restore them."""

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

EXACT_TIER = "exact"
MAX_NEIGHBOURS = 20  # evicted with a wrong answer


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCopy:
    """An answer as one tier stores it."""

    entry_id: str
    # `exact`, or the name of the backend that has the `entry`.
    tier: str
    value: bytes
    # The cosine to the question of the wrong answer.
    similarity: float
    entry: SemanticEntry | None = None
    # None: not sealed by the gateway for this place.
    envelope: Envelope | None = None


def decode_copy(sealer: Sealer, held: StoredCopy) -> StoredCopy:
    """Return the copy with its envelope, if the value is sealed for where it was found."""
    try:
        envelope = decode_envelope(held.value, sealer)
    except BadEnvelope:
        sealer.refusals.count_refusal(held.tier)
        return held
    return replace(held, envelope=envelope) if _matches_location(envelope, held) else held


def _matches_location(envelope: Envelope, held: StoredCopy) -> bool:
    if held.entry is None:
        return held.entry_id in (envelope.entry_id, envelope.sent) and not envelope.bucket
    where = (held.entry_id, held.entry.bucket, held.entry.scope)
    return (
        envelope.entry_id,
        envelope.bucket,
        envelope.scope,
    ) == where and held.entry.question in ("", envelope.question)


async def find_copies(tools: Toolbox, entry_id: str) -> list[StoredCopy]:
    """Return the entry in every tier, then its neighbours.

    Leaves out what cannot be read now or was not sealed by the gateway.
    """
    found = await _find_entry_copies(tools, entry_id, tools.list_semantic_caches(), 1.0)
    for held in list(found):
        if held.entry is not None:
            found += await _find_neighbour_copies(tools, held.entry, _get_tier_cache(tools, held))
    # A neighbour that two backends have, each finds with the one exact copy.
    copies: dict[tuple[str, str], StoredCopy] = {}
    for held in sorted(found, key=lambda each: -each.similarity):
        copies.setdefault((held.entry_id, held.tier), held)
    return list(copies.values())


async def _find_neighbour_copies(
    tools: Toolbox, entry: SemanticEntry, backend: SemanticCache
) -> list[StoredCopy]:
    near = (
        await _await_or_none(
            backend.find_nearest(
                entry.bucket, entry.vector, floor=MAX_PENALTY_RADIUS, limit=MAX_NEIGHBOURS + 1
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
        for held in await _find_entry_copies(tools, each.entry_id, [backend], each.similarity)
    ]


async def _find_entry_copies(
    tools: Toolbox, entry_id: str, backends: Iterable[SemanticCache], similarity: float
) -> list[StoredCopy]:
    value = await _await_or_none(tools.exact_cache.get(entry_id))
    found = (
        [StoredCopy(entry_id=entry_id, tier=EXACT_TIER, value=value, similarity=similarity)]
        if value
        else []
    )
    entries = [(backend.name, await _await_or_none(backend.get(entry_id))) for backend in backends]
    found += [
        StoredCopy(
            entry_id=entry_id, tier=name, value=entry.envelope, similarity=similarity, entry=entry
        )
        for name, entry in entries
        if entry is not None
    ]
    return [
        held
        for held in (decode_copy(tools.sealer, each) for each in found)
        if held.envelope is not None
    ]


async def remove_copies(tools: Toolbox, held: Iterable[StoredCopy]) -> None:
    """Delete the copies."""
    # An unavailable tier keeps its copies; they are not served while the report stands.
    await asyncio.gather(
        *(
            _await_or_none(_get_tier_cache(tools, each).delete(each.entry_id))
            for each in held
            if each.tier in {EXACT_TIER, *tools.semantic_caches}
        )
    )


async def restore_copies(tools: Toolbox, held: Iterable[StoredCopy]) -> int:
    """Restore copies that have not expired or been replaced; return how many."""
    # Copies without an envelope are not restored.
    return sum(
        await asyncio.gather(
            *(
                _restore_copy(tools, each)
                for each in held
                if each.tier in {EXACT_TIER, *tools.semantic_caches}
            )
        )
    )


async def _restore_copy(tools: Toolbox, held: StoredCopy) -> bool:
    if held.envelope is None:
        return False
    left = held.envelope.expires_at - time.time()
    try:
        if left < 1 or await _get_tier_cache(tools, held).get(held.entry_id) is not None:
            return False
        value = encode_envelope(_advance_creation_time(held.envelope), tools.sealer)
        if held.entry is None:
            await tools.exact_cache.set(held.entry_id, value, int(left))
        else:
            question = "" if tools.sealer.encrypts else held.envelope.question
            await _get_tier_cache(tools, held).add(
                replace(held.entry, question=question, envelope=value)
            )
    except ToolUnavailable:
        return False
    return True


def _advance_creation_time(envelope: Envelope) -> Envelope:
    """Return the envelope as a slightly newer answer."""
    # Workers that do not know yet of the withdrawn report refuse the old one by its creation time.
    return replace(envelope, created_at=min(envelope.created_at + 0.001, envelope.expires_at))


def _get_tier_cache(tools: Toolbox, held: StoredCopy) -> Any:
    if held.entry is None:
        return tools.exact_cache
    return tools.find_semantic_cache(held.tier, held.entry.embedder)


async def _await_or_none(work: Coroutine[Any, Any, Any]) -> Any:
    """Await a tool's result; None if it is unavailable."""
    try:
        return await work
    except ToolUnavailable:
        return None
