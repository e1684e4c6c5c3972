"""`python -m benchmarks.peers litellm portkey`: the rivals alone, each on one core;
upstream, Redis and load on the other.

Prints one Markdown table.
"""

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks import machine
from benchmarks.peers.comparison import PEERS, measure
from benchmarks.peers.probe import Figures
from benchmarks.place import place
from demo.processes import reach_loopback_directly

COLUMNS = [
    f"{kind}_{figure}"
    for kind in ("passthrough", "cached")
    for figure in ("rps", "p50_ms", "p99_ms")
]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description="Measure other gateways on this machine."
    )
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"of {', '.join(PEERS)}; all when none is named"
    )
    names = parser.parse_args().names or list(PEERS)
    if not machine.can_pin():
        raise SystemExit("Two cores are needed: one for the peer, one for everything else.")
    reach_loopback_directly()
    os.sched_setaffinity(0, machine.REST_CORE)
    with tempfile.TemporaryDirectory(prefix="tokenthrift-peers-") as folder:
        var = Path(folder)
        var.chmod(0o755)
        with place(var) as opened:
            found = measure(
                names, f"{opened.upstream}/v1", opened.services.redis, min(machine.GATEWAY_CORE)
            )
    print(table(found))


def table(found: dict[str, Figures]) -> str:
    """One row a peer; a dash where it has no such figure."""
    lines = [
        f"| peer, 16 connections | {' | '.join(COLUMNS)} | |",
        f"|{' --- |' * (len(COLUMNS) + 2)}",
    ]
    for name, figures in found.items():
        cells = [_cell(figures.get(column)) for column in COLUMNS]
        remark = figures.get("error") or figures.get("note", "")
        lines.append(f"| {name} {figures.get('version', '')} | {' | '.join(cells)} | {remark} |")
    return "\n".join(lines)


def _cell(figure: float | str | None) -> str:
    return "-" if figure is None else f"{figure:,.1f}"


if __name__ == "__main__":
    main()
