"""`python -m benchmarks.results run1.json run2.json run3.json`: three runs
or more as `benchmarks/RESULTS.md`, with median and spread.

The files are what `make bench JSON=<file>` wrote. The plots are drawn again from the medians; what
people have to say about the figures (`NOTES.md`) comes after them.
"""

import json
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.curves import Curve
from benchmarks.table import cells, rival, show, verdict
from benchmarks.targets import FIGURES, Figure

FILE = Path(__file__).resolve().parent / "RESULTS.md"
NOTES = Path(__file__).resolve().parent / "NOTES.md"
LEAST = 3
Recorded = Mapping[str, Any]


def main() -> None:
    files = [Path(name) for name in sys.argv[1:]]
    if len(files) < LEAST:
        sys.exit(
            f"benchmarks.results: {LEAST} runs or more are needed, files that `make bench "
            "JSON=<file>` wrote."
        )
    runs = [json.loads(file.read_text()) for file in files]
    pictures = plots.draw(curves(runs))
    FILE.write_text(f"{page(runs, [file.name for file in pictures])}\n{NOTES.read_text()}")
    print(f"{FILE.name} and {len(pictures)} plots written from {len(runs)} runs.")


def page(runs: Sequence[Recorded], pictures: Iterable[str]) -> str:
    """The whole page: where and when, the table, the plots."""
    last = runs[-1]
    minutes = statistics.median(run["seconds"] for run in runs) / 60
    versions = ", ".join(f"{name} {number}" for name, number in last["versions"].items())
    others = max(run["other_programs_cores"] for run in runs)
    agreed = ", ".join(f"{run['requests_agreed']:,}" for run in runs)
    lines = [
        "# Results of `make bench`",
        "",
        (
            f"{len(runs)} runs of some {minutes:.0f} minutes, from {runs[0]['date']} "
            f"to {last['date']}."
        ),
        f"Machine: {last['machine']}; other programs kept at most {others:.2f} cores busy.",
        f"Versions: {versions}.",
        "",
        (
            "One worker on one core; upstream, Redis, PostgreSQL and load on the other. Shown are "
            "the median of the runs, their smallest and"
        ),
        (
            "largest; a target is judged within each run. Clients, ledger and upstream agreed on "
            f"every one of {agreed} requests."
        ),
        "",
        *table(runs),
        "",
        *(f"![{Path(name).stem}](plots/{name})" for name in pictures),
        "",
    ]
    return "\n".join(lines)


def table(runs: Sequence[Recorded]) -> list[str]:
    """One line for each figure that every run measured."""
    peers = runs[-1]["peers"]
    names = [f"{name} {peer.get('version', '')}".strip() for name, peer in peers.items()]
    lines = [
        cells("figure", "median", "from - to", *names, "target", "met"),
        cells("---", "---:", "---:", *["---:"] * len(names), "---", "---"),
    ]
    for figure in FIGURES:
        if all(figure.name in run for run in runs):
            values = [run[figure.name] for run in runs]
            spread = f"{show(min(values), '')} - {show(max(values), '')}"
            rivals = [
                rival(figure, medians([run["peers"].get(name, {}) for run in runs]))
                for name in peers
            ]
            lines.append(
                cells(
                    figure.title,
                    show(statistics.median(values), figure.unit),
                    spread,
                    *rivals,
                    figure.target,
                    met(figure, runs),
                )
            )
    return lines


def met(figure: Figure, runs: Sequence[Recorded]) -> str:
    """`yes`, `no`, or in how many of the runs."""
    verdicts = [verdict(figure, run) for run in runs]
    if len(set(verdicts)) == 1:
        return verdicts[0]
    return f"in {verdicts.count('yes')} of {len(runs)}"


def medians(found: Sequence[Mapping[str, Any]]) -> dict[str, float | str]:
    """Of each number that all have."""
    shared = [
        name
        for name, value in found[0].items()
        if isinstance(value, float) and all(name in other for other in found)
    ]
    return {name: statistics.median(other[name] for other in found) for name in shared}


def curves(runs: Sequence[Recorded]) -> dict[str, Curve]:
    """Of each curve that all runs drew, the median at each size."""
    shared = [name for name in runs[0]["curves"] if all(name in run["curves"] for run in runs)]
    found: dict[str, Curve] = {}
    for name in shared:
        points = zip(*(run["curves"][name] for run in runs), strict=True)
        found[name] = [
            (same[0][0], statistics.median(value for _, value in same)) for same in points
        ]
    return found


if __name__ == "__main__":
    main()
