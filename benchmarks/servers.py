"""`python -m benchmarks.servers`: the gateway's application under uvicorn,
as `manage.py serve` runs it, and under granian, in turn.

The server on one core, everything else on the other. One row a run, for the spread is part of the
answer; processor time per hit beside the rate, for it suffers less from neighbours. granian is
installed beside the project, not into it.
"""

import os
import site
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks import machine
from benchmarks.bench import Bench, prepare
from benchmarks.peers.environment import ready
from benchmarks.peers.server import served
from benchmarks.place import Place, place
from benchmarks.tally import Tally
from demo.processes import reach_loopback_directly
from demo.workspace import ROOT, fresh
from gateway_project.embedded.processes import LOOPBACK_ADDRESS

VERSION = "2.8.7"
OPTIONS = ["--interface", "asgi", "--http", "1", "--no-ws", "--loop", "uvloop", "--workers", "1"]
PATH_FILE = (
    "import sys, sysconfig; open(sysconfig.get_path('purelib') + '/project.pth', "
    "'w').write('\\n'.join(sys.argv[1:]))"
)
RUNS, SECONDS = 3, 4.0
FIGURES = (
    "hit_rps",
    "hit_p50_ms",
    "hit_p99_ms",
    "hit_cpu_us",
    "stream_rps",
    "passthrough_rps",
    "rss_mb",
)


@contextmanager
def granian(here: Place) -> Iterator[tuple[str, int]]:
    """The application under granian with this project's packages: its address and process id.

    Raises InstallError, StartError.
    """
    folder = ready("granian", VERSION, install)
    command = [
        str(folder / "bin" / "granian"),
        *OPTIONS,
        "--host",
        LOOPBACK_ADDRESS,
        "gateway_project.asgi:application",
        "--port",
    ]
    with served(
        "granian",
        lambda port: [*command, str(port)],
        path="/readyz",
        core=min(machine.GATEWAY_CORE),
        folder=folder,
        environment=here.environment,
    ) as opened:
        yield opened


def install(folder: Path) -> Sequence[Sequence[str]]:
    """granian alone; all else it finds where this process does, by a path file,
    which helper processes follow too."""
    python = str(folder / "bin" / "python")
    return [
        [sys.executable, "-m", "venv", str(folder)],
        [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            f"granian=={VERSION}",
        ],
        [python, "-c", PATH_FILE, str(ROOT), *site.getsitepackages()],
    ]


SERVERS: dict[str, Callable[[Place], AbstractContextManager[tuple[str, int]]]] = {
    "uvicorn": Place.gateway,
    "granian": granian,
}


def measure(bench: Bench) -> list[float]:
    """FIGURES, in that order. `rss_mb`: of the server and all its helpers, after the load."""
    questions = bench.hot()
    bench.closed(questions, seconds=1.0)
    before = machine.cpu_seconds(bench.pid)
    hits = bench.closed(questions, seconds=SECONDS, warm=0.0)
    cpu = (machine.cpu_seconds(bench.pid) - before) / (hits.rps * SECONDS)
    streams = bench.closed(bench.hot(stream=True), seconds=SECONDS)
    passes = bench.closed(bench.fresh(), seconds=SECONDS)
    rss = sum(machine.rss_mb(pid) for pid in machine.family(bench.pid))
    return [hits.rps, hits.p50, hits.p99, 1e6 * cpu, streams.rps, passes.rps, rss]


def row(name: str, figures: Sequence[float]) -> str:
    return f"| {name} | {' | '.join(f'{figure:,.1f}' for figure in figures)} |"


def main() -> None:
    reach_loopback_directly()
    if not machine.can_pin():
        sys.exit("benchmarks.servers: two cores are needed, numbers 0 and 1.")
    os.sched_setaffinity(0, machine.REST_CORE)
    found: dict[str, list[list[float]]] = {name: [] for name in SERVERS}
    print(f"| 16 connections | {' | '.join(FIGURES)} |\n|{' --- |' * (len(FIGURES) + 1)}")
    with fresh(ROOT / "var" / "servers") as var, place(var) as here:
        keys = prepare(here)
        for run in range(RUNS):
            for name, start in SERVERS.items():
                with start(here) as (url, pid):
                    figures = measure(Bench(place=here, url=url, pid=pid, keys=keys, tally=Tally()))
                found[name].append(figures)
                print(row(f"{name}, run {run + 1}", figures), flush=True)
    for name, runs in found.items():
        print(
            row(
                f"{name}, median", [statistics.median(column) for column in zip(*runs, strict=True)]
            )
        )


if __name__ == "__main__":
    main()
