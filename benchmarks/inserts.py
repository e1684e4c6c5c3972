"""How fast the flusher writes requests into the ledger that is there:
spooled as a worker does, inserted, folded into their roll-ups.

Run by `benchmarks.pages` in the gateway's environment. Prints requests a second at each step, as
JSON.
"""

import argparse
import asyncio
import json
import os
import shutil
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import django

if TYPE_CHECKING:
    from plans.models import Plan, VirtualKey
    from stats.events import Event

# As much as waits on disk at once: a backlog after PostgreSQL was away for some minutes.
BATCH = 50_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway_project.settings")
    django.setup()
    from plans.models import Plan, VirtualKey

    keys = list(VirtualKey.objects.filter(name__startswith="generated").select_related("tenant"))
    plan = Plan.objects.get(name="generated", tenant=None)
    print(json.dumps(asyncio.run(write(arguments.number, arguments.folder, plan, keys))))


async def write(
    number: int, folder: Path, plan: "Plan", keys: "list[VirtualKey]"
) -> dict[str, float]:
    """Requests a second: `spooled` into the file, `inserted` as rows,
    `folded`: from the file to rows and roll-ups."""
    from stats.ledger.flusher import Flusher
    from stats.ledger.spool import Spool
    from stats.models.rollups import Unfolded

    async def unfolded() -> bool:
        return bool(await Unfolded.objects.aexists())

    shutil.rmtree(folder, ignore_errors=True)
    spool = Spool(folder)
    flusher = Flusher(spool)
    spooling = inserting = folding = 0.0
    for first in range(0, number, BATCH):
        lines = list(events(min(BATCH, number - first), plan, keys))
        begun = time.perf_counter()
        for line in lines:
            spool.record_event(line)
        spooled = time.perf_counter()
        await flusher.flush()
        inserted = time.perf_counter()
        while await flusher.roll_up() or await unfolded():  # the gateway's workers fold as well
            pass
        folding += time.perf_counter() - inserted
        spooling, inserting = spooling + spooled - begun, inserting + inserted - spooled
    await flusher.close()
    return {
        "number": number,
        "spooled": number / spooling,
        "inserted": number / inserting,
        "folded": number / (inserting + folding),
    }


def events(number: int, plan: "Plan", keys: "list[VirtualKey]") -> Iterator["Event"]:
    """Under the generated plan, now: half of them hits."""
    from proxy.core.request_ids import new_request_id
    from stats.events import Event

    for place in range(number):
        key = keys[place % len(keys)]
        hit = place % 2
        cost = Decimal("0.00012")
        yield Event(
            event_id=new_request_id(),
            at=time.time(),
            tenant_id=key.tenant_id,
            tenant=key.tenant.slug,
            key_id=key.pk,
            key=key.name,
            plan_id=plan.pk,
            plan=plan.name,
            plan_version=1,
            route="gpt-4o-mini",
            upstream="generated",
            model="gpt-4o-mini",
            tier="exact" if hit else "miss",
            attempts=0 if hit else 1,
            asked_tokens=400,
            prompt_tokens=0 if hit else 400,
            completion_tokens=0 if hit else 100,
            served_tokens=100,
            tokens_saved=500 if hit else 0,
            would_cost=cost,
            billed_cost=Decimal(0) if hit else cost,
            duration_ms=3.0 if hit else 900.0,
            upstream_ms=0.0 if hit else 895.0,
            overhead_ms=3.0,
        )


if __name__ == "__main__":
    main()
