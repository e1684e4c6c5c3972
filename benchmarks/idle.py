"""A gateway that has just come up: how long that took and how large its one worker is."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import load, machine
from benchmarks.bench import PLAN, Bench, bench
from benchmarks.place import Place
from benchmarks.tally import Tally

SETTLED = 3.0  # seconds


@contextmanager
def started(
    place: Place, keys: dict[str, str], tally: Tally
) -> Iterator[tuple[Bench, dict[str, float]]]:
    """The gateway to be measured and its first figures:
    seconds from executing `manage.py serve`, with its services running and its database prepared,
    to the first 200 of /readyz, asked ten times a second; the resident memory of its worker after
    one miss, which had to be embedded, and three idle seconds."""
    begun = time.perf_counter()
    with bench(place, keys, tally) as opened:
        ready = time.perf_counter() - begun
        time.sleep(SETTLED)
        load.send_all(opened.chat, [next(opened.fresh(plan=PLAN))], tally=tally)
        time.sleep(SETTLED)
        yield opened, {"ready_s": ready, "worker_rss_mb": machine.rss_mb(opened.pid)}
