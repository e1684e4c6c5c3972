"""A run as one JSON object: the figures by name, and what is needed to judge them."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.run import Run
from demo.workspace import ROOT

PACKAGES = (
    "Django",
    "uvicorn",
    "uvloop",
    "httptools",
    "redis",
    "hiredis",
    "aiohttp",
    "psycopg",
    "onnxruntime",
    "numpy",
    "scipy",
)


def as_json(run: Run, *, seconds: float) -> dict[str, Any]:
    """Figures, the `peers` object, the curves of the plots, and machine, versions,
    date and duration."""
    return {
        **{name: float(f"{value:.6g}") for name, value in run.figures.items()},
        "peers": run.rivals,
        "curves": {
            name: [[float(size), float(f"{value:.6g}")] for size, value in curve]
            for name, curve in run.curves.items()
        },
        "requests_agreed": run.agreed,
        "other_programs_cores": round(run.others, 3),
        "machine": described(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
            "tokenthrift": _commit(),
        },
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "seconds": round(seconds),
    }


def described() -> str:
    """Processor, cores, memory and kernel in one line."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return (
        f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB, "
        f"Linux {platform.release()}"
    )


def _commit() -> str:
    """The commit that was measured, `-dirty` when the checkout differs from it;
    empty outside of a repository."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()
