"""`python -m benchmarks`: one worker of the gateway on one core, everything else on the other, beside the bare limits of the same run.

Prints one Markdown table. What counts is the ratio within a run: the machine differs, and so does its mood.
Variables: RUN=exact,miss (some parts only).
"""

import os
import sys
from collections.abc import Callable, Mapping

from benchmarks import limits, machine, rates
from benchmarks.bench import Bench, bench, prepare
from benchmarks.place import place
from benchmarks.table import render
from benchmarks.tally import Tally
from demo.processes import reach_loopback_directly
from demo.workspace import ROOT, fresh

PARTS: Mapping[str, Callable[[Bench], dict[str, float]]] = {
    "exact": rates.hits,
    "stream": rates.streamed_hits,
    "pass": rates.passes,
    "miss": rates.misses,
}


def main() -> None:
    """Measure and print."""
    wanted = [name for name in os.environ.get("RUN", "").split(",") if name] or list(PARTS)
    reach_loopback_directly()
    if not machine.can_pin():
        sys.exit("benchmarks: two cores are needed, numbers 0 and 1.")
    os.sched_setaffinity(0, machine.REST_CORE)
    with fresh(ROOT / "var" / "bench") as var, place(var) as here:
        keys = prepare(here)
        found = limits.measure(here)
        with bench(here, keys, Tally()) as opened:
            for name in wanted:
                found |= PARTS[name](opened)
    print(render(found))


if __name__ == "__main__":
    main()
