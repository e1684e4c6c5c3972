"""Move stored questions to the configured embedder, after it has changed.

Each entry is moved by itself and is then no longer outdated, so a run that was stopped is resumed
by the next.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from plans.snapshot import CacheSettings
from proxy.core.caching.envelope import BadEnvelope, decode_envelope
from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Embedder, OutdatedEntry, Reembeddable
from proxy.core.sealing import Sealer
from proxy.core.text.normalize import fold_text
from proxy.core.verification.conversation import select_embedded_text, unpack_chat


@dataclass(slots=True)
class ReembedCounts:
    """Counts of entries found, moved and not moved."""

    # Outdated entries.
    found_by_location: Counter[str] = field(default_factory=Counter)
    moved_count: int = 0
    failures_by_reason: Counter[str] = field(default_factory=Counter)
    # Not sealed by the gateway, so never served.
    refused_count: int = 0


async def reembed_entries(
    cache: Reembeddable,
    embedder: Embedder,
    sealer: Sealer,
    *,
    batch: int,
    windows: Mapping[int, int],
    dry_run: bool = False,
    progress: Callable[[ReembedCounts], None] = lambda tally: None,
) -> ReembedCounts:
    """Move every outdated entry, or only count them; failed entries stay for the next run.

    `windows`: by plan, the earlier turns compared under `context: window`. Raises ToolUnavailable
    when the backend cannot list its entries.
    """
    tally = ReembedCounts()
    async for entries in cache.iter_outdated(batch):
        tally.found_by_location.update(entry.storage_location for entry in entries)
        if not dry_run:
            await asyncio.gather(
                *(
                    _move_entry(
                        cache, embedder, entry, extract_embedded_text(entry, sealer, windows), tally
                    )
                    for entry in entries
                )
            )
        progress(tally)
    return tally


def extract_embedded_text(
    entry: OutdatedEntry, sealer: Sealer, windows: Mapping[int, int]
) -> str | None:
    """Return the text to embed for an entry, as `proxy.pipeline.stages.embed` does.

    The question, or the window of a chat; None for an entry that the gateway did not seal.
    """
    try:
        envelope = decode_envelope(entry.envelope, sealer)
    except BadEnvelope:
        return None
    if envelope.entry_id != entry.entry_id or not envelope.question:
        return None
    chat = unpack_chat(envelope.chat)
    return fold_text(
        envelope.question
        if chat is None
        else select_embedded_text(chat, windows.get(entry.plan_id, CacheSettings().window))
    )


async def _move_entry(
    cache: Reembeddable,
    embedder: Embedder,
    entry: OutdatedEntry,
    text: str | None,
    tally: ReembedCounts,
) -> None:
    if text is None:
        tally.refused_count += 1
        return
    try:
        await cache.move_entry(entry, await embedder.embed(text))
    except ToolUnavailable as error:
        tally.failures_by_reason[str(error)] += 1
    else:
        tally.moved_count += 1
