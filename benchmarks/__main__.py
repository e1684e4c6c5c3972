"""`python -m benchmarks`: one worker of the gateway on one core, everything else on the other, beside the bare limits of the same run.

Prints one Markdown table. What counts is the ratio within a run: the machine differs, and so does its mood.
Variables: RUN=exact,miss (some parts only), JSON=<file> (the figures as one object), PEERS=litellm,portkey (the same of these).
"""

import os
import sys
import time

from benchmarks import machine
from benchmarks.reconcile import Disagreement
from benchmarks.run import PARTS, Run
from benchmarks.table import render
from demo.processes import StartError, reach_loopback_directly


def main() -> int:
    """Measure and print; 0 when all went well and all figures agree, 1 with a line on stderr when not."""
    wanted = [name for name in os.environ.get("RUN", "").split(",") if name] or PARTS
    if unknown := set(wanted) - set(PARTS):
        sys.exit(f"benchmarks: RUN knows {', '.join(PARTS)}, not {', '.join(sorted(unknown))}.")
    if not machine.can_pin():
        sys.exit("benchmarks: two cores are needed, numbers 0 and 1.")
    reach_loopback_directly()
    os.sched_setaffinity(0, machine.REST_CORE)
    begun = time.monotonic()

    def say(part: str) -> None:
        print(f"{time.monotonic() - begun:4.0f} s  {part}", file=sys.stderr, flush=True)

    found = Run(wanted=wanted, say=say)
    try:
        found.measure()
    except (Disagreement, StartError, RuntimeError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    print(render(found.figures))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
