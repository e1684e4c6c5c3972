"""Bring stored questions under the embedder of the settings, after that has changed.

Each entry moves by itself and is then no longer among the outdated: stopped at any moment, the next run goes on with what is left.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from plans.snapshot import CacheSettings
from proxy.core.envelope import BadEnvelope, decode
from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Embedder, Outdated, Reembeddable
from proxy.core.verify.fold import fold
from proxy.core.window import text_of_window, unpack


@dataclass(slots=True)
class Tally:
    """Entries found by place, those moved, and why the others were not."""

    found: Counter[str] = field(default_factory=Counter)
    moved: int = 0
    failed: Counter[str] = field(default_factory=Counter)


async def reembed(
    cache: Reembeddable,
    embedder: Embedder,
    *,
    batch: int,
    windows: Mapping[int, int],
    dry_run: bool = False,
    progress: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Move every outdated entry, or only count them. An entry that cannot be moved stays for the next run. `windows`: by plan, the earlier
    turns that are compared under `context: window`.

    Raises ToolUnavailable when the backend cannot say what it holds."""
    tally = Tally()
    async for entries in cache.outdated(batch):
        tally.found.update(entry.place for entry in entries)
        if not dry_run:
            await asyncio.gather(*(_move(cache, embedder, entry, tally, windows) for entry in entries))
        progress(tally)
    return tally


def compared(entry: Outdated, windows: Mapping[int, int]) -> str:
    """The text whose vector finds the entry, as `proxy.pipeline.embed` makes it: the question, or the window of a chat."""
    try:
        chat = unpack(decode(entry.envelope).chat)
    except BadEnvelope:
        chat = None
    return fold(entry.question if chat is None else text_of_window(chat, windows.get(entry.plan_id, CacheSettings().window)))


async def _move(cache: Reembeddable, embedder: Embedder, entry: Outdated, tally: Tally, windows: Mapping[int, int]) -> None:
    try:
        await cache.move(entry, await embedder.embed(compared(entry, windows)))
    except ToolUnavailable as error:
        tally.failed[str(error)] += 1
    else:
        tally.moved += 1
