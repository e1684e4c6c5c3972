"""`python -m benchmarks`: one worker of the gateway on one core, everything else on the other,
beside the bare limits of the same run.

Prints one Markdown table and draws the plots. What counts is the ratio within a run: the machine
differs, and so does its mood. Variables: JSON=<file> (the figures as one object),
PEERS=litellm,portkey (columns of theirs), RUN=exact,miss (these parts only).
"""

import json
import os
import sys
import time
from pathlib import Path

from benchmarks import machine, plots
from benchmarks.ledger import Unsettled
from benchmarks.reconcile import Disagreement
from benchmarks.record import as_json, described
from benchmarks.run import PARTS, Run
from benchmarks.streams import ChunkLost
from benchmarks.table import render
from demo.management_api import ApiError
from demo.processes import StartError, reach_loopback_directly
from demo.workspace import WorkspaceBusy
from gateway_project.embedded.processes import ServiceError

FAULTS = (
    ApiError,
    ChunkLost,
    Disagreement,
    OSError,
    RuntimeError,
    ServiceError,
    StartError,
    Unsettled,
    WorkspaceBusy,
)
QUIET = 0.1  # cores that others may keep busy


def main() -> int:
    """Measure and print; 0 when all went well and all who counted agree,
    1 with a line on stderr when not, 130 after Ctrl-C."""
    wanted = _words("RUN") or PARTS
    if unknown := set(wanted) - set(PARTS):
        sys.exit(f"benchmarks: RUN knows {', '.join(PARTS)}, not {', '.join(sorted(unknown))}.")
    if not machine.can_pin():
        sys.exit("benchmarks: two cores are needed, numbers 0 and 1.")
    reach_loopback_directly()
    os.sched_setaffinity(0, machine.REST_CORE)
    machine.go_first()
    begun = time.monotonic()
    run = Run(
        wanted=wanted,
        peers=_words("PEERS"),
        say=lambda part: _progress(time.monotonic() - begun, part),
    )
    try:
        run.measure()
    except FAULTS as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    _report(run, time.monotonic() - begun)
    return 0


def _words(name: str) -> list[str]:
    return [word for word in os.environ.get(name, "").split(",") if word]


def _progress(seconds: float, part: str) -> None:
    print(f"{seconds:4.0f} s  {part}", file=sys.stderr, flush=True)


def _report(run: Run, seconds: float) -> None:
    """The table, the plots and, when JSON names a file, the object."""
    print(render(run.figures, run.rivals))
    print(
        f"\n{described()}; {seconds / 60:.1f} minutes, in which other programs kept "
        f"{run.others:.2f} cores busy."
    )
    if run.others > QUIET:
        print("**That is too much: measure again on a quiet machine.**")
    print(f"Clients, ledger and upstream agree on {run.agreed:,} requests.")
    plots.draw(run.curves)
    if file := os.environ.get("JSON"):
        Path(file).write_text(json.dumps(as_json(run, seconds=seconds), indent=2) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
