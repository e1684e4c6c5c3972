"""Move stored questions to the index that finds them, after the embedder or a plan has changed.

Each entry is moved by itself and is then no longer outdated, so a run that was stopped is resumed
by the next.
"""

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final

from plans.models import Plan
from plans.snapshot import CacheSettings
from proxy.core.caching.envelope import BadEnvelope, decode_envelope
from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Embedder, OutdatedEntry, Reembeddable
from proxy.core.sealing import Sealer
from proxy.core.text.normalize import fold_text
from proxy.core.verification.conversation import select_look_up_text, unpack_chat
from proxy.pipeline.toolbox import SemanticIndex
from proxy.runtime.semantic_indexes import open_embedder, open_semantic_caches, open_word_index
from proxy.sealer import get_sealer
from stats.monitoring import gauges

log = logging.getLogger("tokenthrift.proxy")


@dataclass(frozen=True, slots=True)
class IndexedPlans:
    """The plans whose entries one index finds.

    `windows`: by plan, the earlier turns compared under `context: window`; `by_cosine`: the plans
    under `match: cosine`; `finds`: the values of `match` whose entries belong into the index.
    """

    windows: Mapping[int, int]
    by_cosine: frozenset[int]
    finds: frozenset[str] = frozenset({"verified", "cosine"})

    def includes(self, plan_id: int) -> bool:
        """Whether entries of this plan belong into the index."""
        return ("cosine" if plan_id in self.by_cosine else "verified") in self.finds


def read_indexed_plans() -> IndexedPlans:
    """Read all plans. Raises django.db.Error."""
    rows = list(Plan.objects.values_list("pk", "window", "match"))
    return IndexedPlans(
        {plan: window for plan, window, _ in rows},
        frozenset(plan for plan, _, match in rows if match == "cosine"),
    )


@asynccontextmanager
async def open_indexes(
    plans: IndexedPlans, **times: float
) -> AsyncIterator[list[tuple[SemanticIndex, IndexedPlans]]]:
    """Open every index that entries of `plans` belong into; `times` overrides their deadlines."""
    embedder = open_embedder()
    by_model = SemanticIndex(embedder, open_semantic_caches(embedder, **times))
    by_words = open_word_index(embedder, **times)
    found = [(by_model, plans)]
    if by_words is not None:
        found = [(by_words, replace(plans, finds=frozenset({"verified"})))]
        # Without such plans each look for outdated entries would find all of the other index.
        if plans.by_cosine:
            found.append((by_model, replace(plans, finds=frozenset({"cosine"}))))
    opened = [by_model, by_words] if by_words else [by_model]
    try:
        yield found
    finally:
        for index in opened:
            await index.embedder.close()
            await asyncio.gather(*(cache.close() for cache in index.caches.values()))


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
    plans: IndexedPlans,
    dry_run: bool = False,
    progress: Callable[[ReembedCounts], Awaitable[None]] | None = None,
) -> ReembedCounts:
    """Move every outdated entry of `plans`, or only count them; failed ones stay for the next run.

    `progress` is awaited after each batch, and what it raises ends the run. Raises ToolUnavailable
    when the backend cannot list its entries.
    """
    tally = ReembedCounts()
    async for page in cache.iter_outdated(batch):
        entries = [entry for entry in page if plans.includes(entry.plan_id)]
        tally.found_by_location.update(entry.storage_location for entry in entries)
        if not dry_run:
            await asyncio.gather(
                *(
                    _move_entry(
                        cache,
                        embedder,
                        entry,
                        extract_embedded_text(entry, sealer, plans.windows),
                        tally,
                    )
                    for entry in entries
                )
            )
        if progress is not None:
            await progress(tally)
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
    turns = windows.get(entry.plan_id, CacheSettings().window)
    return fold_text(select_look_up_text(envelope.question, unpack_chat(envelope.chat), turns))


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


# In the background, so that nobody has to know of it after an upgrade: by one worker at a time, at
# most half of the time, and no request waits for it.

FIRST_TURN_DELAY_SECONDS: Final = 5.0
TURN_INTERVAL_SECONDS: Final = 3600.0  # a plan's `match` may have changed
WRITE_TIMEOUT_SECONDS: Final = 30.0  # for one page or one write
BACKGROUND_BATCH: Final = 50
REEMBED_LOCK: Final = 0x72656D62  # an arbitrary number


class StopReembedding(Exception):
    """The worker stops; what is left is moved after its next start."""


def reembed_in_background(stopping: threading.Event) -> None:
    """Move what is outdated in every backend that answers. Raises django.db.Error."""
    with suppress(StopReembedding):
        asyncio.run(_reembed_all(read_indexed_plans(), stopping))


async def _reembed_all(plans: IndexedPlans, stopping: threading.Event) -> None:
    async with open_indexes(plans, write_timeout=WRITE_TIMEOUT_SECONDS) as indexes:
        for index, found in indexes:
            for name, cache in index.caches.items():
                if not isinstance(cache, Reembeddable):
                    continue
                with suppress(ToolUnavailable):  # not in use, or down: next time
                    await cache.check_ready()
                    await _reembed_slowly(name, cache, index, found, stopping)


async def _reembed_slowly(
    name: str,
    cache: Reembeddable,
    index: SemanticIndex,
    plans: IndexedPlans,
    stopping: threading.Event,
) -> None:
    """Move what is outdated in one backend, and say and count how much it was."""
    told = 0
    begun = time.monotonic()

    async def count_and_rest(tally: ReembedCounts) -> None:
        nonlocal told, begun
        gauges.ENTRIES_MOVED.labels(name).inc(tally.moved_count - told)
        told = tally.moved_count
        if stopping.is_set():
            raise StopReembedding
        await asyncio.sleep(min(1.0, time.monotonic() - begun))
        begun = time.monotonic()

    tally = await reembed_entries(
        cache,
        index.embedder,
        get_sealer(),
        batch=BACKGROUND_BATCH,
        plans=plans,
        progress=count_and_rest,
    )
    if tally.moved_count:
        log.info("%s: %d entries moved to %s", name, tally.moved_count, index.embedder.id)
    for reason, number in tally.failures_by_reason.most_common(1):
        log.warning("%s: %d entries wait to be moved: %s", name, number, reason)
