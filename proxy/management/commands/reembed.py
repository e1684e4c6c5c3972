"""`manage.py reembed`: move cached questions to the current embedder, after it has changed."""

import argparse
import asyncio
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from plans.models import Plan
from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Reembeddable
from proxy.engines.registry import SEMANTIC_CACHES
from proxy.pipeline.toolbox import SemanticIndex
from proxy.runtime.embedder_change import (
    WRITE_TIMEOUT_SECONDS,
    IndexedPlans,
    ReembedCounts,
    open_indexes,
    read_indexed_plans,
    reembed_entries,
)
from proxy.sealer import get_sealer


class Command(BaseCommand):
    help = (
        "Gives the entries of former embedders a vector of the present one, so that look-ups find "
        "them again. Expiry, bucket and scope stay. The gateway may be running; a run that was "
        "stopped is simply run again."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--backend",
            action="append",
            choices=list(SEMANTIC_CACHES),
            help="Only this one; may be given more than once.",
        )
        parser.add_argument(
            "--batch",
            type=_parse_batch_size,
            default=100,
            help="Entries on their way at a time, 100 unless given.",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Only count what would be moved."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print a line per backend.

        Raises CommandError when an entry was left behind or a backend that plans use (or --backend
        names) is unavailable.
        """
        needed = set(
            options["backend"]
            or Plan.objects.exclude(backend=None).values_list("backend", flat=True)
        )
        if not asyncio.run(
            self._reembed_backends(
                options["backend"],
                needed,
                read_indexed_plans(),
                batch=options["batch"],
                dry_run=options["dry_run"],
            )
        ):
            raise CommandError(
                "Not all entries were brought over. Run the command again once the reasons "
                "above are mended."
            )

    async def _reembed_backends(
        self,
        named: list[str] | None,
        needed: set[str],
        plans: IndexedPlans,
        *,
        batch: int,
        dry_run: bool,
    ) -> bool:
        """Return whether no entry was left behind."""
        complete = True
        async with open_indexes(plans, write_timeout=WRITE_TIMEOUT_SECONDS) as indexes:
            for index, found in indexes:
                self.stdout.write(f"Embedder: {index.embedder.id}")
                for name in named or SEMANTIC_CACHES:
                    done = await self._reembed_backend(name, index, found, batch, dry_run)
                    complete &= done or (done is None and name not in needed)
        return complete

    async def _reembed_backend(
        self, name: str, index: SemanticIndex, plans: IndexedPlans, batch: int, dry_run: bool
    ) -> bool | None:
        """Return whether all of a backend's entries were moved; None if it is unavailable."""
        backend = index.caches.get(name)
        try:
            if not isinstance(backend, Reembeddable):
                raise ToolUnavailable(
                    name, "not configured" if backend is None else "it cannot bring entries over"
                )
            await backend.check_ready()
        except ToolUnavailable as error:
            self.stdout.write(f"{name}: passed by: {error.reason}")
            return None
        try:
            tally = await reembed_entries(
                backend,
                index.embedder,
                get_sealer(),
                batch=batch,
                plans=plans,
                dry_run=dry_run,
                progress=self._show_progress,
            )
        except ToolUnavailable as error:
            self.stdout.write(f"{name}: stopped: {error.reason}")
            return False
        places = "".join(
            f", {number} of {place}" for place, number in sorted(tally.found_by_location.items())
        )
        told = (
            f"{tally.found_by_location.total()} would be moved"
            if dry_run
            else f"{tally.moved_count} moved"
        )
        self.stdout.write(f"{name}: {told}{places}")
        if tally.refused_count:
            self.stdout.write(
                f"{name}: {tally.refused_count} passed over: not sealed by this gateway, so "
                "nobody is served them"
            )
        for reason, number in tally.failures_by_reason.most_common(5):
            self.stdout.write(f"{name}: {number} left: {reason}")
        return not tally.failures_by_reason

    async def _show_progress(self, tally: ReembedCounts) -> None:
        """Overwrite one progress line on stderr, if it is a terminal."""
        if self.stderr.isatty():
            self.stderr.write(
                f"\r{tally.found_by_location.total()} seen, {tally.moved_count} moved", ending=""
            )


def _parse_batch_size(text: str) -> int:
    size = int(text)
    if not 1 <= size <= 10_000:
        raise argparse.ArgumentTypeError("a number from 1 to 10000")
    return size
